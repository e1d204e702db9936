//! The feed in a browser: filters that stay in the address, refusals, and links to records.

use super::browser;

#[tokio::test]
async fn filters_stay_in_the_address_and_entries_link_to_their_records() {
    let Some((desk, browser)) = browser::begin("feed", &[]).await else { return };
    desk.run(&["person", "create", "BOSS", "--role", "superuser"]);
    desk.run(&["enrollment", "create", "CAT02b"]);
    for number in 0..60 {
        desk.run(&["--as", "BOSS", "role", "assign", "BOSS", &format!("role{number}")]);
    }
    let spent = ["token", "use", "--audit", "{}"];
    assert_eq!(desk.daemon.enrollctl(&spent, "one").code, Some(0));
    assert_eq!(desk.daemon.enrollctl(&spent, "one").code, Some(1));
    browser.goto("/feed").await;
    let text = browser.text().await;
    assert!(text.contains("refused: token_reuse") && text.contains("by BOSS"), "{text}");
    browser.judge().await;
    browser.shoot("feed").await;
    browser.shoot_phone("feed").await;
    browser.submit(".pages li:last-child a").await;
    browser.wait_for_text("enrollment.create").await;
    browser.fill("#person", "boss").await;
    browser.click("#refused option[value=without]").await;
    browser.submit("form.filter button").await;
    let address = browser.address().await;
    assert!(address.contains("person=boss") && address.contains("refused=without"), "{address}");
    let text = browser.run("return document.querySelector('ol.feed').innerText").await.to_string();
    assert!(text.contains("role.assign") && !text.contains("token"), "{text}");
    browser.goto("/feed?refused=only").await;
    browser.submit(".badge a").await;
    browser.wait_for_text("What to do:").await;
    browser.judge().await;
    browser.shoot("error-page").await;
    browser.goto("/feed?area=enrollment").await;
    browser.submit(".feed li > a").await;
    browser.wait_for_text("Enrollment CAT02b").await;
    browser.goto("/feed?actor=nobody").await;
    assert!(browser.driver.title().await.expect("a title").starts_with("Error: "));
    assert!(browser.text().await.contains("not_found"));
    browser.judge().await;
}
