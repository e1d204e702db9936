//! The pictures of the book: pages with a little in them, which `ENROLL_UPDATE=1` keeps in `docs/pictures`.

use super::browser;

#[tokio::test]
async fn pages_of_the_book() {
    let Some((desk, browser)) = browser::begin("pages of the book", &[]).await else { return };
    desk.run(&["person", "create", "BOSS", "--role", "superuser", "--role", "supervisor"]);
    desk.run(&["pool", "create", "--owner", "BOSS", "--invitecode", "K7QWM2XA", "--max-uses", "40"]);
    for (callsign, team) in [("DOGGO01a", "red"), ("CAT02b", "blue"), ("PORA03c", "red")] {
        let extra = format!("{{\"team\":\"{team}\"}}");
        desk.run(&["enrollment", "create", callsign, "--pool", "K7QWM2XA", "--extra", &extra]);
    }
    desk.run(&["--as", "BOSS", "enrollment", "approve", "DOGGO01a"]);
    browser.goto("").await;
    browser.wait_for_text("enrollment.approve").await;
    browser.shoot("today-of-the-book").await;
    browser.goto("/enrollments").await;
    browser.wait_for_text("PORA03c").await;
    browser.shoot("enrollments-of-the-book").await;
    let refused = desk.daemon.enrollctl(&["enrollment", "approve", "DOGGO01a"], "");
    assert!(refused.stderr.contains("already_decided"), "the page shows a registry that is there: {refused:?}");
}
