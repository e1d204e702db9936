//! Events in a browser: the picture, an explanation, the decisions, and two browsers that race for the last place.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use enroll_tests::process::binary;

use super::browser::{self, Browser, Desk};

const START: &str = "2099-03-01T10:00:00Z";

/// An event with one pool of this capacity for members, and these members.
pub(crate) fn fill(desk: &Desk, title: &str, capacity: u32, options: &[&str], members: &[&str]) -> String {
    desk.run(&["person", "create", "BOSS", "--role", "superuser"]);
    for name in members {
        desk.run(&["person", "create", name, "--role", "member"]);
    }
    let pool = format!("{{\"name\":\"members\",\"capacity\":{capacity},\"roles\":[\"member\"]}}");
    let fixed =
        ["--owner", "BOSS", "--start", START, "--duration-minutes", "60", "--published", "true", "--pool", &pool];
    let mut args = vec!["event", "create", title, "--kind", "camp"];
    args.extend(fixed.iter().chain(options).chain(&["--field", "pk"]));
    desk.run(&args)
}

/// A second console of a desk's daemon.
struct Console {
    process: Child,
    address: String,
}

impl Console {
    fn start(desk: &Desk) -> Self {
        let mut command = desk.daemon.home.command(&binary("enrollctl-console"));
        command.arg("--socket").arg(desk.daemon.home.socket()).arg("--no-browser");
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("started");
        let mut address = String::new();
        BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut address).expect("a line");
        Self { process, address: address.trim().to_owned() }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn register(browser: &Browser, name: &str) {
    browser.fill("#person", name).await;
    browser.submit("form[action$='/register'] button").await;
}

#[tokio::test]
async fn people_register_are_decided_on_and_give_up_their_places() {
    let Some((desk, browser)) = browser::begin("events", &[]).await else { return };
    let names = ["DOGGO01a", "CAT02b", "<b>OWL"];
    let event = fill(&desk, "<script>alert(1)</script>", 2, &["--approval", "supervisor"], &names);
    desk.run(&[
        "event",
        "add_pool",
        &event,
        "guests",
        "--capacity",
        "3",
        "--role",
        "guest",
        "--opens",
        "2098-01-01T00:00:00Z",
    ]);
    desk.run(&["person", "create", "NOBODY"]);
    browser.goto("/events?time=upcoming").await;
    browser.judge().await;
    browser.shoot("events").await;
    browser.shoot_phone("events").await;
    browser.submit("tbody a").await;
    browser.wait_for_text("<script>alert(1)</script> (camp, published)").await;
    for name in names {
        register(&browser, name).await;
    }
    browser.wait_for_text("<b>OWL: waits as number 1, approval pending").await;
    browser.wait_for_text("2 of 2, for member; 1 waits; 2 pending").await;
    browser.judge().await;
    browser.shoot("event").await;
    browser.shoot_phone("event").await;
    // A person without a role is told why, in the words of the command line.
    let told = desk.daemon.enrollctl(&["registration", "explain", &event, "NOBODY"], "").stdout;
    browser.fill("#explain", "NOBODY").await;
    browser.submit("#explained button").await;
    browser.wait_for_text("They would be refused (no_permission).").await;
    let because = told.lines().find_map(|line| line.strip_prefix("because")).expect("a reason").trim().to_owned();
    browser.wait_for_text(&because).await;
    browser.judge().await;
    browser.shoot("event-explained").await;
    let box_ = |row: u32| format!("table:first-of-type tbody tr:nth-child({row}) input");
    browser.click(&box_(1)).await;
    browser.submit("button[value=approve]").await;
    browser.wait_for_text("DOGGO01a: approved").await;
    browser.click(&box_(2)).await;
    browser.fill("#reason", "needed elsewhere").await;
    browser.submit("button[value=reject]").await;
    browser.wait_for_text("CAT02b: rejected").await;
    assert_eq!(desk.run(&["registration", "get", &event, "CAT02b", "--field", "reason"]), "needed elsewhere");
    assert_eq!(desk.run(&["registration", "get", &event, "<b>OWL", "--field", "waiting"]), "false");
    browser.click(&box_(1)).await;
    browser.submit("button[value=cancel]").await;
    browser.wait_for_text("DOGGO01a: canceled").await;
    let changes = desk.run(&["--json", "changes", "list"]);
    for verb in ["create", "approve", "reject", "cancel", "seated"] {
        assert!(changes.contains(&format!("\"area\":\"registration\",\"verb\":\"{verb}\"")), "{verb}: {changes}");
    }
    // Nothing chosen is told.
    browser.submit("button[value=approve]").await;
    browser.wait_for_text("no registration was chosen").await;
}

#[tokio::test]
async fn of_two_browsers_that_race_for_the_last_place_one_gets_it() {
    let Some((desk, one)) = browser::begin("race", &[]).await else { return };
    let event = fill(&desk, "Camp", 1, &["--waiting-list", "false"], &["CAT02b", "DOGGO01a"]);
    // Each browser has a console of its own, because a code opens one session.
    let second = Console::start(&desk);
    let other = Browser::start("race", second.address.split("/enter?").next().unwrap_or_default()).await;
    other.driver.goto(&second.address).await.expect("the entrance");
    other.wait_for_text("Today").await;
    let page = format!("/events/{event}");
    one.goto(&page).await;
    other.goto(&page).await;
    tokio::join!(register(&one, "CAT02b"), register(&other, "DOGGO01a"));
    let texts = [one.text().await, other.text().await];
    let seated =
        texts.iter().filter(|text| text.contains("has a place in \"members\"") && text.contains("Done")).count();
    let refused = texts.iter().filter(|text| text.contains("(no_free_slots)")).count();
    assert_eq!((seated, refused), (1, 1), "{texts:?}");
    assert_eq!(desk.run(&["event", "get", &event, "--field", "places_taken"]), "1");
    other.judge().await;
    other.shoot("event-race").await;
}
