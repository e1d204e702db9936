//! An import in pieces, cut anywhere, and begun again over more records than one request removes.

use enroll_core::model::export_schema::entry;
use enroll_protocol::server::{Export, Import, Status};
use enroll_protocol::{Code, Envelope, Key, Pk, changes, event, person, token};
use enroll_tests::registry::Registry;

use super::check;
use super::events::people;

/// More than is removed with one request.
const MANY: usize = 10_500;

fn exported(registry: &mut Registry) -> String {
    let export = Export { with_secrets: true };
    registry.walk(Envelope::default(), &export).expect("an export").concat()
}

fn send(registry: &mut Registry, at: usize, text: &str) -> Result<u64, Code> {
    let import = Import { at: at as u64, text: text.to_owned() };
    registry.call(import).map(|imported| imported.at).map_err(|refusal| refusal.code)
}

fn filled() -> Registry {
    let mut registry = Registry::in_memory();
    for number in 0..7 {
        registry.call(token::Use::new(format!("nonce {number}").parse().expect("a token"))).expect("spent");
        registry.call(person::Create::new(format!("P{number}").parse().expect("a callsign"))).expect("made");
    }
    registry
}

#[test]
fn a_file_is_the_same_wherever_it_is_cut() {
    let text = exported(&mut filled());
    let first = text.find('\n').expect("a line") + 1;
    for piece in [1, 7, 300, text.len()] {
        let mut registry = Registry::in_memory();
        let mut at = first.max(piece.min(text.len()));
        assert_eq!(send(&mut registry, 0, &text[..at]), Ok(at as u64));
        while at < text.len() {
            let end = (at + piece).min(text.len());
            assert_eq!(send(&mut registry, at, &text[at..end]), Ok(end as u64));
            at = end;
        }
        let ended = registry.call(Import { at: at as u64, text: String::new() }).expect("its end");
        assert_eq!(ended.records.and_then(|records| records.get("person").copied()), Some(7));
        let lines = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(lines(&exported(&mut registry)), lines(&text));
        assert_eq!(registry.violations(), Vec::<String>::new());
        let again = registry.call(token::Use::new("nonce 3".parse().expect("a token")));
        assert_eq!(again.map_err(|refusal| refusal.code), Err(Code::TOKEN_REUSE));
    }
}

/// Places and positions by hand, and the marks that keep them, are stored: they go on in another registry.
#[test]
fn people_placed_by_hand_come_back_as_they_were_placed() {
    let mut source = people();
    check(
        &mut source,
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"members","capacity":1,"roles":["member"]},{"name":"guests","capacity":1,"roles":["guest"]}]} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting_position":1..
        OWNER> registration.place {"event":"$E","person":"NONE","pool":"members","reason":"cooks"} => ..,"waiting":false..
        OWNER> registration.place {"event":"$E","person":"M3","position":1,"reason":"helps"} => ..,"waiting_position":1..
        OWNER> registration.place {"event":"$E","person":"BOSS","position":1,"reason":"speaks"} => ..,"waiting_position":1..
        "#,
    );
    let event = source.call(event::List::default()).expect("a page").items[0].pk.to_string();
    let text = exported(&mut source);
    let mut target = Registry::in_memory();
    assert_eq!(send(&mut target, 0, &text), Ok(text.len() as u64));
    assert_eq!(send(&mut target, text.len(), ""), Ok(text.len() as u64));
    let records = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(records(&exported(&mut target)), records(&text));
    let table = r#"
        NONE> registration.get {"event":"$E","person":"NONE"} => ..,"waiting":false,..,"placed":{"by":{"person":"..,"reason":"cooks"}..
        BOSS> registration.get {"event":"$E","person":"BOSS"} => ..,"waiting_position":1,..,"placed":{..,"reason":"speaks"}..
        M3> registration.get {"event":"$E","person":"M3"} => ..,"waiting_position":2,..,"placed":{..,"reason":"helps"}..
        M2> registration.get {"event":"$E","person":"M2"} => ..,"waiting_position":3,..,"placed":null..
        # The place by hand is one of the members' own, so none is free.
        M1> registration.cancel {"event":"$E","person":"M1"} => ..,"canceled":true..
        M3> registration.get {"event":"$E","person":"M3"} => ..,"waiting_position":2..
        # Without a role they wait for every pool.
        G1> registration.cancel {"event":"$E","person":"G1"} => ..,"canceled":true..
        BOSS> registration.get {"event":"$E","person":"BOSS"} => ..,"waiting":false..
        OWNER> event.get {"event":"$E"} => ..,"places_taken":2,"waiting_count":2..
        server.check {} => []
        "#;
    check(&mut target, &table.replace("$E", &event));
}

#[test]
fn a_piece_whose_answer_was_lost_is_answered_again_under_its_key() {
    let text = exported(&mut filled());
    let mut registry = Registry::in_memory();
    let middle = text.len() / 2;
    let pieces = [(0, &text[..middle]), (middle, &text[middle..]), (text.len(), "")];
    let mut send = |number: u8, at: usize, text: &str| {
        let envelope = Envelope { key: Some(Key(Pk::from_bytes([number; 16]))), ..Envelope::default() };
        registry.call_with(envelope, Import { at: at as u64, text: text.to_owned() }).map_err(|refusal| refusal.code)
    };
    for (number, (at, text)) in (1..).zip(pieces) {
        let first = send(number, at, text);
        assert!(first.is_ok(), "{first:?}");
        assert_eq!(send(number, at, text), first);
        // Under another key it is another piece; the first one begins anew.
        if at > 0 {
            assert_eq!(send(9, at, text), Err(Code::CONFLICT), "{at}");
        }
    }
    assert_eq!(registry.violations(), Vec::<String>::new());
}

#[test]
fn what_an_import_has_left_is_removed_some_at_a_time() {
    let text = exported(&mut filled());
    let (header, rest) = text.split_once('\n').expect("a line");
    let constant = |number| {
        format!(
            "{{\"record\":\"constant\",\"key\":{{\"list\":\"many\",\"folded\":\"v{number}\"}},\"value\":{{\"value\":\"v{number}\",\"label\":null}}}}\n"
        )
    };
    let half = format!("{header}\n{}", (0..MANY).map(constant).collect::<String>());
    let mut registry = Registry::in_memory();
    assert_eq!(send(&mut registry, 0, &half), Ok(half.len() as u64));
    // Others are refused before, between and after.
    for expected in [0, text.len() as u64] {
        let create = registry.call(person::Create::new("CAT".parse().expect("a callsign")));
        assert_eq!(create.map_err(|refusal| refusal.code), Err(Code::CONFLICT));
        registry.wake();
        registry.restart();
        assert_eq!(send(&mut registry, 0, &text), Ok(expected));
    }
    assert_eq!(send(&mut registry, text.len(), ""), Ok(text.len() as u64));
    assert_eq!(exported(&mut registry).split_once('\n').map(|(_, lines)| lines), Some(rest));
    // Two registries that were asked the same at the same time would make the same pk.
    registry.pass_seconds(1);
    registry.call(person::Create::new("CAT".parse().expect("a callsign"))).expect("made");
    assert_eq!(registry.violations(), Vec::<String>::new());
}

/// A line that is accepted is written as it is read.
#[test]
fn keys_are_taken_in_one_form_only() {
    let pk = "00000000-0000-0000-0000-00000000000a";
    let line = |record: &str, key: &str, value: &str| {
        entry(&format!("{{\"record\":\"{record}\",\"key\":{key},\"value\":{value}}}")).map(|(shape, ..)| shape.name)
    };
    for (record, key, is_one) in [
        ("role_member", format!("{{\"role\":\"cook\",\"person\":\"{pk}\"}}"), true),
        ("role_member", format!("{{\"role\":\"cook\\u0000x\",\"person\":\"{pk}\"}}"), false),
        ("role_member", format!("{{\"role\":\"Cook!\",\"person\":\"{pk}\"}}"), false),
        ("role_member", format!("{{\"person\":\"{pk}\"}}"), false),
        ("state_enrollment", format!("{{\"state\":\"approved\",\"enrollment\":\"{pk}\"}}"), true),
        ("state_enrollment", format!("{{\"state\":\"lost\",\"enrollment\":\"{pk}\"}}"), false),
        ("state_enrollment", format!("{{\"state\":1,\"enrollment\":\"{pk}\"}}"), false),
        ("event_start", format!("{{\"start\":\"2999-01-01T00:00:00.000000Z\",\"event\":\"{pk}\"}}"), true),
        ("event_start", format!("{{\"start\":\"soon\",\"event\":\"{pk}\"}}"), false),
        ("due", "{\"at\":\"2999-01-01T00:00:00.000000Z\",\"of\":\"abc\"}".to_owned(), false),
    ] {
        assert_eq!(line(record, &key, "null").is_ok(), is_one, "{record} {key}");
    }
    assert!(line("role", "{\"role\":\"cook\"}", "{\"members\":0,\"permissions\":[],\"more\":1}").is_err());
}

/// The refusal of a file.
fn refused(registry: &mut Registry, text: &str) -> (Code, String) {
    let refusal = registry.call(Import { at: 0, text: text.to_owned() }).expect_err("refused");
    (refusal.code, refusal.message)
}

#[test]
fn a_file_of_another_key_format_or_schema_is_refused_and_the_refusal_names_the_way_out() {
    let text = exported(&mut filled());
    let header: serde_json::Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    let with = |field: &str, value: serde_json::Value| {
        let mut header = header.clone();
        header[field] = value;
        format!("{header}\n{}", text.split_once('\n').expect("a line").1)
    };
    let registry = &mut Registry::in_memory();
    for (text, expected) in [
        (with("proof", "00".repeat(32).into()), "was made under another secret key"),
        (with("proof", serde_json::Value::Null), "was made under another secret key"),
        (with("enrolld_export", 99.into()), "import it with that version or a later one"),
        (with("schema", 0.into()), "import it with that version, then update"),
        (with("schema", 999.into()), "import it with that version or a later one"),
    ] {
        let (code, message) = refused(registry, &text);
        assert_eq!(code, Code::CONFLICT);
        assert!(message.contains(expected), "{message}");
    }
    // The time of the registry is the file's.
    let text = with("created", "2026-01-01T00:00:00.000000Z".into());
    assert_eq!(send(registry, 0, &text), Ok(text.len() as u64));
    assert_eq!(send(registry, text.len(), ""), Ok(text.len() as u64));
    let created = registry.call(Status {}).expect("a status").registry_created;
    assert_eq!(created.to_string(), "2026-01-01T00:00:00.000000Z");
}

#[test]
fn a_bad_line_is_named_by_its_number() {
    let text = exported(&mut filled());
    let lines: Vec<&str> = text.lines().collect();
    let list = lines.iter().position(|line| line.contains("\"revoked_list\"")).expect("a list");
    let joined = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let registry = &mut Registry::in_memory();
    let longest = "x".repeat(4 << 20);
    for (text, expected) in [
        ("{}\n".to_owned(), "line 1: this is no export of enrolld".to_owned()),
        (joined(&[&lines[..1], &["{}"]].concat()), "line 2: ".to_owned()),
        (joined(&[&lines[..3], &["{}"]].concat()), "line 4: ".to_owned()),
        (
            joined(&[&lines[..=list], &[lines[list]]].concat()),
            format!("line {}: this revoked_list stands there twice", list + 2),
        ),
        (joined(&[&lines[..], &["{}"]].concat()), format!("line {}: something follows the last line", lines.len() + 1)),
        (format!("{}{longest}x", joined(&lines[..2])), "line 3: the line is too long".to_owned()),
    ] {
        let (code, message) = refused(registry, &text);
        assert_eq!(code, Code::INVALID_ARGUMENT);
        assert!(message.starts_with(&expected), "{message}");
    }
    let text = format!("{}{longest}", joined(&lines[..2]));
    assert_eq!(send(registry, 0, &text), Ok(text.len() as u64), "a line may be as long as that");
    for cut in [joined(&lines[..3]), format!("{}{}", joined(&lines[..2]), lines[2]), format!("{}{{", joined(&lines))] {
        assert_eq!(send(registry, 0, &cut), Ok(cut.len() as u64));
        let ended = registry.call(Import { at: cut.len() as u64, text: String::new() }).expect_err("refused");
        let number = cut.lines().count() + usize::from(cut.ends_with('\n'));
        assert_eq!(ended.code, Code::INVALID_ARGUMENT);
        assert!(ended.message.starts_with(&format!("line {number}: the file is cut off here")), "{}", ended.message);
    }
}

#[test]
fn a_registry_that_made_nothing_is_empty_and_one_that_forgot_its_changes_is_not() {
    let mut source = filled();
    let text = exported(&mut source);
    // Revocation lists are renewed, and the clock is set, without anybody asking.
    let registry = &mut Registry::in_memory();
    registry.pass_seconds(5 * 24 * 60 * 60);
    registry.wake();
    registry.set_clock_by(1000);
    registry.wake();
    let changes = registry.call(changes::Head {}).expect("a head").seq;
    assert!(changes >= 2, "{changes}");
    assert_eq!(send(registry, 0, &text), Ok(text.len() as u64));

    let registry = &mut Registry::with_settings(|settings| settings.changes_keep_seconds = 60);
    registry.call(person::Create::new("CAT".parse().expect("a callsign"))).expect("made");
    assert_eq!(refused(registry, &text).0, Code::CONFLICT);
    registry.pass_seconds(60);
    registry.wake();
    let head = registry.call(changes::Head {}).expect("a head");
    assert_eq!(head.from, head.seq, "every change is forgotten");
    assert_eq!(refused(registry, &text).0, Code::CONFLICT);

    let without = source.walk(Envelope::default(), &Export { with_secrets: false }).expect("an export").concat();
    let registry = &mut Registry::in_memory();
    assert_eq!(send(registry, 0, &without), Ok(without.len() as u64));
    assert_eq!(send(registry, without.len(), ""), Ok(without.len() as u64));
    assert_eq!(registry.violations(), Vec::<String>::new());
}
