//! The console for a person and for reading alone, in a browser: its head says so, and what may not be done is refused.

use serde_json::json;

use super::browser::{self, Browser, Desk};
use super::events::fill;

/// A form of another console, as it stood there, sent by this session.
async fn send(browser: &Browser, action: &str, fields: &str) {
    browser.run("document.documentElement.dataset.old = 'yes'").await;
    let script = format!(
        "const form = document.createElement('form');
        form.method = 'post';
        form.action = document.documentElement.dataset.base + {};
        for (const [name, value] of new URLSearchParams({})) {{
            const input = document.createElement('input');
            [input.name, input.value] = [name, value];
            form.append(input);
        }}
        document.body.append(form);
        form.submit();",
        json!(action),
        json!(fields)
    );
    browser.run(&script).await;
    let script = "return !document.documentElement.dataset.old && document.readyState === 'complete'";
    browser.wait("another document", script).await;
}

#[tokio::test]
async fn a_console_that_only_reads_draws_no_form_and_refuses_one_in_words() {
    let Some((desk, browser)) = browser::begin("read only", &["--read-only"]).await else { return };
    let event = fill(&desk, "Camp", 2, &["--approval", "supervisor"], &["DOGGO01a"]);
    desk.run(&["registration", "create", &event, "DOGGO01a"]);
    let pool = desk.run(&["pool", "create", "--owner", "BOSS", "--field", "pk"]);
    let enrollment = desk.run(&["enrollment", "create", "CAT02b", "--field", "pk"]);
    let person = desk.run(&["person", "get", "DOGGO01a", "--field", "pk"]);
    let records = [("events", &event), ("pools", &pool), ("enrollments", &enrollment), ("people", &person)];
    let records = records.map(|(page, pk)| format!("/{page}/{pk}"));
    let lists = ["", "/enrollments", "/people", "/pools", "/events", "/supervisor?person=BOSS", "/feed", "/keyboard"];
    for page in lists.iter().copied().chain(records.iter().map(String::as_str)) {
        browser.goto(page).await;
        let drawn = "return document.querySelectorAll('form[method=post], main input[type=checkbox][name]').length";
        let boxes = browser.run(drawn).await.as_u64();
        // A filter may have a box of its own.
        let filters = browser.run("return document.querySelectorAll('.filter input[type=checkbox]').length").await;
        assert_eq!(boxes, filters.as_u64(), "{page}");
        assert_eq!(browser.run("return document.querySelector('header .badge').innerText").await, "read only");
    }
    browser.goto(&records[0]).await;
    browser.judge().await;
    browser.shoot("event-read-only").await;
    send(&browser, &format!("/pools/{pool}/rotate"), "token=x&key=x").await;
    browser.wait_for_text("this console only reads").await;
    browser.judge().await;
    browser.shoot("read-only-refused").await;
    assert!(!desk.run(&["--json", "changes", "list"]).contains("reset_code"));
}

#[tokio::test]
async fn a_console_for_a_person_says_for_whom_and_refuses_what_they_may_not_do() {
    if !browser::is_installed("for a person") {
        return;
    }
    let daemon = enroll_tests::process::Daemon::start();
    let made = daemon.enrollctl(&["person", "create", "DOGGO01a"], "");
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let desk = Desk::start_at(daemon, &["--as", "DOGGO01a"]);
    let event = fill(&desk, "Camp", 2, &[], &["CAT02b"]);
    let browser = Browser::open("for a person", &desk).await;
    assert_eq!(browser.run("return document.querySelector('.who').innerText.trim()").await, "for DOGGO01a");
    // The words of the command line, on the page.
    let told = desk.daemon.enrollctl(&["--as", "DOGGO01a", "registration", "create", &event, "CAT02b"], "");
    assert_ne!(told.code, Some(0));
    let told = told.stderr.lines().next().expect("a sentence").trim_start_matches("enrollctl: ").to_owned();
    let sentence = told.split(" (").next().expect("words").trim_start_matches("error: ").to_owned();
    browser.goto(&format!("/events/{event}")).await;
    browser.fill("#person", "CAT02b").await;
    browser.submit("form[action$='/register'] button").await;
    browser.wait_for_text(&sentence).await;
    assert!(browser.driver.title().await.expect("a title").starts_with("Error: "));
    browser.judge().await;
    browser.shoot("for-a-person").await;
    // A refusal's code leads to its page.
    browser.submit("main a[href*='/errors/']").await;
    browser.wait_for_text("What to do:").await;
}
