//! Hooks: `changes run` runs its command for each change, in order and at least once; what fails is tried again and
//! stops what is behind it, and nothing is passed but by a success, a filter, a dead letter or a human.

use std::time::{Duration, Instant};

use enroll_tests::hook::{Hook, SAY, command, position, record};
use enroll_tests::process::{Daemon, Home, Output, run};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const NONE: [&str; 0] = [];

/// Spends so many tokens, from this number on. Each is one change.
fn spend(daemon: &Daemon, numbers: std::ops::Range<u32>) {
    let line = |n| format!("{{\"op\":\"token.use\",\"args\":{{\"token\":\"nonce {n}\"}}}}\n");
    let answers = daemon.enrollctl(&["call"], &numbers.clone().map(line).collect::<String>());
    assert_eq!(answers.stdout.matches("\"ok\"").count(), numbers.len(), "{answers:?}");
}

/// Runs a runner that is expected to end by itself.
fn refused(home: &Home, options: &[&str], script: &str) -> Output {
    run(&mut command(home, options, script), "")
}

fn numbers(range: std::ops::RangeInclusive<u32>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

/// A script that does this while a file is missing, and says its number when it is there.
fn until_mended(home: &Home, otherwise: &str) -> String {
    format!("if [ -e {:?} ]; then {SAY}; else {otherwise}; fi", home.path("mended"))
}

fn mend(home: &Home) {
    std::fs::write(home.path("mended"), "").expect("written");
}

#[test]
fn every_change_is_run_in_order_and_the_next_runner_goes_on_behind() {
    let daemon = Daemon::start();
    spend(&daemon, 0..20);
    let hook = Hook::start(&daemon.home, &["--from", "start"], SAY);
    assert_eq!(hook.said_all(20), numbers(1..=20));
    spend(&daemon, 20..22);
    assert_eq!(hook.said_all(2), numbers(21..=22));
    assert_eq!(hook.stop(), (vec![], Some(0)));
    assert_eq!(record(&daemon.home)["position"], 22);
    spend(&daemon, 22..25);
    let hook = Hook::start(&daemon.home, &NONE, SAY);
    assert_eq!(hook.said_all(3), numbers(23..=25));
    assert_eq!(hook.stop(), (vec![], Some(0)));
}

#[test]
fn the_command_has_the_change_on_its_input_and_its_number_and_socket_around_it() {
    let daemon = Daemon::start();
    spend(&daemon, 0..1);
    let script = format!("{SAY}; echo \"$ENROLLD_SOCKET\"; cat");
    let hook = Hook::start(&daemon.home, &["--from", "1"], &script);
    assert_eq!(hook.said_all(2), ["1".to_owned(), daemon.home.socket().display().to_string()]);
    let change: Value = serde_json::from_str(&hook.said()).expect("JSON");
    let listed = daemon.enrollctl(&["--json", "changes", "list"], "").json();
    assert_eq!(change, listed["items"][0]);
    assert_eq!(hook.stop().1, Some(0));
}

#[test]
fn the_first_start_names_its_beginning_and_later_ones_do_not() {
    let daemon = Daemon::start();
    spend(&daemon, 0..3);
    let without = refused(&daemon.home, &[], SAY);
    assert_eq!(without.code, Some(2), "{without:?}");
    assert!(without.stderr.contains("name where to begin: --from start"), "{without:?}");
    assert!(!position(&daemon.home).exists());
    let hook = Hook::start(&daemon.home, &["--from", "now"], SAY);
    hook.noted("changes after 3 are run");
    spend(&daemon, 3..4);
    assert_eq!(hook.said(), "4");
    hook.stop();
    let again = refused(&daemon.home, &["--from", "start"], SAY);
    assert_eq!(again.code, Some(2), "{again:?}");
    assert!(again.stderr.contains("--from counts for nothing"), "{again:?}");
    spend(&daemon, 4..5);
    let hook = Hook::start(&daemon.home, &["--from", "start", "--if-new"], SAY);
    assert_eq!(hook.said(), "5");
    hook.stop();
    for wrong in ["0", "-3", "then", ""] {
        assert_eq!(refused(&daemon.home, &["--from", wrong], SAY).code, Some(2), "{wrong}");
    }
}

#[test]
fn a_command_that_fails_is_tried_later_and_later_and_nothing_overtakes_it() {
    let daemon = Daemon::start();
    spend(&daemon, 0..3);
    let begun = Instant::now();
    let script = until_mended(&daemon.home, "echo no; exit 7");
    let hook = Hook::start(&daemon.home, &["--from", "start"], &script);
    assert_eq!(hook.said_all(3), ["no", "no", "no"]);
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_secs(3), "a second, and two: {waited:?}");
    hook.noted("1: try 1 failed (exit status: 7); the next is in 1 s");
    hook.noted("1: try 2 failed");
    let stuck = record(&daemon.home)["stuck"][0].clone();
    assert_eq!((&stuck["seq"], &stuck["why"]), (&json!(1), &json!("exit status: 7")), "{stuck}");
    mend(&daemon.home);
    assert_eq!(hook.said_all(3), numbers(1..=3));
    assert_eq!(hook.stop().1, Some(0));
    assert_eq!(record(&daemon.home), json!({"position": 3, "ahead": [], "stuck": [], "skipped": []}));
}

#[test]
fn a_change_that_is_given_up_is_a_dead_letter_first() {
    let daemon = Daemon::start();
    spend(&daemon, 0..3);
    let dead = daemon.home.path("dead");
    let script = format!("if [ $ENROLLD_CHANGE_SEQ = 2 ]; then exit 1; fi; {SAY}");
    let options = ["--from", "start", "--give-up-after", "2", "--dead-letters", dead.to_str().expect("a path")];
    let hook = Hook::start(&daemon.home, &options, &script);
    assert_eq!(hook.said_all(2), ["1", "3"]);
    assert!(hook.noted("given up after 2 tries").starts_with("2: "));
    assert_eq!(hook.stop().1, Some(0));
    let lines = std::fs::read_to_string(&dead).expect("dead letters");
    let letters: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(letters.len(), 1, "{lines}");
    assert_eq!(
        (&letters[0]["seq"], &letters[0]["tries"], &letters[0]["why"]),
        (&json!(2), &json!(2), &json!("exit status: 1"))
    );
    assert_eq!(letters[0]["change"]["verb"], "use");
    assert_eq!(record(&daemon.home)["position"], 3);
    for wrong in [&["--give-up-after", "2"][..], &["--dead-letters", "x"], &["--parallel", "2"]] {
        assert_eq!(refused(&daemon.home, wrong, SAY).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn dead_letters_that_can_not_be_written_keep_the_change() {
    let daemon = Daemon::start();
    spend(&daemon, 0..1);
    let dead = daemon.home.path("nowhere/dead");
    let options = ["--from", "start", "--give-up-after", "1", "--dead-letters", dead.to_str().expect("a path")];
    let hook = Hook::start(&daemon.home, &options, "exit 1");
    hook.noted("1 is not given up");
    hook.stop();
    assert_eq!(record(&daemon.home)["position"], 0);
}

#[test]
fn a_human_has_the_change_skipped_at_which_it_is_stuck_and_no_other() {
    let daemon = Daemon::start();
    spend(&daemon, 0..3);
    let script = format!("if [ $ENROLLD_CHANGE_SEQ -le 2 ]; then exit 1; fi; {SAY}");
    let skip = |seq: &str| {
        let path = position(&daemon.home);
        daemon.enrollctl(&["changes", "skip", seq, "--position", path.to_str().expect("a path")], "")
    };
    let unknown = skip("1");
    assert_eq!(unknown.code, Some(2), "there is no position: {unknown:?}");
    let hook = Hook::start(&daemon.home, &["--from", "start"], &script);
    hook.noted("1: try 1 failed");
    hook.noted("1: try 2 failed");
    let other = skip("2");
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(other.stderr.contains("not stuck at 2: it is stuck at 1"), "{other:?}");
    let skipped = skip("1");
    assert_eq!((skipped.code, skipped.stdout.as_str()), (Some(0), "seq\t1\npassed\ttrue\n"), "{skipped:?}");
    hook.noted("1: skipped");
    hook.noted("2: try 1 failed");
    hook.stop();
    // No runner runs: the next one passes it when it starts.
    let later = skip("2");
    assert_eq!((later.code, later.stdout.as_str()), (Some(0), "seq\t2\npassed\tfalse\n"), "{later:?}");
    let hook = Hook::start(&daemon.home, &NONE, &script);
    assert_eq!(hook.said(), "3");
    hook.stop();
    let record = record(&daemon.home);
    assert_eq!((&record["position"], &record["stuck"]), (&json!(3), &json!([])));
    let seqs: Vec<_> = record["skipped"].as_array().expect("a list").iter().map(|one| one["seq"].clone()).collect();
    assert_eq!(seqs, [1, 2]);
    assert!(!daemon.home.path("position.skip").exists());
}

#[test]
fn only_what_the_filter_admits_is_run_and_the_rest_is_passed() {
    let daemon = Daemon::start();
    for (args, as_boss) in [
        (&["person", "create", "BOSS", "--role", "superuser"][..], false),
        (&["person", "create", "DOG"], true),
        (&["person", "create", "CAT"], false),
        (&["role", "assign", "DOG", "member"], true),
        (&["role", "assign", "CAT", "member"], true),
        (&["role", "remove", "DOG", "member"], false),
    ] {
        let args: Vec<&str> =
            if as_boss { ["--as", "BOSS"].iter().chain(args).copied().collect() } else { args.to_vec() };
        let done = daemon.enrollctl(&args, "");
        assert_eq!(done.code, Some(0), "{done:?}");
    }
    for (filter, expected) in [
        (&["--filter", "area=role"][..], &["4", "5", "6"][..]),
        (&["--filter", "area=role", "verb=assign"], &["4", "5"]),
        (&["--filter", "area=role,person", "--filter", "verb=create,remove"], &["1", "2", "3", "6"]),
        (&["--filter", "actor=BOSS"], &["2", "4", "5"]),
        (&["--person", "dog"], &["2", "4", "6"]),
        (&["--person", "DOG", "--filter", "actor=BOSS", "verb=assign"], &["4"]),
    ] {
        let options: Vec<&str> = ["--from", "start"].iter().chain(filter).copied().collect();
        let hook = Hook::start(&daemon.home, &options, SAY);
        assert_eq!(hook.said_all(expected.len()), expected, "{filter:?}");
        // The last ones are filtered out; what is passed is written at the end.
        while record(&daemon.home)["position"] != 6 {
            std::thread::yield_now();
        }
        assert_eq!(hook.stop(), (vec![], Some(0)), "{filter:?}");
        std::fs::remove_file(position(&daemon.home)).expect("removed");
    }
    for wrong in [&["--filter", "area=rule"][..], &["--filter", "verb=asign"], &["--filter", "role"]] {
        let output = refused(&daemon.home, wrong, SAY);
        assert_eq!(output.code, Some(2), "{output:?}");
    }
    let nobody = refused(&daemon.home, &["--from", "now", "--person", "NOBODY"], SAY);
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    assert!(nobody.stderr.contains("(not_found)"), "{nobody:?}");
}

#[test]
fn a_position_is_held_by_one_runner_which_is_named() {
    let daemon = Daemon::start();
    let hook = Hook::start(&daemon.home, &["--from", "now"], SAY);
    hook.noted("are run");
    let second = refused(&daemon.home, &[], SAY);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.stderr.contains("runs with this position") && !second.stderr.contains('?'), "{second:?}");
    hook.kill9();
    Hook::start(&daemon.home, &NONE, SAY).noted("are run");
}

#[test]
fn a_position_that_is_none_or_of_another_feed_is_an_error_and_no_jump() {
    let home = Home::make();
    home.configure("[changes]\nkeep_seconds = 1\n");
    let daemon = home.start();
    std::fs::write(position(&daemon.home), "{\"position\":40}\n").expect("written");
    spend(&daemon, 0..3);
    let ahead = refused(&daemon.home, &[], SAY);
    assert_eq!(ahead.code, Some(1), "{ahead:?}");
    assert!(ahead.stderr.contains("the position is 40") && ahead.stderr.contains("the latest is 3"), "{ahead:?}");
    std::fs::write(position(&daemon.home), "forty").expect("written");
    let broken = refused(&daemon.home, &[], SAY);
    assert_eq!(broken.code, Some(1), "{broken:?}");
    assert!(broken.stderr.contains("is no position file"), "{broken:?}");
    assert_eq!(std::fs::read_to_string(position(&daemon.home)).expect("a text"), "forty");
}

#[test]
fn a_command_that_is_missing_is_refused_at_the_start_and_waited_for_later() {
    let daemon = Daemon::start();
    spend(&daemon, 0..1);
    let path = position(&daemon.home);
    let run_command = |program: &str| {
        let args = ["changes", "run", "--from", "start", "--position", path.to_str().expect("a path"), "--", program];
        daemon.home.enrollctl(&args)
    };
    for program in ["no-such-command-here", "./no-such-command-here", "/etc"] {
        let missing = run(&mut run_command(program), "");
        assert_eq!(missing.code, Some(2), "{missing:?}");
        assert!(missing.stderr.contains(program) && !path.exists(), "{missing:?}");
    }
    let script = daemon.home.path("hook");
    let write = |text: &str| {
        std::fs::write(&script, text).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&script, mode).expect("executable");
    };
    write("#!/no/such/interpreter\n");
    let hook = Hook::of(&mut run_command(script.to_str().expect("a path")));
    hook.noted("1: try 1 failed (exit status: 127: not found)");
    write("#!/bin/sh\necho here\n");
    assert_eq!(hook.said(), "here");
    assert_eq!(hook.stop().1, Some(0));
}

#[test]
fn a_command_need_not_read_what_it_is_given() {
    let daemon = Daemon::start();
    spend(&daemon, 0..900);
    // More than a pipe holds, to a command that closes it, and to one that leaves it to somebody who sleeps.
    for script in [format!("exec <&-; {SAY}"), format!("sleep 5 >/dev/null 2>&1 & {SAY}")] {
        let hook = Hook::start(&daemon.home, &["--from", "start", "--batch", "1000"], &script);
        let first = hook.said();
        assert_eq!(first, "1");
        let (_, code) = hook.stop();
        assert_eq!(code, Some(0));
        assert!(record(&daemon.home)["stuck"].as_array().is_some_and(Vec::is_empty));
        std::fs::remove_file(position(&daemon.home)).expect("removed");
    }
}

#[test]
fn a_batch_is_several_lines_and_passed_as_a_whole() {
    let daemon = Daemon::start();
    spend(&daemon, 0..10);
    let script =
        "cat >/dev/null; if [ ! -e \"$0\" ]; then exit 1; fi; echo \"$ENROLLD_CHANGE_SEQ $ENROLLD_CHANGE_LAST\"";
    let mut command = command(&daemon.home, &["--from", "start", "--batch", "4"], script);
    let hook = Hook::of(command.arg(daemon.home.path("mended")));
    let note = hook.noted("try 1 failed");
    assert!(note.starts_with("1 to ") || note.starts_with("1: "), "{note}");
    mend(&daemon.home);
    let mut next = 1;
    while next <= 10 {
        let said = hook.said();
        let (first, last) = said.split_once(' ').expect("two numbers");
        let [first, last] = [first, last].map(|number| number.parse::<u32>().expect("a number"));
        assert!(first == next && (first..first + 4).contains(&last), "{said} after {next}");
        next = last + 1;
    }
    assert_eq!(hook.stop().1, Some(0));
    assert_eq!(record(&daemon.home)["position"], 10);
}

#[test]
fn a_key_that_is_stuck_stops_itself_alone_and_the_position_stays_before_it() {
    let daemon = Daemon::start();
    for name in ["DOG", "CAT"] {
        assert_eq!(daemon.enrollctl(&["person", "create", name], "").code, Some(0));
    }
    for (verb, name) in [("assign", "DOG"), ("assign", "CAT"), ("remove", "DOG"), ("remove", "CAT"), ("assign", "CAT")]
    {
        assert_eq!(daemon.enrollctl(&["role", verb, name, "member"], "").code, Some(0));
    }
    // The changes 1, 3 and 5 are the dog's, 2, 4, 6 and 7 the cat's.
    let dog = daemon.enrollctl(&["person", "get", "DOG", "--field", "pk"], "").stdout;
    let otherwise = format!("if grep -q {}; then exit 1; else {SAY}; fi", dog.trim());
    let script = until_mended(&daemon.home, &otherwise);
    let hook = Hook::start(&daemon.home, &["--from", "start", "--per", "person"], &script);
    assert_eq!(hook.said_all(4), ["2", "4", "6", "7"]);
    hook.noted("1: try 2 failed");
    hook.kill9();
    let stuck = record(&daemon.home);
    assert_eq!((&stuck["position"], &stuck["stuck"][0]["seq"]), (&json!(0), &json!(1)), "{stuck}");
    mend(&daemon.home);
    let hook = Hook::start(&daemon.home, &["--per", "person"], &script);
    assert_eq!(hook.said_all(3), ["1", "3", "5"], "what was done ahead is not done again");
    assert_eq!(hook.stop(), (vec![], Some(0)));
    assert_eq!(record(&daemon.home), json!({"position": 7, "ahead": [], "stuck": [], "skipped": []}));
}

#[test]
fn a_runner_that_is_stopped_lets_its_command_end_and_begins_no_other() {
    let daemon = Daemon::start();
    spend(&daemon, 0..3);
    let script = format!("echo begun; until [ -e {:?} ]; do :; done; {SAY}", daemon.home.path("mended"));
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let hook = Hook::start(&daemon.home, &["--from", "start", "--if-new"], &script);
        assert_eq!(hook.said(), "begun");
        hook.signal(signal);
        hook.noted("stopping; 1 that run may end within 30 s");
        mend(&daemon.home);
        let (said, code) = hook.end();
        assert_eq!((said.len(), code), (1, Some(0)), "{said:?}");
        assert_eq!(record(&daemon.home)["position"].to_string(), said[0]);
        std::fs::remove_file(daemon.home.path("mended")).expect("removed");
    }
}

#[test]
fn a_command_that_does_not_end_in_time_is_killed_and_repeated_later() {
    let daemon = Daemon::start();
    spend(&daemon, 0..2);
    let script = until_mended(&daemon.home, "trap '' TERM; echo begun; while :; do :; done");
    let hook = Hook::start(&daemon.home, &["--from", "start", "--stop-within", "1"], &script);
    assert_eq!(hook.said(), "begun");
    assert_eq!(hook.stop(), (vec![], Some(0)));
    assert_eq!(record(&daemon.home)["position"], 0);
    // The second signal waits no longer.
    let hook = Hook::start(&daemon.home, &["--stop-within", "86400"], &script);
    assert_eq!(hook.said(), "begun");
    hook.signal(Signal::SIGTERM);
    hook.noted("stopping");
    assert_eq!(hook.stop(), (vec![], Some(0)));
    assert_eq!(record(&daemon.home)["stuck"], json!([]), "that was no failure of the command");
    mend(&daemon.home);
    let hook = Hook::start(&daemon.home, &NONE, &script);
    assert_eq!(hook.said_all(2), numbers(1..=2));
}

#[test]
fn a_command_dies_with_a_runner_that_is_killed() {
    let daemon = Daemon::start();
    spend(&daemon, 0..1);
    let hook = Hook::start(&daemon.home, &["--from", "start"], "echo $$; while :; do :; done");
    let command = format!("/proc/{}", hook.said());
    hook.kill9();
    let until = Instant::now() + Duration::from_secs(60);
    while std::fs::read_to_string(format!("{command}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < until, "it runs on");
        std::thread::yield_now();
    }
}

#[test]
fn a_daemon_that_restarts_or_comes_later_is_waited_for() {
    let mut daemon = Daemon::start();
    spend(&daemon, 0..1);
    daemon.terminate();
    let hook = Hook::start(&daemon.home, &["--from", "1"], SAY);
    hook.noted("waiting for the daemon");
    daemon.restart();
    assert_eq!(hook.said(), "1");
    for number in 2..5 {
        if number % 2 == 0 {
            daemon.kill9();
        } else {
            daemon.terminate();
        }
        daemon.restart();
        spend(&daemon, number..number + 1);
        assert_eq!(hook.said(), number.to_string());
    }
    assert_eq!(hook.stop(), (vec![], Some(0)));
}

#[test]
fn a_position_older_than_what_is_kept_is_an_error_with_both_numbers() {
    let home = Home::make();
    home.configure("[changes]\nkeep_seconds = 1\n");
    let daemon = home.start();
    spend(&daemon, 0..3);
    let hook = Hook::start(&daemon.home, &["--from", "1"], "exit 1");
    hook.noted("1: try 1 failed");
    hook.kill9();
    let until = Instant::now() + Duration::from_secs(60);
    while daemon.enrollctl(&["changes", "list", "--since", "0"], "").code == Some(0) {
        assert!(Instant::now() < until, "the changes are kept");
        spend(&daemon, 0..0);
    }
    let old = refused(&daemon.home, &[], SAY);
    assert_eq!(old.code, Some(1), "{old:?}");
    // How many are gone by now is the daemon's to say.
    let is_told = (1..=3).any(|gone| old.stderr.contains(&format!("up to {gone} are no longer kept")));
    assert!(old.stderr.contains("the position is 0") && is_told, "{old:?}");
    assert_eq!(record(&daemon.home)["position"], 0, "it does not jump");
}
