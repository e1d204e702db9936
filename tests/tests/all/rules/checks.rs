//! The whole check of a registry: what it finds once a record is gone, altered, or there twice.

use std::collections::BTreeMap;

use enroll_core::model::certificate::Certificates;
use enroll_core::model::export_schema::{Importing, entry};
use enroll_core::model::key::{self, Family};
use enroll_core::model::record;
use enroll_core::rules::check::violations;
use enroll_core::state::{StoreError, Writes};
use enroll_protocol::server::Export;
use enroll_protocol::{Envelope, Pk, enrollment, pool, token};
use enroll_tests::registry::Registry;
use enrolld::config::Config;

use super::{check, key as under};

/// A registry that has every record that the check speaks of.
fn full() -> Registry {
    let reserved_callsigns = vec!["portal".to_owned()];
    let mut registry = Registry::configured(&Config { reserved_callsigns, ..Config::default() });
    check(
        &mut registry,
        r#"
        token.use {"token":"a","audit":{"by":"x"}} => {"token"..
        token.use {"token":"b"} => {"token"..
        code.create {"claims":{}} => {"code"..
        code.create {"claims":{}} => {"code"..
        certificate.issue {"name":"portal"} => {..
        person.create {"callsign":"BOSS","roles":["superuser"]} => {"pk"..
        person.create {"callsign":"SUP","roles":["supervisor"]} => {"pk"..
        person.create {"callsign":"REP","roles":["supervisor"]} => {"pk"..
        person.create {"callsign":"CAT","roles":["member"],"certificate":"generate"} => {"pk"..
        person.create {"callsign":"DOG","roles":["member"],"certificate":"generate"} => {"pk"..
        certificate.revoke {"person":"DOG","reason":"superseded"} => ["..
        person.create {"callsign":"OWL","certificate":"generate"} => {"pk"..
        person.delete {"person":"OWL"} => {"pk"..
        person.erase {"person":"OWL"} => {..
        person.create {"callsign":"EMU"} => {"pk"..
        person.delete {"person":"EMU"} => {"pk"..
        supervisor.assign {"person":"CAT","supervisor":"SUP"} => {"pk"..
        supervisor.add_representative {"supervisor":"SUP","representative":"REP"} => true
        enrollment.create {"callsign":"ANT"} => {"pk"..
        enrollment.create {"callsign":"BEE"} => {"pk"..
        enrollment.reject {"enrollment":"BEE"} => {"pk"..
        enrollment.create {"callsign":"ELK"} => {"pk"..
        enrollment.approve {"enrollment":"ELK"} => {"pk"..
        $E = event.create {"title":"Camp","kind":"camp","owner":"BOSS","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"approval":"supervisor","pools":[{"name":"members","capacity":1,"roles":["member"]},{"name":"all","capacity":1,"roles":["member","supervisor"]},{"name":"late","capacity":1,"roles":["member"],"opens":"2027-01-20T10:00:00Z"}]} => {"pk"..
        registration.create {"event":"$E","person":"CAT"} => ..,"waiting":false..
        registration.create {"event":"$E","person":"REP"} => ..,"waiting":false..
        registration.create {"event":"$E","person":"DOG"} => ..,"waiting":true..
        registration.create {"event":"$E","person":"SUP"} => ..,"waiting":true..
        registration.cancel {"event":"$E","person":"SUP"} => ..,"canceled":true..
        registration.place {"event":"$E","person":"BOSS","pool":"all","reason":"x"} => ..,"waiting":false..
        course.create {"key":"Hiking","modes":["audit","masters"]} => {"pk"..
        course.enroll {"course":"Hiking","person":"DOG","mode":"audit"} => {"course"..
        program.enroll {"program":"00000000-0000-0000-0000-00000000000a","create":true,"update":false,"enrollments":[{"external_key":"a","curriculum":"00000000-0000-0000-0000-00000000000a","status":"enrolled"},{"external_key":"b","curriculum":"00000000-0000-0000-0000-00000000000a","status":"enrolled"}]} => {"a"..
        program.enroll_course {"program":"00000000-0000-0000-0000-00000000000a","course":"Hiking","create":true,"update":false,"enrollments":[{"external_key":"a","status":"active"},{"external_key":"b","status":"active"}]} => {"a"..
        program.assign_course_role {"program":"00000000-0000-0000-0000-00000000000a","external_key":"a","course":"Hiking","role":"staff"} => true
        program.assign_course_role {"program":"00000000-0000-0000-0000-00000000000a","external_key":"b","course":"Hiking","role":"staff"} => true
        program.link {"program":"00000000-0000-0000-0000-00000000000a","links":{"a":"CAT"}} => {}
        "#,
    );
    let owner = Some("CAT".parse().expect("a name"));
    let made = registry.call(pool::Create { owner, ..Default::default() }).expect("made");
    let callsign = "FOX".parse().expect("a callsign");
    let pool = Some(made.invitecode.expect("a code").as_str().parse().expect("a code"));
    registry.call(enrollment::Create { pool, ..enrollment::Create::new(callsign) }).expect("enrolled");
    registry
}

/// The records of a registry, each as a line of its export.
fn lines(registry: &mut Registry) -> Vec<String> {
    let text = registry.walk(Envelope::default(), &Export { with_secrets: true }).expect("an export").concat();
    text.lines().filter(|line| line.starts_with("{\"record\"")).map(str::to_owned).collect()
}

/// The violations that the check finds with these entries in place, each with how often; without the subjects
/// and the pks.
fn found(registry: &Registry, entries: Writes) -> BTreeMap<String, usize> {
    let view = registry.store().view().expect("a view");
    let before = entries.keys().map(|key| (key.clone(), view.get(key).expect("an entry"))).collect();
    registry.store().commit(&entries).expect("committed");
    let mut found = BTreeMap::new();
    for violation in registry.violations() {
        let (of, message) = violation.split_once(": ").expect("a subject");
        let invariant = of.split(' ').next().expect("an invariant");
        let words = message.split(' ').map(|word| if word.len() > 16 { "_" } else { word });
        *found.entry(format!("{invariant} {}", words.collect::<Vec<_>>().join(" "))).or_default() += 1;
    }
    registry.store().commit(&before).expect("committed");
    assert_eq!(registry.violations(), Vec::<String>::new());
    found
}

/// The pks and codes that damages name.
fn names(lines: &[String]) -> Vec<(String, String)> {
    let quoted = |line: &str, before: &str| {
        line.split_once(before).and_then(|(_, rest)| rest.split_once('"')).map(|(found, _)| found.to_owned())
    };
    let mut names = vec![("<now>".to_owned(), "2027-01-15T08:00:00.000000Z".to_owned())];
    for line in lines {
        let named = match quoted(line, r#"{"record":""#).expect("a record").as_str() {
            "person" | "enrollment" => (quoted(line, r#""callsign":""#), r#""pk":""#),
            "event" => (Some("camp".to_owned()), r#""pk":""#),
            "invite_code" => (Some("invite".to_owned()), r#""code":""#),
            _ => continue,
        };
        let (Some(name), Some(value)) = (named.0, quoted(line, named.1)) else { continue };
        let name = if name.starts_with("erased") { "owl".to_owned() } else { name.to_lowercase() };
        if !names.iter().any(|(known, _)| *known == format!("<{name}>")) {
            names.push((format!("<{name}>"), value));
        }
    }
    names
}

/// A text in which each record or damage is followed by what the check finds.
fn told(of: &str, found: &BTreeMap<String, usize>) -> String {
    let found = found.iter().map(|(what, times)| format!("    {times} {what}\n"));
    format!("{of}\n{}", found.collect::<String>())
}

/// Each record that is there is taken away in turn; of each kind it is told what was found in all, and how often.
#[test]
fn a_record_that_is_gone_is_missed_by_those_that_lead_to_it() {
    let mut registry = full();
    let mut gone: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
    // The chain of the changes has tables of its own.
    for line in lines(&mut registry).iter().filter(|line| !line.starts_with(r#"{"record":"change"#)) {
        let (shape, key, _) = entry(line).expect("a record");
        let found = found(&registry, Writes::from([(key, None)]));
        let all = gone.entry(shape.name).or_default();
        found.into_iter().for_each(|(what, times)| *all.entry(what).or_default() += times);
    }
    let gone: String = gone.iter().map(|(name, found)| told(name, found)).collect();
    assert_eq!(gone, include_str!("checks/gone.txt"));
}

/// A damage is a kind of record, what a line of it has, and a text that is replaced in the line: after `:` in the place
/// of the record, after `+` beside it.
#[test]
fn a_record_that_is_altered_or_there_twice_is_found() {
    let mut registry = full();
    let lines = lines(&mut registry);
    let names = names(&lines);
    let damages = include_str!("checks/altered.txt");
    let mut altered = String::new();
    for damage in damages.lines().filter(|line| !line.starts_with(' ')) {
        let named = names.iter().fold(damage.to_owned(), |damage, (name, value)| damage.replace(name, value));
        let (of, change) = named.split_once(" : ").or(named.split_once(" + ")).expect("a change");
        let (from, to) = change.split_once(" -> ").expect("an arrow");
        let (record, parts) = of.split_once(' ').unwrap_or((of, ""));
        let record = format!(r#"{{"record":"{record}","#);
        let is_meant = |line: &&String| line.starts_with(&record) && parts.split(' ').all(|part| line.contains(part));
        let line = lines.iter().find(is_meant).expect(damage);
        assert!(line.contains(from), "{damage}: {line}");
        let (_, key, _) = entry(line).expect("a record");
        let (_, new, value) = entry(&line.replacen(from, to, 1)).expect(damage);
        let stays = named[of.len()..].starts_with(" + ");
        let mut entries = if stays { Writes::new() } else { Writes::from([(key, None)]) };
        entries.insert(new, Some(value));
        altered.push_str(&told(damage, &found(&registry, entries)));
    }
    assert_eq!(altered, damages);
}

#[test]
fn a_value_that_can_not_be_read_is_found_in_every_record() {
    let mut registry = full();
    for line in lines(&mut registry) {
        let (_, key, _) = entry(&line).expect("a record");
        let store = registry.store();
        let before = store.view().expect("a view").get(&key).expect("an entry");
        store.commit(&Writes::from([(key.clone(), Some(vec![0xff]))])).expect("committed");
        match violations(&*store.view().expect("a view"), None) {
            Ok(found) => {
                let unreadable = found.iter().filter(|found| found.invariant == "readable").count();
                assert_eq!(unreadable, 1, "{line}: {found:?}");
            }
            // What other checks begin with.
            Err(err) => assert!(matches!(err, StoreError::Corrupt(_)), "{line}: {err}"),
        }
        store.commit(&Writes::from([(key, before)])).expect("committed");
    }
}

#[test]
fn a_key_that_can_not_be_read_is_found() {
    let mut registry = full();
    let call = token::Use::new("c".parse().expect("a token"));
    registry.call_with(under(1), call).expect("spent");
    for (family, expected) in [
        (Family::Tokens, "I6 a token does not lie under a hash"),
        (Family::Kept, "I7 a kept answer does not lie under a uid and a key"),
        (Family::Dues, "I11 what is due here can not be read"),
        (Family::Certificates, "I19 the key of a certificate can not be read"),
        (Family::RoleMembers, "I2 the key of a role's member can not be read"),
        (Family::CourseEnrollments, "I22 the key of a course enrollment can not be read"),
        (Family::CourseRoles, "I22 the key of a role in a course can not be read"),
        (Family::ProgramEnrollments, "I23 the key of a program enrollment can not be read"),
    ] {
        let (from, to) = family.bounds();
        let entries = registry.store().view().expect("a view").range(&from, &to, 1).expect("entries");
        let (key, value) = entries.into_iter().next().expect("an entry");
        let found = found(&registry, Writes::from([(key[..5].to_vec(), Some(value))]));
        assert_eq!(found.get(expected), Some(&1), "{expected}: {found:?}");
    }
}

#[test]
fn a_holder_of_nothing_and_an_import_that_was_left_are_found() {
    let registry = full();
    let nobody = key::certificates(Pk::from_bytes([7; 16]));
    for (key, value, expected) in [
        (nobody, record::encode(&Certificates::default()), "I19 certificates of nobody, or a holder of none"),
        (
            key::importing(),
            record::encode(&Importing::default()),
            "I25 an import is not finished: begin it again with the whole file",
        ),
    ] {
        let found = found(&registry, Writes::from([(key, Some(value))]));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [(expected.to_owned(), 1)]);
    }
}
