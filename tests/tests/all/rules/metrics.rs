//! The metrics rule without sockets: its counts, and the largest size of its text.

use enroll_protocol::limits::FRAME_BYTES_MAX;
use enroll_protocol::operations::TABLE;
use enroll_protocol::{Code, Envelope, Time, person, server};
use enroll_tests::openmetrics::Exposition;
use enroll_tests::registry::{BEGIN_MICROS, Registry};
use enrolld::metrics::{Metrics, Standing};

use super::check;

fn metrics(registry: &mut Registry) -> Exposition {
    Exposition::read(&registry.call(server::Metrics {}).expect("a text"))
}

#[test]
fn the_text_tells_of_the_registry_as_it_is() {
    let registry = &mut Registry::in_memory();
    let before = metrics(registry);
    assert_eq!(before.value("enrolld_records", &[("kind", "token")]), Some(0.0));
    assert_eq!(before.value("enrolld_changes_head", &[]), Some(0.0));
    assert_eq!(before.value("enrolld_start_time_seconds", &[]), Some(1_800_000_000.0));
    assert_eq!(before.value("enrolld_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), Some(1.0));
    check(
        registry,
        r#"
        person.create {"callsign":"BOSS","roles":["superuser"]} => {"pk"..
        person.create {"callsign":"DOG"} => {"pk"..
        token.use {"token":"a"} => {"token"..
        token.use {"token":"a"} => token_reuse
        BOSS> server.metrics => "..EOF\n"
        DOG> server.metrics => permission_denied
        "#,
    );
    let after = metrics(registry);
    assert_eq!(after.value("enrolld_records", &[("kind", "person")]), Some(2.0));
    assert_eq!(after.value("enrolld_records", &[("kind", "token")]), Some(1.0));
    assert_eq!(after.sum("enrolld_records"), 3.0);
    let head = registry.call(server::Status {}).expect("a status").changes_head;
    assert_eq!(after.value("enrolld_changes_head", &[]), Some(head as f64));
    // One request at a time: four writes are four batches, and each was worth a commit.
    for (name, expected) in [
        ("enrolld_batch_requests_count", 4.0),
        ("enrolld_batch_requests_sum", 4.0),
        ("enrolld_commit_seconds_count", 4.0),
    ] {
        assert_eq!(after.value(name, &[]), Some(expected), "{name}");
    }
}

#[test]
fn the_text_tells_what_waits_what_ends_and_what_is_free() {
    let registry = &mut Registry::in_memory();
    let before = metrics(registry);
    assert_eq!(before.value("enrolld_places_free", &[]), Some(0.0));
    assert_eq!(before.value("enrolld_clock_steps_total", &[]), Some(0.0));
    assert_eq!(before.value("enrolld_guess_alarms_total", &[]), Some(0.0));
    check(
        registry,
        r#"
        person.create {"callsign":"OWNER"} => {"pk"..
        person.create {"callsign":"DOG","roles":["member"]} => {"pk"..
        person.create {"callsign":"CAT","roles":["member"]} => {"pk"..
        OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"max_participants":5} => {"pk"..
        $E = OWNER> event.create {"title":"Hike","kind":"hike","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"members","capacity":1,"roles":["member"]}]} => {"pk"..
        OWNER> event.create {"title":"Draft","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"max_participants":70} => {"pk"..
        OWNER> event.create {"title":"Party","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"leisure":true,"max_participants":7} => {"pk"..
        DOG> registration.create {"event":"$E","person":"DOG"} => ..,"waiting":false..
        CAT> registration.create {"event":"$E","person":"CAT"} => ..,"waiting":true..
        enrollment.create {"callsign":"FIRST"} => {"pk"..
        +60
        enrollment.create {"callsign":"SECOND"} => {"pk"..
        enrollment.create {"callsign":"THIRD"} => {"pk"..
        enrollment.reject {"enrollment":"THIRD"} => {"pk"..
        clock 7200
        token.use {"token":"a"} => {"token"..
        "#,
    );
    let after = metrics(registry);
    let waiting = registry.call(server::Status {}).expect("a status").waiting;
    let first = after.value("enrolld_enrollment_oldest_timestamp_seconds", &[]);
    assert_eq!(first, waiting.oldest.map(|oldest| oldest.micros() as f64 / 1e6));
    assert_eq!(first, Some(1_800_000_000.0), "the oldest of two");
    for (name, expected) in [
        ("enrolld_enrollments_waiting", 2.0),
        ("enrolld_places_free", 5.0),
        ("enrolld_places_waiting", 1.0),
        ("enrolld_clock_steps_total", 1.0),
        ("enrolld_follower_lag_changes", 0.0),
    ] {
        assert_eq!(after.value(name, &[]), Some(expected), "{name}");
    }
    let ends = after.value("enrolld_authority_ends_timestamp_seconds", &[]).expect("an end");
    assert!(ends > 1_800_000_000.0, "{ends}");
}

/// Of each holder the last valid certificate counts: one that was renewed or revoked may end.
#[test]
fn the_certificate_that_ends_next_is_one_in_use() {
    const DAY: u64 = 24 * 60 * 60;
    let registry = &mut Registry::in_memory();
    let status = |registry: &mut Registry| registry.call(server::Status {}).expect("a status");
    let found = |registry: &mut Registry| {
        let warnings = status(registry).warnings.into_iter();
        warnings.map(|finding| finding.topic).collect::<Vec<_>>()
    };
    assert_eq!(status(registry).certificate_ends, None);
    check(registry, r#"person.create {"callsign":"DOG","certificate":"generate"} => {"pk".."#);
    let first = status(registry).certificate_ends.expect("an end");
    registry.pass_seconds(DAY);
    check(registry, r#"person.create {"callsign":"CAT","certificate":"generate"} => {"pk".."#);
    assert_eq!(status(registry).certificate_ends, Some(first));
    check(registry, r#"certificate.renew {"person":"DOG"} => "-----BEGIN.."#);
    let second = status(registry).certificate_ends.expect("an end");
    assert_eq!(second, first.plus_seconds(DAY), "that of before is not in use");
    registry.pass_seconds(720 * DAY);
    assert_eq!(found(registry), [""; 0]);
    registry.pass_seconds(4 * DAY);
    assert_eq!(found(registry), ["certificates"]);
    let dog = registry.call(person::Get::new("DOG".parse().expect("a name"))).expect("a person").pk;
    let mend = format!("enrollctl certificate renew {dog}");
    assert!(status(registry).warnings[0].mend.starts_with(&mend), "{:?}", status(registry).warnings);
    check(registry, r#"certificate.revoke {"person":"DOG","reason":"superseded"} => [".."#);
    check(registry, r#"person.delete {"person":"CAT"} => ..null.."#);
    assert_eq!((status(registry).certificate_ends, found(registry)), (None, Vec::new()));
}

#[test]
fn a_batch_counts_as_one() {
    let mut registry = Registry::in_memory();
    let spend = |number: u8| enroll_protocol::token::Use::new(format!("{number}").parse().expect("a token"));
    let requests: Vec<_> = (0..5).map(|number| registry.request(Envelope::default(), &spend(number), |_| {})).collect();
    registry.serve(requests).expect("committed");
    let read = metrics(&mut registry);
    for (bound, expected) in [("1.0", 0.0), ("4.0", 0.0), ("8.0", 1.0), ("+Inf", 1.0)] {
        assert_eq!(read.value("enrolld_batch_requests_bucket", &[("le", bound)]), Some(expected), "{bound}");
    }
    assert_eq!(read.value("enrolld_batch_requests_sum", &[]), Some(5.0));
    assert_eq!(read.value("enrolld_commit_seconds_count", &[]), Some(1.0));
}

/// With everything counted that can be, in numbers as long as they get, the text fits a frame twice.
#[test]
fn the_longest_text_is_far_below_a_frame() {
    let metrics = Metrics::new(Time::from_micros(BEGIN_MICROS).expect("a time"));
    let operations = TABLE.iter().map(|row| row.number).chain([9999, 0]);
    for operation in operations {
        for refused in [None, Some(Code::NOT_FOUND), Some(Code::INTERNAL)] {
            metrics.answered(operation, refused, 1_234.567_890_123);
        }
    }
    for (code, ..) in Code::TABLE {
        metrics.refused(*code);
        metrics.connection_refused(*code);
    }
    let text = metrics.text(&Standing::default()).expect("a text");
    let read = Exposition::read(&text);
    let unknown = [("operation", "unknown"), ("outcome", "done")];
    assert_eq!(read.value("enrolld_operations_total", &unknown), Some(2.0), "all that is unknown is one");
    assert_eq!(read.sum("enrolld_operations_total"), (TABLE.len() as f64 + 2.0) * 3.0);
    assert!(text.len() < FRAME_BYTES_MAX * 3 / 4, "{}", text.len());
}

#[test]
fn every_metric_says_what_it_is() {
    let read = metrics(&mut Registry::in_memory());
    for (name, (_, help)) in &read.metrics {
        assert!(name.starts_with("enrolld_") && help.len() > 15, "{name}: {help}");
    }
}
