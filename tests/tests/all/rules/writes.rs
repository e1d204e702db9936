//! Write amplification: the keys and bytes that each kind of write puts into the store, as listed in `docs/writes.md`.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use enroll_core::model::key::WITHOUT_ORDER;
use enroll_core::state::memory::MemoryStore;
use enroll_core::state::{Store, StoreError, View, Writes};
use enroll_protocol::Envelope;
use enroll_tests::registry::Registry;
use enrolld::config::Config;

use super::call;

const TABLE: &str = include_str!("../../../../docs/writes.md");

/// A memory store that shows the last batch, and what was there before it.
#[derive(Default)]
struct Shown {
    store: MemoryStore,
    last: Arc<Mutex<Option<(View, Writes)>>>,
}

impl Store for Shown {
    fn view(&self) -> Result<View, StoreError> {
        self.store.view()
    }

    fn commit(&self, writes: &Writes) -> Result<(), StoreError> {
        *self.last.lock().expect("unpoisoned") = Some((self.store.view()?, writes.clone()));
        self.store.commit(writes)
    }

    fn bytes(&self) -> u64 {
        0
    }
}

/// A line of the table.
fn line(what: &str, (before, writes): (View, Writes)) -> String {
    let is_without_order = |key: &[u8]| WITHOUT_ORDER.contains(&key[0]);
    let is_there = |key: &[u8]| before.get(key).expect("read").is_some();
    let (mut without_order, mut in_order, mut again, mut deleted) = (0, 0, 0, 0);
    for (key, value) in &writes {
        *match value {
            None => &mut deleted,
            Some(_) if is_there(key) => &mut again,
            Some(_) if is_without_order(key) => &mut without_order,
            Some(_) => &mut in_order,
        } += 1;
    }
    let size = |key: &[u8], value: &Option<Vec<u8>>| key.len() + value.as_ref().map_or(0, Vec::len);
    let bytes: usize = writes.iter().map(|(key, value)| size(key, value)).sum();
    let of_random = writes.iter().filter(|(key, _)| is_without_order(key)).map(|(key, value)| size(key, value));
    let largest = of_random.max().map_or("".to_owned(), |bytes| bytes.to_string());
    format!(
        "| {what} | {} | {without_order} | {in_order} | {again} | {deleted} | {bytes} | {largest} |\n",
        writes.len()
    )
}

#[test]
fn the_table_of_what_is_written_is_right() {
    let store = Shown::default();
    let last = Arc::clone(&store.last);
    let mut registry = Registry::over(Arc::new(store), &Config::default());
    let mut table = String::new();
    let mut run = |what: Option<&str>, envelope: Envelope, op: &str, args: &str| {
        registry.pass_seconds(1);
        let reply = call(&mut registry, envelope, op, args).unwrap_or_else(|refusal| panic!("{op} {args}: {refusal}"));
        let written = last.lock().expect("unpoisoned").take().expect("something was written");
        if let Some(what) = what {
            table.push_str(&line(what, written));
        }
        serde_json::from_str::<serde_json::Value>(&reply).expect("JSON")
    };
    let plain = Envelope::default;
    let keyed = |number: u8| Envelope {
        key: Some(format!("018f4e2a-0000-7000-8000-00000000000{number}").parse().expect("a key")),
        ..Envelope::default()
    };

    run(None, plain(), "person.create", r#"{"callsign":"BOSS","roles":["superuser"]}"#);
    run(Some("person.create"), plain(), "person.create", r#"{"callsign":"DOGGO01a"}"#);
    run(Some("person.create with a role"), plain(), "person.create", r#"{"callsign":"DOGGO02a","roles":["pilot"]}"#);
    run(Some("person.update"), plain(), "person.update", r#"{"person":"DOGGO01a","extra":{"team":"red"}}"#);
    run(Some("role.assign"), plain(), "role.assign", r#"{"person":"DOGGO01a","role":"pilot"}"#);
    let pool = run(Some("pool.create"), plain(), "pool.create", r#"{"owner":"BOSS"}"#);
    let pool = pool["invitecode"].as_str().expect("a code");
    let enroll = |callsign: &str| format!(r#"{{"callsign":"{callsign}","pool":"{pool}"}}"#);
    run(Some("enrollment.create"), plain(), "enrollment.create", &enroll("DOGGO03a"));
    run(Some("enrollment.create under a key"), keyed(1), "enrollment.create", &enroll("DOGGO04a"));
    run(Some("enrollment.approve"), plain(), "enrollment.approve", r#"{"enrollment":"DOGGO03a"}"#);
    run(Some("enrollment.reject"), plain(), "enrollment.reject", r#"{"enrollment":"DOGGO04a"}"#);
    run(Some("token.use"), plain(), "token.use", r#"{"token":"nonce 1"}"#);
    run(Some("token.use with audit"), plain(), "token.use", r#"{"token":"nonce 2","audit":{"ip":"203.0.113.9"}}"#);
    let code = run(Some("code.create"), plain(), "code.create", r#"{"claims":{"sub":"DOGGO01a"}}"#);
    let code = code["code"].as_str().expect("a code");
    run(Some("code.use"), plain(), "code.use", &format!(r#"{{"code":"{code}"}}"#));
    let create = r#"{"title":"Camp","kind":"camp","start":"2030-01-01T00:00:00Z","duration_minutes":60,"owner":"BOSS",
                     "published":true,"pools":[{"name":"all","capacity":1,"roles":["pilot"]}]}"#;
    let event = run(Some("event.create"), plain(), "event.create", create);
    let event = event["pk"].as_str().expect("a pk");
    let of = |person: &str| format!(r#"{{"event":"{event}","person":"{person}"}}"#);
    run(Some("registration.create, with a place"), plain(), "registration.create", &of("DOGGO01a"));
    run(Some("registration.create, waiting"), plain(), "registration.create", &of("DOGGO02a"));
    run(Some("registration.cancel, and one moves up"), plain(), "registration.cancel", &of("DOGGO01a"));
    let program = "00000000-0000-0000-0000-00000000000a";
    let enroll = format!(
        r#"{{"program":"{program}","create":true,"update":false,"enrollments":[{{"external_key":"s-4711","curriculum":"{program}","status":"enrolled"}}]}}"#
    );
    let enroll_course = format!(
        r#"{{"program":"{program}","course":"Hiking","create":true,"update":false,"enrollments":[{{"external_key":"s-4711","status":"active"}}]}}"#
    );
    run(Some("course.create"), plain(), "course.create", r#"{"key":"Hiking","modes":["audit","masters"]}"#);
    run(Some("program.enroll, one key"), plain(), "program.enroll", &enroll);
    run(Some("program.enroll_course, one key"), plain(), "program.enroll_course", &enroll_course);
    let link = |person: &str| format!(r#"{{"program":"{program}","links":{{"s-4711":"{person}"}}}}"#);
    run(Some("program.link, one key with one course"), plain(), "program.link", &link("DOGGO01a"));
    run(Some("program.link, of a key that is moved"), plain(), "program.link", &link("DOGGO02a"));

    let units = r#"{"units":[{"op":"role.assign","args":{"person":"DOGGO01a","role":"cook"}},
                              {"op":"role.assign","args":{"person":"DOGGO02a","role":"cook"}}]}"#;
    run(Some("transaction.run of two role.assign"), plain(), "transaction.run", units);
    let units = units.replace("assign", "remove");
    run(Some("transaction.run of two role.remove, under a key"), keyed(2), "transaction.run", &units);

    let mut lines = String::new();
    writeln!(lines, "| write | keys | without order | in order | again | deleted | bytes | largest without order |")
        .expect("written");
    lines.push_str("|---|---|---|---|---|---|---|---|\n");
    lines.push_str(&table);
    assert!(TABLE.contains(&lines), "docs/writes.md must have:\n{lines}");
}
