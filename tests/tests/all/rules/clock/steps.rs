//! Clock steps: their effect on stored times, and a clock that is doubted at a start.

use std::sync::mpsc;
use std::thread;

use enroll_core::model::key::Family;
use enroll_protocol::{Code, Envelope, Json, Jwt, Time, certificate, changes, code, event, jwt, person, server, token};
use enroll_tests::registry::Registry;
use enrolld::config::Config;

use super::super::events::people;
use super::super::{check, key};

const DAY: u64 = 24 * 60 * 60;

/// Ten years.
const AHEAD: i64 = 3650 * 24 * 60 * 60;

fn entries(registry: &Registry, family: Family) -> usize {
    let (from, to) = family.bounds();
    registry.store().view().expect("a view").range(&from, &to, usize::MAX).expect("entries").len()
}

fn log_in(registry: &mut Registry) -> Jwt {
    let code = registry.call(code::Create::new(Json::default())).expect("made").code.expect("a code");
    registry.call(code::Use::new(code)).expect("exchanged").jwt.expect("a JWT")
}

/// The warnings of a clock that is doubted.
fn doubts(registry: &mut Registry) -> Vec<String> {
    let warnings = registry.call(server::Status {}).expect("a status").warnings.into_iter();
    warnings
        .filter(|warning| warning.topic == "clock" && warning.subject == "start")
        .map(|found| found.message)
        .collect()
}

#[test]
fn steps_are_recorded_and_time_goes_by_the_clock_as_it_is_set() {
    check(
        &mut Registry::in_memory(),
        r#"
        server.status {} => ..,"clock":null,..
        token.use {"token":"a"} => ..,"created":"2027-01-15T08:00:00.000000Z"..
        clock 315360000
        token.use {"token":"b"} => ..,"created":"2037-01-12T08:00:00.000000Z"..
        server.status {} => {..,"uptime_seconds":0,..,"clock":{"last_step_seconds":315360000,"last_step_at":"2037-01-12T08:00:00.000000Z"}..
        +10
        clock -315360000
        token.use {"token":"c","expires":"2027-01-15T08:00:11Z"} => ..,"created":"2027-01-15T08:00:10.000000Z"..
        token.use {"token":"d","expires":"2027-01-15T08:00:10Z"} => expired
        server.status {} => {..,"uptime_seconds":10,..,"clock":{"last_step_seconds":-315360000,"last_step_at":"2027-01-15T08:00:10.000000Z"}..
        changes.list {} => {"items":[{"seq":1,"at":"2027-..,{"seq":2,"at":"2037-01-12T08:00:00.000000Z","area":"server","verb":"clock","subjects":[],"actor":null,"peer":{"uid":0,"pid":0,"member":null},..,{"seq":3,..,"verb":"listed",..,{"seq":4,"at":"2037-..,{"seq":5,"at":"2027-..,"verb":"clock",..,{"seq":6,..,"verb":"listed",..,"cause":5,..,{"seq":7,"at":"2027-..
        "#,
    );
}

#[test]
fn a_start_finds_that_the_clock_went_back_and_one_that_is_only_late_is_no_step() {
    let registry = &mut Registry::in_memory();
    check(registry, r#"token.use {"token":"a"} => {"token".."#);
    for (seconds, steps) in [(20 * 24 * 60 * 60, 0), (-4, 0), (-10, 1), (-AHEAD, 2), (1, 2)] {
        let now = Time::from_micros(registry.now.micros() + seconds * 1_000_000).expect("a time");
        registry.restart_at(now, false);
        registry.wake();
        // Records bear the clock's time, but for less than a step.
        registry.call(token::Use::new(format!("{seconds}").parse().expect("a token"))).expect("used");
        let changes = registry.call(changes::List::default()).expect("changes").items;
        assert_eq!(changes.iter().filter(|change| change.verb == "clock").count(), steps, "{seconds}");
        let last = changes.last().expect("a change").at;
        assert!(last == now || (seconds == -4 && last > now), "{seconds}: {last}");
    }
}

#[test]
fn a_start_finds_that_the_clock_went_back_where_nothing_but_a_refusal_was_kept() {
    let registry = &mut Registry::in_memory();
    let nobody = person::Delete { person: "NOBODY".parse().expect("a name") };
    assert_eq!(registry.call_with(key(1), nobody).map_err(|refusal| refusal.code), Err(Code::NOT_FOUND));
    let earlier = Time::from_micros(registry.now.micros() - 600_000_000).expect("a time");
    registry.restart_at(earlier, false);
    registry.wake();
    check(
        registry,
        r#"
        code.use {"code":"WRONGWRONG22"} => not_found
        changes.list {} => {"items":[{"seq":1,"at":"2027-01-15T07:50:00.000000Z","area":"server","verb":"clock",..,{"seq":2,..,{"seq":3,"at":"2027-01-15T07:50:00.000000Z","area":"code","verb":"use",..
        "#,
    );
}

#[test]
fn a_window_of_wrong_codes_does_not_outlast_a_clock_that_was_ahead() {
    let mut config = Config::default();
    config.guesses.per_minute = 1;
    check(
        &mut Registry::configured(&config),
        r#"
        clock 315360000
        code.use {"code":"WRONGWRONG22"} => not_found
        code.use {"code":"WRONGWRONG22"} => too_many_attempts
        clock -315360000
        code.use {"code":"WRONGWRONG22"} => not_found
        code.use {"code":"WRONGWRONG22"} => too_many_attempts
        +60
        code.use {"code":"WRONGWRONG22"} => not_found
        "#,
    );
}

#[test]
fn answers_that_a_clock_ahead_kept_are_kept_for_a_day_from_then_on() {
    let registry = &mut Registry::in_memory();
    registry.set_clock_by(AHEAD);
    let used = |registry: &mut Registry, number: u8| {
        let token = token::Use::new(format!("{number}").parse().expect("a token"));
        registry.call_with(key(number), token).map(|spent| spent.created)
    };
    // More than are planned anew in one step, some of them to expire at a time that stays as it was given.
    let first: Vec<_> = (0..=255).map(|number| used(registry, number).expect("used")).collect();
    for number in 0..100 {
        let expires = Some(registry.now.plus_seconds(60));
        let audit = Some(Json::default());
        let token =
            token::Use { audit, expires, ..token::Use::new(format!("{number} late").parse().expect("a token")) };
        registry.call(token).expect("used");
    }
    registry.set_clock_by(-AHEAD);
    assert_eq!(used(registry, 7), Ok(first[7]), "a repeated call gets the first answer");
    for _ in 0..4 {
        registry.wake();
    }
    registry.pass_seconds(DAY - 1);
    registry.wake();
    assert_eq!((entries(registry, Family::Kept), used(registry, 9)), (256, Ok(first[9])));
    registry.pass_seconds(1);
    assert_eq!(used(registry, 7).expect_err("refused").code, Code::TOKEN_REUSE);
    for _ in 0..4 {
        registry.pass_seconds(60);
        registry.wake();
    }
    // The refusal just now, and the list of revoked certificates.
    assert_eq!((entries(registry, Family::Kept), entries(registry, Family::Dues)), (1, 100 + 2));
    assert_eq!(registry.violations(), Vec::<String>::new());
}

#[test]
fn changes_are_forgotten_by_number_also_those_of_a_clock_ahead() {
    let mut config = Config::default();
    config.changes.keep_seconds = 3600;
    let registry = &mut Registry::configured(&config);
    check(registry, r#"token.use {"token":"a"} => {"token".."#);
    registry.set_clock_by(AHEAD);
    check(registry, r#"token.use {"token":"b"} => {"token".."#);
    registry.set_clock_by(-AHEAD);
    check(registry, r#"token.use {"token":"c"} => {"token".."#);
    registry.pass_seconds(1800);
    check(registry, r#"token.use {"token":"d"} => {"token".."#);
    let mut seen = Vec::new();
    for seconds in [1740, 120, 1740, 60] {
        registry.pass_seconds(seconds);
        registry.wake();
        registry.wake();
        seen.push(entries(registry, Family::Changes));
    }
    // The first went by the time of the clock ahead.
    assert_eq!((seen[1], seen[3]), (1, 0), "{seen:?}");
    assert!(seen[0] > 3, "{seen:?}");
}

#[test]
fn the_list_of_revoked_certificates_begins_now_again_with_a_higher_number() {
    let registry = &mut Registry::in_memory();
    check(registry, r#"person.create {"callsign":"DOG","certificate":"generate"} => {"pk".."#);
    registry.set_clock_by(AHEAD);
    registry.wake();
    let ahead = registry.list_head();
    assert_eq!(ahead.since, registry.now);
    registry.set_clock_by(-AHEAD);
    registry.wake();
    let back = registry.list_head();
    assert_eq!((back.since, back.number), (registry.now, ahead.number + 1));
    assert!(back.due < registry.now.plus_seconds(30 * DAY));
    let before = registry.walk(Envelope::default(), &certificate::Crl::default()).expect("a list").concat();
    check(registry, r#"certificate.revoke {"person":"DOG","reason":"superseded"} => [.."#);
    assert_ne!(registry.walk(Envelope::default(), &certificate::Crl::default()).expect("a list").concat(), before);
    assert_eq!(registry.list_head().number, ahead.number + 2);
}

#[test]
fn jwts_and_keys_of_a_clock_ahead_do_not_last_until_then() {
    let registry = &mut Registry::in_memory();
    let before = log_in(registry);
    registry.set_clock_by(AHEAD);
    let ahead = log_in(registry);
    registry.call(jwt::Rotate {}).expect("rotated");
    registry.pass_seconds(1);
    registry.set_clock_by(-AHEAD);
    registry.wake();
    let verify = |registry: &mut Registry, jwt: &Jwt| registry.call(jwt::Verify { jwt: jwt.clone() }).map(drop);
    verify(registry, &before).expect("valid");
    let refusal = verify(registry, &ahead).expect_err("refused");
    assert!(refusal.message.contains("while the clock was ahead"), "{refusal:?}");
    assert_eq!(registry.call(jwt::Refresh { jwt: ahead }).expect_err("refused").code, Code::JWT_INVALID);
    // The key that was made last signs, whatever the clock said when it was made.
    let header = |jwt: &Jwt| jwt.as_str().split('.').next().expect("a header").to_owned();
    let signed = log_in(registry);
    registry.call(jwt::Rotate {}).expect("rotated");
    let again = log_in(registry);
    assert!(header(&before) != header(&signed) && header(&signed) != header(&again));
    // And those before it are in use for as long as what they signed.
    let keys = |registry: &mut Registry| -> usize {
        let set = registry.call(jwt::Keys {}).expect("keys");
        set.member::<Vec<serde_json::Value>>("keys").expect("members").expect("keys").len()
    };
    assert_eq!(keys(registry), 3);
    registry.pass_seconds(3602);
    assert_eq!(keys(registry), 1);
}

#[test]
fn what_an_event_has_come_to_under_a_clock_ahead_stays_until_a_time_is_set_anew() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2047-02-01T10:00:00Z","duration_minutes":60,"published":true,"merge_time":"2028-01-01T00:00:00Z","pools":[{"name":"guests","capacity":1,"roles":["guest"]},{"name":"members","capacity":2,"roles":["member"],"opens":"2028-01-01T00:00:00Z"}]} => {"pk"..
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting":false..
        M1> registration.create {"event":"$E","person":"M1"} => registration_not_open
        B1> registration.create {"event":"$E","person":"B1"} => ..,"waiting":true..
        clock 315360000
        wake
        wake
        BOSS> registration.get {"event":"$E","person":"B1"} => ..,"waiting":false..
        clock -315360000
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        OWNER> event.update {"event":"$E","title":"Another"} => ..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":true..
        # A time to come that is set anew: nobody is unseated, and the next person finds no open pool.
        OWNER> event.update {"event":"$E","merge_time":"2028-01-02T00:00:00Z"} => ..
        M2> registration.cancel {"event":"$E","person":"M2"} => ..
        M2> registration.create {"event":"$E","person":"M2"} => registration_not_open
        BOSS> registration.get {"event":"$E","person":"B1"} => ..,"waiting":false..
        +40000000
        wake
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":true..
        "#,
    );
}

#[test]
fn an_event_that_was_over_goes_on_with_what_was_not_kept_up() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"members","capacity":1,"roles":["member"]},{"name":"guests","capacity":1,"roles":["guest"]}]} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":true..
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting":false..
        clock 31536000
        BOSS> person.delete {"person":"M1"} => {"pk"..
        BOSS> role.remove {"person":"G1","role":"guest"} => true
        M3> registration.create {"event":"$E","person":"M3"} => event_past
        clock -31536000
        wake
        BOSS> registration.get {"event":"$E","person":"M2"} => ..,"waiting":false..
        OWNER> event.get {"event":"$E"} => ..,"time_state":"upcoming",..,"places_taken":2,"waiting_count":0,..
        "#,
    );
}

#[test]
fn a_clock_that_nobody_answers_for_is_doubted_at_a_start_until_it_is_accepted() {
    let registry = &mut people();
    check(
        registry,
        r#"
        OWNER> event.create {"title":"Camp","kind":"camp","start":"2047-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"guests","capacity":9,"roles":["guest"],"opens":"2027-01-20T00:00:00Z"}]} => {"pk"..
        code.create {"claims":{},"expires":"2027-01-20T00:00:00Z"} => {"code"..
        token.use {"token":"a","audit":{"ip":"::1"},"expires":"2027-01-20T00:00:00Z"} => {"token"..
        # Nothing is doubted, so nothing changes.
        server.accept_clock {} => ..,"changes_head":12,..,"warnings":[],..}
        "#,
    );
    let then = registry.now;
    for (days, is_unsynchronised, expected) in [(30, true, 0), (31, false, 0), (31, true, 1)] {
        registry.restart_at(then.plus_seconds(days * DAY), is_unsynchronised);
        assert_eq!(doubts(registry).len(), expected, "{days} {is_unsynchronised}");
    }
    let event = registry.call(event::List::default()).expect("events").items[0].pk.to_string();
    for name in ["NEW1", "NEW2"] {
        registry.wake();
        registry.wake();
        assert_eq!((entries(registry, Family::Codes), entries(registry, Family::TokenAudits)), (1, 1), "none is swept");
        let table = r#"
            G1> registration.create {"event":"$E","person":"G1"} => registration_not_open
            person.create {"callsign":"NAME"} => ..,"created":"2027-02-15T..
            NAME> server.accept_clock {} => permission_denied
        "#;
        check(registry, &table.replace("$E", &event).replace("NAME", name));
        // Records written meanwhile bear the doubted time; the next start doubts it all the same.
        registry.restart_at(registry.now.plus_seconds(60), true);
        assert!(doubts(registry)[0].contains("31 days after the latest change"), "{name}");
    }
    let table = r#"
        code.create {"claims":{}} => {"code"..
        BOSS> server.accept_clock {} => ..,"changes_head":16,..,"warnings":[],..}
        server.status {} => ..,"warnings":[],..}
        wake
        wake
        changes.list {"since":15} => ..{"seq":16,..,"area":"server","verb":"accept_clock",..,{"seq":17,..,"verb":"opened",..
        G1> registration.create {"event":"$E","person":"G1"} => ..,"waiting":false..
    "#;
    check(registry, &table.replace("$E", &event));
    assert_eq!(
        (entries(registry, Family::Codes), entries(registry, Family::TokenAudits)),
        (1, 0),
        "the one that lasts"
    );
    registry.restart_at(registry.now.plus_seconds(60), true);
    assert_eq!(doubts(registry), Vec::<String>::new());
}

#[test]
fn a_doubted_clock_that_is_set_right_or_synchronised_is_doubted_no_more() {
    let doubted = || {
        let mut registry = Registry::in_memory();
        check(&mut registry, r#"token.use {"token":"a"} => {"token".."#);
        let then = registry.now;
        registry.restart_at(then.plus_seconds(3650 * DAY), true);
        check(&mut registry, r#"token.use {"token":"b"} => {"token".."#);
        assert_eq!(doubts(&mut registry).len(), 1);
        (registry, then)
    };
    let (mut registry, _) = doubted();
    registry.set_clock_by(-AHEAD);
    registry.wake();
    assert_eq!(doubts(&mut registry), Vec::<String>::new(), "set right while it ran");
    let (mut registry, then) = doubted();
    registry.restart_at(then, true);
    registry.wake();
    assert_eq!(doubts(&mut registry), Vec::<String>::new(), "set right between two starts");
    check(&mut registry, r#"changes.list {"since":2} => {"items":[{"seq":3,..,"verb":"clock",.."#);
    let (mut registry, _) = doubted();
    registry.restart_at(registry.now, false);
    assert_eq!(doubts(&mut registry), Vec::<String>::new(), "synchronised");
}

#[test]
fn a_first_start_doubts_no_clock() {
    let registry = &mut Registry::in_memory();
    registry.restart_at(registry.now.plus_seconds(3650 * DAY), true);
    assert_eq!(doubts(registry), Vec::<String>::new());
    check(registry, r#"changes.list {} => {"items":[],"next":null}"#);
}

#[test]
fn the_writer_thread_notices_that_the_clock_was_set() {
    let mut registry = Registry::in_memory();
    let clock = registry.clock();
    let (queue, writer) = registry.writer_thread(clock.clone());
    let working = thread::spawn(|| writer.run(|_| {}));
    for (text, seconds) in [("a", 0), ("b", AHEAD), ("c", -AHEAD), ("d", 4)] {
        clock.set_by_seconds(seconds);
        registry.now = clock.now();
        let (answer, answered) = mpsc::channel();
        let token = token::Use::new(text.parse().expect("a token"));
        let request = registry.request(Envelope::default(), &token, move |outcome| drop(answer.send(outcome)));
        assert!(queue.try_send(Box::new(request)).is_ok());
        answered.recv().expect("an answer").expect("used");
    }
    drop(queue);
    working.join().expect("ended").expect("committed");
    let changes = registry.call(changes::List::default()).expect("changes").items;
    let verbs: Vec<_> = changes.iter().map(|change| &*change.verb).filter(|verb| *verb != "listed").collect();
    assert_eq!(verbs, ["use", "clock", "use", "clock", "use", "use"]);
}

#[test]
fn every_event_that_was_over_under_a_clock_ahead_and_had_people_goes_on() {
    check(
        &mut people(),
        r#"
        $E = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"max_participants":1} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        M2> registration.create {"event":"$E","person":"M2"} => ..,"waiting":true..
        $F = OWNER> event.create {"title":"Walk","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true} => {"pk"..
        M1> registration.create {"event":"$F","person":"M1"} => ..,"waiting":false..
        # It has lasted for days, and lasts for days to come.
        $L = OWNER> event.create {"title":"Long","kind":"camp","start":"2027-01-02T10:00:00Z","duration_minutes":20160,"published":true,"registration_closes":"2027-01-20T10:00:00Z"} => {"pk"..
        M1> registration.create {"event":"$L","person":"M1"} => ..,"waiting":false..
        clock 31536000
        BOSS> person.delete {"person":"M1"} => {"pk"..
        OWNER> event.get {"event":"$L"} => ..,"places_taken":1,..
        clock -31536000
        wake
        wake
        wake
        OWNER> registration.get {"event":"$E","person":"M2"} => ..,"waiting":false..
        OWNER> event.get {"event":"$F"} => ..,"places_taken":0,..
        OWNER> event.get {"event":"$L"} => ..,"places_taken":0,..
        "#,
    );
}

#[test]
fn an_event_of_times_to_come_and_one_that_stays_over_are_left_alone_by_a_clock_that_goes_back() {
    check(
        &mut people(),
        r#"
        $C = OWNER> event.create {"title":"Camp","kind":"camp","start":"2027-02-01T10:00:00Z","duration_minutes":60,"published":true,"pools":[{"name":"members","capacity":1,"roles":["member"]},{"name":"guests","capacity":1,"roles":["guest"]}]} => {"pk"..
        M2> registration.create {"event":"$C","person":"M2"} => ..,"waiting":false..
        G1> registration.create {"event":"$C","person":"G1"} => ..,"waiting":false..
        M3> registration.create {"event":"$C","person":"M3"} => ..,"waiting":true..
        OWNER> event.cancel {"event":"$C"} => ..,"canceled":true..
        BOSS> role.assign {"person":"M3","role":"guest"} => true
        clock 31536000
        $E = OWNER> event.create {"title":"Late","kind":"camp","start":"2028-02-01T10:00:00Z","duration_minutes":60,"published":true} => {"pk"..
        M1> registration.create {"event":"$E","person":"M1"} => ..,"waiting":false..
        clock 31536000
        BOSS> person.delete {"person":"M1"} => {"pk"..
        clock -63072000
        wake
        wake
        OWNER> event.get {"event":"$E"} => ..,"places_taken":1,..
        OWNER> event.get {"event":"$C"} => ..,"name":"members",..,"waiting_count":1},{..,"name":"guests",..,"waiting_count":0}..
        "#,
    );
}
