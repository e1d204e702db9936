//! Today in a browser: what waits, what is wrong, and changes as they happen.

use super::browser;

#[tokio::test]
async fn changes_come_by_themselves_and_can_be_paused() {
    let Some((desk, browser)) = browser::begin("today live", &[]).await else { return };
    desk.run(&["person", "create", "BOSS", "--role", "superuser"]);
    desk.run(&["enrollment", "create", "CAT02b"]);
    browser.goto("").await;
    browser.wait_for_text("1 enrollment waits").await;
    desk.run(&["--as", "BOSS", "enrollment", "approve", "CAT02b"]);
    browser.wait_for_text("enrollment.approve").await;
    browser.wait_for_text("No enrollment waits").await;
    let news = "return document.querySelector('[data-live=news]').textContent.includes('enrollment.approve')";
    browser.wait("it is announced", news).await;
    browser.judge().await;
    browser.shoot("today").await;
    browser.shoot_phone("today").await;
    browser.click("[data-live=pause]").await;
    desk.run(&["person", "create", "OWL04d"]);
    browser.wait_for_text("Show 1 newer").await;
    assert!(!browser.text().await.contains("OWL04d"), "nothing moves while it is paused");
    browser.click("[data-live=show]").await;
    browser.wait_for_text("OWL04d").await;
    // A change that a person made meanwhile on another page is there without a script, too.
    browser.goto("/feed").await;
    assert!(browser.text().await.contains("OWL04d"));
}

#[tokio::test]
async fn what_waits_for_whom_is_told_with_names_that_try_to_be_something_else() {
    let Some((desk, browser)) = browser::begin("today waiting", &[]).await else { return };
    desk.run(&["person", "create", "BOSS", "--role", "superuser"]);
    desk.run(&["person", "create", "DOGGO01a", "--role", "member"]);
    desk.run(&["role", "assign", "BOSS", "supervisor"]);
    desk.run(&["--as", "BOSS", "supervisor", "assign", "DOGGO01a", "BOSS"]);
    let event = serde_json::json!({
        "title": "<script>document.title='broken'</script> \u{5e9}\u{5dc}\u{5d5}\u{5dd}", "kind": "course", "owner": "BOSS",
        "start": "2099-01-01T10:00:00Z", "duration_minutes": 60, "approval": "supervisor", "published": true,
        "pools": [{"name": "all", "capacity": 3, "roles": ["member"]}],
    });
    let line = serde_json::json!({"id": 1, "op": "event.create", "args": event}).to_string();
    let made = desk.daemon.enrollctl(&["call"], &line);
    let made: serde_json::Value = serde_json::from_str(&made.stdout).expect("an answer");
    let pk = made["ok"]["pk"].as_str().unwrap_or_else(|| panic!("no event: {made}"));
    desk.run(&["registration", "create", pk, "DOGGO01a"]);
    browser.goto("").await;
    let row = "return document.querySelector('main table tbody tr').innerText";
    let row = browser.run(row).await;
    let row = row.as_str().expect("a row");
    for part in ["DOGGO01a", "BOSS", "<script>document.title='broken'</script> \u{5e9}\u{5dc}\u{5d5}\u{5dd}"] {
        assert!(row.contains(part), "{part}: {row}");
    }
    assert!(browser.driver.title().await.expect("a title").contains("Today"));
    browser.judge().await;
    browser.shoot("today-waiting").await;
}
