//! `enrollctl call`: any language that can start a process and speak JSON is a client, and loses nothing when the
//! daemon does.
//!
//! Lines are answered in their order, also if some are invalid. An outage of less than two seconds is not noticed; a
//! longer one is the error of every line that is open or comes before its end.

use enroll_tests::conversation::Conversation;
use enroll_tests::pattern::matches;
use enroll_tests::process::{Daemon, Output};
use serde_json::{Value, json};

use super::{count, expect_sound};

/// The answers to these lines, one per line.
fn call(daemon: &Daemon, lines: &[&str]) -> (Vec<String>, Output) {
    let output = daemon.enrollctl(&["call"], &(lines.join("\n") + "\n"));
    (output.stdout.lines().map(str::to_owned).collect(), output)
}

fn spend(id: usize, token: &str) -> String {
    json!({"id": id, "op": "token.use", "args": {"token": token}}).to_string()
}

#[test]
fn lines_are_answered_in_their_order_whatever_is_wrong_with_some() {
    let daemon = Daemon::start();
    let table = [
        (
            r#"{"id":1,"op":"person.create","args":{"callsign":"BOSS","roles":["superuser"]}}"#,
            r#"{"id":1,"ok":{"pk":".."#,
        ),
        (
            r#"{"id":"two","op":"person.get","args":{"person":"boss"}}"#,
            r#"{"id":"two","ok":{"pk":"..","callsign":"BOSS".."#,
        ),
        (r#"{"op":"role.list","args":{"person":"BOSS"}}"#, r#"{"id":3,"ok":["superuser"]}"#),
        ("this is no JSON", r#"{"id":4,"error":{"code":"invalid_argument","message":"..JSON..","details":null}}"#),
        (r#"{"id":5,"op":"person.get","args":{"person":"BOSS"}"#, r#"{"id":5,"error":{"code":"invalid_argument".."#),
        ("[]", r#"{"id":6,"error":{"code":"invalid_argument".."#),
        (
            r#"{"id":7,"op":"person.get","args":{"person":"BOSS","x":1}}"#,
            r#"{"id":7,"error":{"code":"invalid_argument","message":"..`x`.."#,
        ),
        (r#"{"id":8,"op":"person.get","who":"x"}"#, r#"{"id":8,"error":{"code":"invalid_argument","message":"..who.."#),
        (r#"{"id":9,"op":"person.get"}"#, r#"{"id":9,"error":{"code":"invalid_argument","message":"..person.."#),
        (
            r#"{"id":10,"op":"person.dance"}"#,
            r#"{"id":10,"error":{"code":"unknown_operation","message":"..person.dance.."#,
        ),
        (
            r#"{"id":11,"op":"person.get","args":{"person":"nobody"}}"#,
            r#"{"id":11,"error":{"code":"not_found","message":"..nobody.."#,
        ),
        (
            r#"{"id":12,"op":"person.create","args":{"callsign":"DOG","extra":null,"roles":null,"certificate":null}}"#,
            r#"{"id":12,"ok":{..,"extra":{},"#,
        ),
        (
            r#"{"id":13,"op":"role.assign","args":{"person":"DOG","role":"member"},"actor":"DOG"}"#,
            r#"{"id":13,"error":{"code":"permission_denied".."#,
        ),
        (
            r#"{"id":14,"op":"role.assign","args":{"person":"DOG","role":"member"},"actor":"BOSS","origin":"::1"}"#,
            r#"{"id":14,"ok":true}"#,
        ),
        (r#"{"id":15,"op":"token.use","args":{"token":"t"},"dry_run":true}"#, r#"{"id":15,"ok":{"token":"t".."#),
        (
            r#"{"id":16,"op":"token.use","args":{"token":"t"},"key":"1"}"#,
            r#"{"id":16,"error":{"code":"invalid_argument","message":"key:.."#,
        ),
        (r#"{"id":17,"op":"token.use","args":{"token":"t"}}"#, r#"{"id":17,"ok":{"token":"t".."#),
        (
            r#"{"id":18,"op":"token.use","args":{"token":"t"}}"#,
            r#"{"id":18,"error":{"code":"token_reuse",..,"details":{"state":"used","used_on":"..Z","used_by":{"uid":..}}}}"#,
        ),
        (r#"{"id":[1,null,"x"],"op":"server.check","args":{}}"#, r#"{"id":[1,null,"x"],"ok":[]}"#),
        (
            r#"{"id":20,"op":"changes.list","args":{"since":2,"limit":1}}"#,
            r#"{"id":20,"ok":{"items":[{"seq":3,.."actor":"..","peer":{"uid":..},"origin":"::1".."#,
        ),
        (
            r#"{"id":21,"op":"changes.follow","args":{"since":0}}"#,
            r#"{"id":21,"error":{"code":"invalid_argument","message":"..`enrollctl changes follow`.."#,
        ),
    ];
    let lines: Vec<&str> = table.iter().map(|(line, _)| *line).collect();
    let (answers, output) = call(&daemon, &lines);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "refused lines are answers");
    assert_eq!(answers.len(), table.len());
    for ((line, expected), answer) in table.iter().zip(&answers) {
        let expected = if expected.ends_with('}') { (*expected).to_owned() } else { format!("{expected}..") };
        assert!(matches(answer, &expected), "{line}\n  answered {answer}\n  expected {expected}");
    }
    expect_sound(&daemon);
}

#[test]
fn a_line_that_is_too_long_or_no_text_spoils_only_itself() {
    let daemon = Daemon::start();
    let long = format!(r#"{{"op":"token.use","args":{{"token":"{}"}}}}"#, "x".repeat(2 << 20));
    let (answers, output) = call(&daemon, &[&long, "", "  ", r#"{"op":"server.check"}"#]);
    assert_eq!(output.code, Some(0));
    assert!(matches(&answers[0], r#"{"id":1,"error":{"code":"invalid_argument".."#), "{}", answers[0]);
    assert_eq!(answers[1..], [r#"{"id":4,"ok":[]}"#]);
}

#[test]
fn a_program_may_wait_for_each_answer() {
    let daemon = Daemon::start();
    let mut conversation = Conversation::begin(&daemon.home);
    for number in 0..50 {
        conversation.say(&spend(number, &format!("nonce {number}")));
        let answer = conversation.answer();
        assert_eq!((&answer["id"], answer["ok"].is_object()), (&json!(number), true), "{answer}");
    }
    assert_eq!(conversation.finish(), (vec![], Some(0)));
}

#[test]
fn a_line_repeated_with_its_key_gets_the_same_answer() {
    let daemon = Daemon::start();
    let (made, _) = call(&daemon, &[r#"{"op":"code.create","args":{"claims":{"sub":"DOG"}}}"#]);
    let made: Value = serde_json::from_str(&made[0]).expect("JSON");
    let code = made["ok"]["code"].as_str().expect("a code");
    let exchange = |key: &str| {
        json!({"id": 1, "op": "code.use", "args": {"code": code}, "key": format!("019aab01-997b-774b-bfff-{key}")})
            .to_string()
    };
    let (first, second) = (exchange("000000000001"), exchange("000000000002"));
    let (answers, _) = call(&daemon, &[&first, &first, &second, &second]);
    assert!(answers[0].contains("\"jwt\":\"ey"), "{}", answers[0]);
    assert_eq!(answers[1], answers[0]);
    assert!(answers[2].contains("token_reuse"), "{}", answers[2]);
    assert_eq!(answers[3], answers[2], "a refusal is kept as well");
    let (later, _) = call(&daemon, &[&first, &second]);
    assert_eq!(later, [answers[0].clone(), answers[2].clone()], "on another connection");
    expect_sound(&daemon);
}

/// Lines without keys of their own: `call` gives them some, so a write whose answer was lost is not done twice.
#[test]
fn every_line_is_done_once_though_the_daemon_is_killed_in_the_middle() {
    const LINES: usize = 600;
    let mut daemon = Daemon::start();
    let mut conversation = Conversation::begin(&daemon.home);
    let mut answers = Vec::new();
    for number in 0..LINES {
        conversation.say(&spend(number, &format!("nonce {number}")));
        if number % 200 == 150 {
            answers.push(conversation.answer());
            daemon.kill9();
            daemon.restart();
        }
    }
    let (rest, code) = conversation.finish();
    answers.extend(rest);
    assert_eq!((answers.len(), code), (LINES, Some(0)));
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(
            (&answer["id"], &answer["ok"]["token"]),
            (&json!(number), &json!(format!("nonce {number}"))),
            "{answer}"
        );
    }
    assert_eq!(count(&daemon, "token"), LINES as u64);
    expect_sound(&daemon);
}

#[test]
fn when_the_daemon_stays_away_every_line_is_told() {
    let mut daemon = Daemon::start();
    let mut conversation = Conversation::begin(&daemon.home);
    conversation.say(&spend(1, "nonce 1"));
    assert!(conversation.answer()["ok"].is_object());
    daemon.kill9();
    for number in 2..=4 {
        conversation.say(&spend(number, "nonce"));
    }
    conversation.say("{\"id\":5,\"op\":\"no.such\"}");
    let first = conversation.answer();
    assert_eq!((&first["id"], &first["error"]["code"]), (&json!(2), &json!("unavailable")));
    conversation.say(&spend(6, "nonce"));
    let (answers, code) = conversation.finish();
    let answered: Vec<_> = answers.iter().map(|answer| (&answer["id"], &answer["error"]["code"])).collect();
    let unavailable = json!("unavailable");
    assert_eq!(answered.len(), 4, "{answers:?}");
    for (at, id) in [(0, 3), (1, 4), (3, 6)] {
        assert_eq!(answered[at], (&json!(id), &unavailable));
    }
    assert_eq!(code, Some(3));
    let output = daemon.enrollctl(&["call"], &(spend(1, "nonce") + "\n"));
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.stdout.contains("unavailable"), "{output:?}");
    assert!(output.stderr.contains("enrolld.sock") && output.stderr.lines().count() == 1, "{output:?}");
}

#[test]
fn a_stream_has_no_place_in_call() {
    let daemon = Daemon::start();
    let (answers, _) = call(&daemon, &[r#"{"op":"changes.follow"}"#, r#"{"op":"server.check"}"#]);
    assert!(answers[0].contains("unknown_operation") || answers[0].contains("invalid_argument"), "{}", answers[0]);
    assert_eq!(answers[1], r#"{"id":2,"ok":[]}"#);
}

#[test]
fn a_read_sees_what_was_sent_before_it_and_nothing_that_was_sent_behind_it() {
    let daemon = Daemon::start();
    let mut lines = vec![r#"{"op":"person.create","args":{"callsign":"V"}}"#.to_owned()];
    let role = |verb: &str| format!(r#"{{"op":"role.{verb}","args":{{"person":"V","role":"q"}}}}"#);
    for number in 0..200 {
        lines.extend(["assign", "has", "remove", "has"].map(role));
        lines.push(format!(r#"{{"op":"person.get","args":{{"person":"P{number}"}}}}"#));
        lines.push(format!(r#"{{"op":"person.create","args":{{"callsign":"P{number}"}}}}"#));
        // A whole check in between sees a registry that is at rest as well.
        lines.extend((number % 50 == 0).then(|| r#"{"op":"server.check"}"#.to_owned()));
    }
    let answered = daemon.enrollctl(&["call"], &lines.join("\n"));
    let answers: Vec<Value> = answered.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(answers.len(), lines.len(), "{}", answered.stderr);
    let mut has = [true, false].into_iter().cycle();
    for (line, answer) in lines.iter().zip(&answers) {
        let expected = match line {
            line if line.contains("role.has") => serde_json::json!(has.next()),
            line if line.contains("person.get") => serde_json::json!("not_found"),
            line if line.contains("server.check") => serde_json::json!([]),
            line if line.contains("person.create") => continue,
            _ => serde_json::json!(true),
        };
        let answered = if answer["ok"].is_null() { &answer["error"]["code"] } else { &answer["ok"] };
        assert_eq!(*answered, expected, "{line}");
    }
}
