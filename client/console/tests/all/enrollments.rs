//! Enrollments in a browser: deciding on one by its code, on several at once, and what can be undone.

use super::browser::{self, Desk};

/// Callsigns that try to be something else.
const SCRIPT: &str = "{\"team\":\"<script>alert(1)</script>\",\"mirror\":\"\u{202e}gnp.exe\"}";

fn fill(desk: &Desk) -> String {
    desk.run(&["person", "create", "BOSS", "--role", "superuser"]);
    let pool = desk.run(&["pool", "create", "--owner", "BOSS", "--field", "invitecode"]);
    for name in ["CAT02b", "DOG03c", "OWL04d"] {
        desk.run(&["enrollment", "create", name, "--pool", &pool, "--extra", SCRIPT]);
    }
    pool
}

#[tokio::test]
async fn one_is_approved_by_its_code_and_a_wrong_code_is_told_at_its_field() {
    let Some((desk, browser)) = browser::begin("enrollments by code", &[]).await else { return };
    fill(&desk);
    let code = desk.run(&["enrollment", "create", "PORA22b", "--field", "approvecode"]);
    browser.goto("/enrollments").await;
    browser.wait_for_text("<script>alert(1)</script>").await;
    assert!(browser.text().await.contains("mirror: \\u{202e}gnp.exe"), "a mark is seen and turns nothing around");
    browser.judge().await;
    browser.shoot("enrollments").await;
    browser.shoot_phone("enrollments").await;
    browser.run("[...document.querySelectorAll('tbody a')].find(a => a.textContent === 'PORA22b').id = 'wanted'").await;
    browser.submit("#wanted").await;
    browser.fill("#approvecode", "AAAAAAAA").await;
    browser.submit("form[action$='/approve'] button").await;
    assert!(browser.driver.title().await.expect("a title").starts_with("Error: "));
    assert_eq!(browser.run("return document.activeElement.getAttribute('aria-labelledby')").await, "problems");
    assert_eq!(browser.run("return document.querySelector('#approvecode').value").await, "AAAAAAAA");
    assert!(browser.text().await.contains("code_mismatch"));
    browser.judge().await;
    browser.shoot("enrollment-error").await;
    browser.fill("#approvecode", &code).await;
    browser.submit("form[action$='/approve'] button").await;
    browser.wait_for_text("PORA22b: approved").await;
    assert!(browser.address().await.starts_with("/enrollments/"));
    assert_eq!(desk.run(&["person", "get", "PORA22b", "--field", "callsign"]), "PORA22b");
    assert!(desk.run(&["--json", "changes", "list"]).contains("\"verb\":\"approve\""));
    assert!(!browser.text().await.contains("Reopen"), "an approval can not be undone");
    browser.shoot("enrollment-approved").await;
}

#[tokio::test]
async fn several_are_decided_each_with_its_result() {
    let Some((desk, browser)) = browser::begin("enrollments at once", &[]).await else { return };
    fill(&desk);
    browser.goto("/enrollments?prefix=").await;
    browser.fill("#reason", "nobody knows them").await;
    browser.submit("button[value=reject]").await;
    browser.wait_for_text("no enrollment was chosen").await;
    assert!(browser.driver.title().await.expect("a title").starts_with("Error: "));
    assert_eq!(browser.run("return document.querySelector('#reason').value").await, "nobody knows them");
    browser.judge().await;
    for box_ in ["tr:nth-child(1) input", "tr:nth-child(2) input"] {
        browser.click(box_).await;
    }
    // Somebody else decides meanwhile.
    desk.run(&["--as", "BOSS", "enrollment", "reject", "CAT02b"]);
    browser.submit("button[value=reject]").await;
    browser.wait_for_text("1 of 2 are done, 1 refused").await;
    let text = browser.text().await;
    assert!(text.contains("already_decided") && text.contains("DOG03c: rejected"), "{text}");
    assert!(browser.address().await.starts_with("/enrollments?prefix="), "the filter stays in the address");
    browser.judge().await;
    browser.shoot("enrollments-decided").await;
    assert_eq!(desk.run(&["enrollment", "get", "DOG03c", "--field", "reason"]), "nobody knows them");
    // What a rejection offers is to reopen it.
    browser.submit(".outcomes a[href*='/enrollments/']").await;
    browser.submit("form[action$='/reopen'] button").await;
    browser.wait_for_text("reopened").await;
}
