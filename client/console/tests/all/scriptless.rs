//! A browser that runs no script: the main act of each page, from click to the feed.

use serde_json::json;

use super::browser;
use super::events::fill;

#[tokio::test]
async fn without_scripts_every_page_does_what_it_is_for() {
    let Some((desk, browser)) = browser::begin("without scripts", &[]).await else { return };
    let event = fill(&desk, "Camp", 1, &["--approval", "supervisor"], &["DOGGO01a", "OWL04d", "FOX05e"]);
    desk.run(&["role", "assign", "BOSS", "supervisor"]);
    for name in ["DOGGO01a", "FOX05e"] {
        desk.run(&["supervisor", "assign", name, "BOSS"]);
    }
    let pool = desk.run(&["pool", "create", "--owner", "BOSS", "--field", "pk"]);
    for name in ["CAT02b", "CAT03c"] {
        desk.run(&["enrollment", "create", name]);
    }
    browser.turn_scripts_off().await;
    // Today shows no button that needs a script, and the keyboard says that it has no keys of its own.
    browser.goto("").await;
    let buttons = "return [...document.querySelectorAll('[data-live]:is(button)')].every((one) => one.hidden)";
    assert_eq!(browser.run(buttons).await, true);
    // The link that the script turns into a button shows what has happened since.
    desk.run(&["person", "create", "FOX99z"]);
    assert!(!browser.text().await.contains("FOX99z"));
    browser.submit(".live .tools a:first-of-type").await;
    browser.wait_for_text("FOX99z").await;
    browser.submit("#keyboard").await;
    browser.wait_for_text("Without JavaScript only the keys of the browser work").await;
    // People: search by the button, a role.
    browser.goto("/people").await;
    browser.fill("#prefix", "dog").await;
    browser.submit("form[role=search] button").await;
    browser.wait_for_text("1 person").await;
    browser.submit("tbody th a").await;
    browser.fill("#role", "guest").await;
    browser.submit("form:has(#role) button").await;
    browser.wait_for_text("DOGGO01a: has the role guest").await;
    // Enrollments: decide on one.
    browser.goto("/enrollments").await;
    browser.click("tbody tr:nth-child(1) input").await;
    browser.submit("button[value=approve]").await;
    browser.wait_for_text("CAT02b: approved").await;
    browser.click("tbody tr:nth-child(1) input").await;
    browser.fill("#reason", "not this year").await;
    browser.submit("button[value=reject]").await;
    browser.wait_for_text("CAT03c: rejected").await;
    browser.shoot("without-scripts").await;
    // Pools: switch, rotate, print.
    browser.goto(&format!("/pools/{pool}")).await;
    browser.submit("form[action$='/active'] button").await;
    browser.wait_for_text("no longer active").await;
    browser.submit("form[action$='/active'] button").await;
    browser.submit("form[action$='/rotate'] button").await;
    browser.wait_for_text("has another invite code").await;
    let code = desk.run(&["pool", "get", &pool, "--field", "invitecode"]);
    browser.submit("main a[href$='/invitation']").await;
    browser.wait_for_text(&code).await;
    browser.fill("#link", "https://club.example/?c=").await;
    browser.submit("form[action$='/invitation'] button").await;
    browser.wait_for_text(&format!("https://club.example/?c={code}")).await;
    // Events: register, ask why, cancel.
    browser.goto(&format!("/events/{event}")).await;
    for name in ["DOGGO01a", "OWL04d", "FOX05e"] {
        browser.fill("#person", name).await;
        browser.submit("form[action$='/register'] button").await;
    }
    browser.wait_for_text("FOX05e: waits as number 2").await;
    browser.fill("#explain", "CAT02b").await;
    browser.submit("#explained button").await;
    browser.wait_for_text("They would be refused").await;
    browser.click("table:last-of-type tbody tr:nth-child(1) input").await;
    browser.submit("button[value=cancel]").await;
    browser.wait_for_text("OWL04d: canceled").await;
    // Supervisor: decide with a reason.
    browser.goto("/supervisor").await;
    browser.fill("#person", "BOSS").await;
    browser.submit("form[role=search] button").await;
    browser.click("tbody tr:nth-child(1) input").await;
    browser.fill("#reason", "welcome").await;
    browser.submit("button[value=approve]").await;
    browser.wait_for_text("DOGGO01a: approved").await;
    browser.click("tbody tr:nth-child(1) input").await;
    browser.fill("#reason", "the tents are full").await;
    browser.submit("button[value=reject]").await;
    browser.wait_for_text("FOX05e: rejected").await;
    // Feed: filter, older, newest.
    let more = (0..60).map(|number| ("person.create", json!({"callsign": format!("FOX{number:02}")})));
    desk.call(more);
    browser.goto("/feed").await;
    browser.submit("main a[rel=next]").await;
    browser.wait_for_text("registration.approve").await;
    browser.submit(".pages li:first-child a").await;
    browser.click("#area option[value=pool]").await;
    browser.submit("form.filter button").await;
    let listed = browser.run("return document.querySelector('ol.feed').innerText").await.to_string();
    for verb in ["pool.create", "pool.set_active", "pool.reset_code"] {
        assert!(listed.contains(verb), "{verb}: {listed}");
    }
    let changes = desk.run(&["--json", "changes", "list", "--limit", "1000"]);
    for (area, verb) in
        [("role", "assign"), ("enrollment", "approve"), ("registration", "cancel"), ("registration", "approve")]
    {
        assert!(changes.contains(&format!("\"area\":\"{area}\",\"verb\":\"{verb}\"")), "{area}.{verb}: {changes}");
    }
}
