//! The keys in a browser: they lead to pages and to the search, are listed, do nothing in a field, and can be turned off.

use fantoccini::Locator;
use fantoccini::key::Key;

use super::browser::{self, Browser};

/// Types keys where the focus is.
async fn press(browser: &Browser, keys: &str) {
    let focused = browser.driver.active_element().await.expect("a focus");
    focused.send_keys(keys).await.expect("typed");
}

#[tokio::test]
async fn keys_lead_to_pages_and_can_be_listed_and_turned_off() {
    let Some((desk, browser)) = browser::begin("keyboard", &[]).await else { return };
    desk.call((0..30).map(|number| ("person.create", serde_json::json!({"callsign": format!("DOG{number}")}))));
    browser.goto("").await;
    press(&browser, "g").await;
    let told = "return document.querySelector('#key-state').textContent";
    assert_eq!(browser.run(told).await, "Go to: a letter of a page");
    press(&browser, "p").await;
    browser.wait_for_text("the first 25 people").await;
    press(&browser, "n").await;
    browser.wait_for_text("5 more").await;
    press(&browser, "/").await;
    assert_eq!(browser.run("return document.activeElement.id").await, "prefix");
    // In a field a letter is a letter.
    press(&browser, "g?").await;
    assert_eq!(browser.run("return document.querySelector('#prefix').value").await, "g?");
    assert_eq!(browser.run("return !document.querySelector('dialog')").await, true);
    // A page without search leads to that of people.
    browser.goto("").await;
    press(&browser, "/").await;
    browser.wait("the search has the focus", "return document.activeElement.id === 'prefix'").await;
    browser.goto("/feed").await;
    press(&browser, "?").await;
    let is_open = "return document.querySelector('dialog[open]')?.innerText.includes('Goes to Supervisor') === true";
    browser.wait("the list is open", is_open).await;
    let listed = browser.run("return document.querySelector('dialog').innerText").await.to_string();
    for key in ["Lists these keys", "Goes to Today", "Goes to Feed", "Keys are on"] {
        assert!(listed.contains(key), "{key}: {listed}");
    }
    browser.judge().await;
    browser.shoot("keys").await;
    browser.shoot_phone("keys").await;
    press(&browser, &Key::Escape.to_string()).await;
    browser.wait("it is closed", "return !document.querySelector('dialog')").await;
    // The same list is a page of its own, where the keys are turned off.
    browser.submit("#keyboard").await;
    browser.judge().await;
    browser.shoot("keyboard").await;
    browser.click("[data-keys-switch] input").await;
    assert_eq!(browser.run(told).await, "Keys are off");
    browser.goto("").await;
    for key in ["g", "f", "?"] {
        press(&browser, key).await;
    }
    assert!(browser.driver.find(Locator::Css("dialog")).await.is_err());
    assert_eq!(browser.address().await.trim_end_matches('/'), "");
    browser.goto("/keyboard").await;
    browser.click("[data-keys-switch] input").await;
    press(&browser, "g").await;
    press(&browser, "f").await;
    browser.wait("the feed", "return location.pathname.endsWith('/feed')").await;
}
