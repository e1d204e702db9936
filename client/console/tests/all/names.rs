//! Names that try to be something else, on every page: markup, quotes, marks of direction, very long ones and one letter.

use serde_json::{Value, json};

use super::browser;

/// Callsigns. The daemon takes no mark of direction in them, so that those stand in titles and what people brought.
const NAMES: &[&str] = &["<script>document.title='broken'</script>", "'\"><img src=x onerror=alert(1)>", "x"];

const TITLE: &str = "\"</title><script>document.title='broken'</script>";

#[tokio::test]
async fn no_name_breaks_a_page() {
    let Some((desk, browser)) = browser::begin("names", &[]).await else { return };
    desk.run(&["person", "create", "BOSS", "--role", "superuser"]);
    let long = "W".repeat(60);
    let names: Vec<&str> = NAMES.iter().copied().chain([long.as_str()]).collect();
    let extra = json!({"mirror\u{202e}": "\u{202e}gnp.exe\u{2066}\u{200f}", "\u{5e9}": TITLE, "long": "w".repeat(900)});
    let person = |name: &&str| {
        ("person.create", json!({"callsign": name, "roles": ["member"], "extra": extra, "certificate": "generate"}))
    };
    let people = desk.call(names.iter().map(person));
    desk.call(names.iter().map(|name| ("supervisor.assign", json!({"person": name, "supervisor": "BOSS"}))));
    let pools = desk.call(names.iter().map(|name| ("pool.create", json!({"owner": name, "extra": extra}))));
    let enrollment =
        |(at, name): (usize, &&str)| ("enrollment.create", json!({"callsign": format!("{name}{at}"), "extra": extra}));
    let enrollments = desk.call(names.iter().enumerate().map(enrollment));
    let event = |title: String| {
        (
            "event.create",
            json!({"title": title, "kind": "camp", "owner": names[0], "extra": extra, "approval": "supervisor",
            "start": "2099-01-01T10:00:00Z", "duration_minutes": 60, "published": true,
            "pools": [{"name": "<b>all", "capacity": 3, "roles": ["member"]}]}),
        )
    };
    let events = desk.call([TITLE.to_owned(), "W".repeat(120), ".".to_owned()].map(event));
    let pk = |record: &Value| record["pk"].as_str().expect("a pk").to_owned();
    let register = |name: &&str| ("registration.create", json!({"event": pk(&events[0]), "person": name}));
    desk.call(names.iter().map(register));
    let records = [("people", &people), ("pools", &pools), ("enrollments", &enrollments), ("events", &events)];
    let records = records.iter().flat_map(|(page, made)| made.iter().map(move |one| format!("/{page}/{}", pk(one))));
    let lists =
        ["", "/people", "/pools", "/enrollments", "/events", "/supervisor?person=BOSS", "/feed"].map(str::to_owned);
    let invitations = pools.iter().take(1).map(|pool| format!("/pools/{}/invitation", pk(pool)));
    for (number, page) in lists.into_iter().chain(records).chain(invitations).enumerate() {
        browser.goto(&page).await;
        let title = browser.driver.title().await.expect("a title");
        assert!(title.ends_with(" \u{2013} enrolld") && title != "broken", "{page}: {title}");
        let strange = "return document.querySelectorAll('main script, main img, main b').length";
        assert_eq!(browser.run(strange).await, 0, "{page}");
        // No mark of direction stands in the document but those of the title that isolate it.
        let marks = "return /[\\u202a-\\u202e\\u2066-\\u2069\\u200e\\u200f]/.test(document.body.textContent)";
        assert_eq!(browser.run(marks).await, false, "{page}");
        browser.judge().await;
        browser.shoot_phone(&format!("names-{number}")).await;
    }
}
