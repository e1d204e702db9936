//! `enrollctl top` in a terminal: whatever ends it, the terminal is as it was; and its lines without one.

use std::collections::BTreeMap;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use enroll_tests::poll::until;
use enroll_tests::process::{Daemon, Home, run};
use enroll_tests::skip::is_installed;
use enroll_tests::terminal::{Controls, Terminal};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, Termios};
use nix::unistd::Pid;

/// The sequences that leave the screen: the usual one is back, and so is the cursor.
const LEFT: [&str; 2] = ["\u{1b}[?1049l", "\u{1b}[?25h"];

/// The longest time to the first screen. A release build takes a twentieth of it; here are builds without optimizations,
/// and other tests run beside.
const FIRST_SCREEN_MAX: Duration = Duration::from_secs(2);

/// The last line of the screen.
const KEYS: &str = "? keys  q quit";

/// A screen that is shown.
struct Shown {
    terminal: Terminal,
    before: Termios,
    process: Child,
}

impl Shown {
    fn begin(command: &Command, controls: Controls) -> Self {
        let terminal = Terminal::open();
        let before = terminal.attributes();
        let process = terminal.command(command, controls).spawn().expect("started");
        terminal.expect("\u{1b}[?1049h");
        terminal.expect(KEYS);
        assert!(!terminal.attributes().local_flags.contains(LocalFlags::ECHO), "keys are not echoed");
        Self { terminal, before, process }
    }

    fn of(daemon: &Daemon, args: &[&str]) -> Self {
        Self::begin(&daemon.home.enrollctl(args), Controls::Yes)
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.id()).expect("a pid");
        kill(Pid::from_raw(pid), signal).expect("sent");
    }

    /// Waits for its end; its exit code. The terminal is as it was.
    fn ended(mut self) -> Option<i32> {
        let code = ended(&mut self.process);
        for sequence in LEFT {
            self.terminal.expect(sequence);
        }
        assert_eq!(self.terminal.attributes(), self.before);
        code
    }
}

fn ended(process: &mut Child) -> Option<i32> {
    until("the end of the process", || process.try_wait().expect("a status").is_some());
    process.wait().expect("ended").code()
}

fn can_run(test: &str) -> bool {
    is_installed(test, "setsid")
}

#[test]
fn keys_and_signals_end_it_and_the_terminal_is_as_it_was() {
    if !can_run("keys_and_signals_end_it_and_the_terminal_is_as_it_was") {
        return;
    }
    let daemon = Daemon::start();
    for (keys, code) in [("q", 0), ("\u{3}", 130), ("?x2/use\r\u{1b}[Bsq", 0)] {
        let mut shown = Shown::of(&daemon, &["top"]);
        shown.terminal.press(keys);
        assert_eq!(shown.ended(), Some(code), "{keys:?}");
    }
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let shown = Shown::of(&daemon, &["top"]);
        shown.signal(signal);
        assert_eq!(shown.ended(), Some(128 + signal as i32), "{signal}");
    }
}

#[test]
fn the_first_screen_comes_at_once_however_full_the_registry_is() {
    if !can_run("the_first_screen_comes_at_once_however_full_the_registry_is") {
        return;
    }
    let daemon = Daemon::start();
    let first_screen = || {
        let begun = Instant::now();
        let mut shown = Shown::of(&daemon, &["top"]);
        let took = begun.elapsed();
        shown.terminal.press("q");
        assert_eq!(shown.ended(), Some(0));
        took
    };
    // The fastest of some, because a test beside may take the processor for a while.
    let fastest = || (0..5).map(|_| first_screen()).min().expect("some");
    let empty = fastest();
    let people = (0..2_000).map(|n| format!(r#"{{"op":"person.create","args":{{"callsign":"P{n:05}"}}}}"#));
    let pools = (0..2_000).map(|n| {
        format!(r#"{{"op":"pool.create","args":{{"owner":"P{n:05}","max_uses":{}}},"actor":"P{n:05}"}}"#, n + 1)
    });
    let lines: Vec<String> = people.chain(pools).collect();
    let filled = daemon.enrollctl(&["call"], &lines.join("\n"));
    assert_eq!(filled.stdout.matches("\"ok\"").count(), lines.len(), "{}", filled.stdout.lines().last().unwrap_or(""));
    let filled = fastest();
    assert!(empty.max(filled) < FIRST_SCREEN_MAX, "empty {empty:?}, filled {filled:?}");
}

#[test]
fn another_size_is_drawn_anew() {
    if !can_run("another_size_is_drawn_anew") {
        return;
    }
    let daemon = Daemon::start();
    let mut shown = Shown::of(&daemon, &["top", "--interval", "3600"]);
    for (columns, lines) in [(40, 12), (3, 2), (200, 60), (1, 1), (80, 24)] {
        shown.terminal.resize(columns, lines);
        // An empty cell at the end is not drawn, and one cell has room for no key.
        let cut = KEYS.get(..columns.into()).map_or(KEYS, |cut| cut[..cut.len() - 1].trim_end());
        if !cut.is_empty() {
            shown.terminal.expect(cut);
        }
    }
    shown.terminal.press("q");
    assert_eq!(shown.ended(), Some(0));
}

#[test]
fn an_error_ends_it_with_a_line_on_the_usual_screen() {
    if !can_run("an_error_ends_it_with_a_line_on_the_usual_screen") {
        return;
    }
    let daemon = Daemon::start();
    // A recording that can not be written any more, while the screen is shown.
    let mut limited = daemon.home.command("sh".as_ref());
    let enrollctl = daemon.home.enrollctl(&["top", "--interval", "0.1", "--record", "snapshots"]);
    limited.args(["-c", "ulimit -f 16; exec \"$0\" \"$@\""]);
    limited.arg(enrollctl.get_program()).args(enrollctl.get_args());
    let mut shown = Shown::begin(&limited, Controls::Yes);
    let code = ended(&mut shown.process);
    shown.terminal.expect(LEFT[0]);
    shown.terminal.expect("enrollctl: snapshots: File too large");
    assert_eq!((code, shown.terminal.attributes()), (Some(1), shown.before));
    // Where no daemon answers, the terminal is not touched at all.
    let absent = Home::make();
    let terminal = Terminal::open();
    let mut process = terminal.command(&absent.enrollctl(&["top"]), Controls::Yes).spawn().expect("started");
    assert_eq!(ended(&mut process), Some(3));
    terminal.expect("no daemon");
    assert!(!terminal.shown().contains('\u{1b}'), "{:?}", terminal.shown());
}

#[test]
fn a_stopped_job_gives_the_terminal_back_and_takes_it_again() {
    let test = "a_stopped_job_gives_the_terminal_back_and_takes_it_again";
    if !can_run(test) || !is_installed(test, "bash") {
        return;
    }
    let daemon = Daemon::start();
    let mut shell = daemon.home.command("bash".as_ref());
    let enrollctl = daemon.home.enrollctl(&["top"]);
    shell.args(["--norc", "-m", "-c", "\"$0\" \"$@\"; echo stopped $?; read _; fg; echo ended $?"]);
    shell.arg(enrollctl.get_program()).args(enrollctl.get_args());
    let mut shown = Shown::begin(&shell, Controls::Yes);
    shown.terminal.press("\u{1a}");
    for expected in [LEFT[0], LEFT[1], "stopped 148"] {
        shown.terminal.expect(expected);
    }
    assert_eq!(shown.terminal.attributes(), shown.before);
    shown.terminal.press("\n");
    shown.terminal.expect("\u{1b}[?1049h");
    shown.terminal.expect(KEYS);
    assert!(!shown.terminal.attributes().local_flags.contains(LocalFlags::ECHO));
    shown.terminal.press("q");
    for expected in [LEFT[0], LEFT[1], "ended 0"] {
        shown.terminal.expect(expected);
    }
    assert_eq!((ended(&mut shown.process), shown.terminal.attributes()), (Some(0), shown.before));
}

/// The end of its terminal ends it, as a signal and also without one.
#[test]
fn a_terminal_that_is_gone_ends_it() {
    if !can_run("a_terminal_that_is_gone_ends_it") {
        return;
    }
    let daemon = Daemon::start();
    for controls in [Controls::Yes, Controls::No] {
        let Shown { terminal, mut process, .. } = Shown::begin(&daemon.home.enrollctl(&["top"]), controls);
        terminal.hang_up();
        assert_eq!(ended(&mut process), Some(129), "{controls:?}");
    }
}

#[test]
fn a_daemon_that_goes_away_is_told_and_found_again() {
    if !can_run("a_daemon_that_goes_away_is_told_and_found_again") {
        return;
    }
    let mut daemon = Daemon::start();
    let mut shown = Shown::of(&daemon, &["top", "--interval", "0.1"]);
    daemon.kill9();
    shown.terminal.expect("DAEMON");
    daemon.restart();
    // The line of an outage covers that of the views.
    shown.terminal.expect("[1");
    shown.terminal.press("q");
    assert_eq!(shown.ended(), Some(0));
}

#[test]
fn lines_have_stable_columns() {
    let daemon = Daemon::start();
    for args in [
        &["person", "create", "BOSS"][..],
        &["pool", "create", "--owner", "BOSS", "--max-uses", "4"],
        &["enrollment", "create", "DOG"],
        &["person", "get", "NOBODY"],
    ] {
        daemon.enrollctl(args, "");
    }
    let event = ["--as", "BOSS", "event", "create", "Camp", "--kind", "camp", "--start", "2090-07-01T10:00:00Z"];
    let pool = [
        "--duration-minutes",
        "120",
        "--published",
        "true",
        "--pool",
        r#"{"name":"all","capacity":0,"roles":["member"]}"#,
    ];
    let made = daemon.enrollctl(&[&event[..], &pool].concat(), "");
    assert_eq!(made.code, Some(0), "{made:?}");
    for args in [&["top", "--once"][..], &["top", "--once", "--interval", "0.2"]] {
        let output = daemon.enrollctl(args, "");
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for line in output.stdout.lines() {
            let (kind, rest) = line.split_once('\t').expect("a kind");
            let columns = rest.split('\t').count() + 1;
            assert_eq!(*kinds.entry(kind).or_insert(columns), columns, "{line}");
            assert!(!line.contains("\t\t") && !line.ends_with('\t'), "{line:?}");
        }
        let expected = [
            ("connections", 3),
            ("enrollment", 5),
            ("event", 7),
            ("event_pool", 6),
            ("figure", 3),
            ("operation", 9),
            ("pool", 6),
            ("refusal", 4),
        ];
        assert_eq!(Vec::from_iter(kinds), expected, "{}", output.stdout);
        let counted = |line: &str| output.stdout.lines().any(|shown| shown.starts_with(line));
        assert!(counted("operation\tperson.get\t") && counted("refusal\tnot_found\t"), "{}", output.stdout);
        assert!(output.stdout.contains("\t0\t1\t0\n"), "one call was refused: {}", output.stdout);
    }
}

#[test]
fn a_recording_is_the_json_of_its_snapshots_and_can_be_shown() {
    let daemon = Daemon::start();
    let record = ["top", "--once", "--interval", "0.1", "--record", "monday.ndjson", "--json"];
    let last = daemon.enrollctl(&record, "").json();
    let text = std::fs::read_to_string(daemon.home.path("monday.ndjson")).expect("a recording");
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((lines.len(), &lines[1]), (2, &last));
    let replay = daemon.enrollctl(&["top", "--once", "--replay", "monday.ndjson"], "");
    assert_eq!(replay.code, Some(0), "{replay:?}");
    let at = format!("figure\tat\t{}\n", lines[0]["at"].as_str().expect("a time"));
    assert!(replay.stdout.contains(&at), "{replay:?}");
    for (name, text, expected) in [("empty", "", "empty: the recording is empty"), ("odd", "{}\n", "is no snapshot")] {
        std::fs::write(daemon.home.path(name), text).expect("written");
        let refused = daemon.enrollctl(&["top", "--once", "--replay", name], "");
        assert_eq!(refused.code, Some(1));
        assert!(refused.stderr.contains(expected), "{refused:?}");
    }
}

#[test]
fn a_wrong_command_line_is_refused() {
    let home = Home::make();
    for (args, expected) in [
        (&["top"][..], "needs a terminal"),
        (&["top", "--json", "--once", "--dry-run"], "--dry-run"),
        (&["top", "--json"], "--once"),
        (&["top", "--once", "--interval", "0"], "0.1 to 3600"),
        (&["top", "--once", "--interval", "NaN"], "0.1 to 3600"),
        (&["top", "--record", "a", "--replay", "b"], "--replay"),
    ] {
        let output = run(&mut home.enrollctl(args), "");
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(output.stderr.contains(expected), "{output:?}");
    }
}
