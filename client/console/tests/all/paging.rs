//! Lists of several pages in a browser: each record once, the filter in the address, and the way back to the start.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::browser::{self, Browser};

/// Goes through a list and returns the rows' links in their order.
async fn walk(browser: &Browser, address: &str, rows: &str) -> Vec<String> {
    let (mut all, mut pages) = (Vec::new(), 1);
    browser.goto(address).await;
    loop {
        let links = browser.run(&format!("return [...document.querySelectorAll('{rows}')].map((a) => a.href)")).await;
        all.extend(links.as_array().expect("links").iter().filter_map(Value::as_str).map(str::to_owned));
        if browser.run("return !document.querySelector('main a[rel=next]')").await == true {
            break;
        }
        browser.submit("main a[rel=next]").await;
        pages += 1;
        let query = address.split_once('?').map_or("", |(_, query)| query);
        let here = browser.address().await;
        assert!(query.split('&').all(|part| here.contains(part)), "the filter stays: {here}");
    }
    assert!(pages > 1, "{address} has one page");
    browser.judge().await;
    // From the last page there is a way back to the first.
    browser.submit(".pages li:first-child a").await;
    assert_eq!(browser.address().await, address);
    let first = browser.run(&format!("return document.querySelector('{rows}').href")).await;
    assert_eq!(first, all[0]);
    all
}

#[tokio::test]
async fn every_list_shows_each_record_once_on_several_pages() {
    let Some((desk, browser)) = browser::begin("paging", &[]).await else { return };
    desk.run(&["person", "create", "BOSS", "--role", "superuser"]);
    const RECORDS: usize = 120;
    let event_of = |number| {
        json!({"title": format!("Camp {number}"), "kind": "camp", "owner": "BOSS", "start": "2099-01-01T10:00:00Z",
            "duration_minutes": 60, "published": true, "pools": [{"name": "all", "capacity": 200, "roles": ["member"]}]})
    };
    let numbers = 0..RECORDS;
    desk.call(numbers.clone().map(|number| ("person.create", json!({"callsign": format!("DOG{number:03}")}))));
    desk.call(numbers.clone().map(|number| ("enrollment.create", json!({"callsign": format!("CAT{number:03}")}))));
    desk.call(numbers.clone().map(|_| ("pool.create", json!({"owner": "BOSS"}))));
    let events = desk.call(numbers.clone().map(|number| ("event.create", event_of(number))));
    for (address, rows) in [
        ("/people?prefix=DOG", "tbody th a"),
        ("/enrollments?prefix=CAT", "tbody th a"),
        ("/pools?owner=BOSS", "tbody th a"),
        ("/events?time=upcoming&kind=camp", "tbody th a"),
        ("/feed?area=enrollment&refused=without", ".feed .seq a"),
    ] {
        let all = walk(&browser, address, rows).await;
        let once: BTreeSet<&String> = all.iter().collect();
        assert_eq!((all.len(), once.len()), (RECORDS, RECORDS), "{address}");
    }
    // The people of an event are a list within its page.
    let event = events[0]["pk"].as_str().expect("a pk");
    desk.call(
        numbers.clone().map(|number| ("role.assign", json!({"person": format!("DOG{number:03}"), "role": "member"}))),
    );
    let dog = |number| format!("DOG{number:03}");
    let register = |number| ("registration.create", json!({"event": event, "person": dog(number)}));
    desk.call(numbers.clone().map(register));
    let all = walk(&browser, &format!("/events/{event}"), "tbody th a").await;
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (RECORDS, RECORDS));
    // So are those who wait for a supervisor's decision, their own people and those whom they represent.
    for name in ["CHIEF", "DEPUTY"] {
        desk.run(&["person", "create", name, "--role", "supervisor"]);
    }
    desk.run(&["supervisor", "add_representative", "CHIEF", "DEPUTY"]);
    let supervisor = |number| if number % 2 == 0 { "CHIEF" } else { "DEPUTY" };
    let assign = |number| ("supervisor.assign", json!({"person": dog(number), "supervisor": supervisor(number)}));
    desk.call(numbers.clone().map(assign));
    let mut decided = event_of(RECORDS);
    decided["approval"] = json!("supervisor");
    let decided = desk.call([("event.create", decided)]);
    let register = |number| ("registration.create", json!({"event": decided[0]["pk"], "person": dog(number)}));
    desk.call(numbers.map(register));
    let all = walk(&browser, "/supervisor?person=DEPUTY", "tbody th a").await;
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (RECORDS, RECORDS));
}
