//! A story as it is told: each line to an `enrollctl call`, whose answers are written with holes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use enroll_client::fake;
use enroll_protocol::Time;
use enroll_tests::conversation::Conversation;
use enroll_tests::holes::with_holes;
use enroll_tests::poll;
use enroll_tests::process::{Daemon, binary, run};
use serde_json::{Value, json};

/// Operations whose answers tell of the machine, of the moment or of drawn keys: only their members are compared.
const OF_THE_MOMENT: &[&str] = &["server.status", "server.snapshot", "server.metrics", "server.accept_clock"];

/// Seconds after which a pool of the story expires.
const SOON_SECONDS: u64 = 3;

/// The one that is asked.
pub(super) struct Asked<'a> {
    call: Conversation,
    fake: Option<&'a fake::Daemon>,
    socket: PathBuf,
}

/// A story that is told to it.
pub(super) struct Story<'a> {
    asked: Asked<'a>,
    names: Vec<(String, Value)>,
    pks: BTreeMap<String, usize>,
    /// Operations that were asked for, with the code of a refusal or none.
    pub(super) met: BTreeSet<(String, String)>,
}

impl<'a> Asked<'a> {
    /// A fake, by its socket.
    pub(super) fn fake(fake: &'a fake::Daemon) -> Self {
        let socket = fake.socket_of(nix::unistd::geteuid().as_raw(), fake::Grant::Admin).expect("a socket");
        Self { call: Conversation::of(&mut enrollctl(&socket, &["call"])), fake: Some(fake), socket }
    }

    /// A daemon.
    pub(super) fn daemon(daemon: &Daemon) -> Self {
        Self { call: Conversation::begin(&daemon.home), fake: None, socket: daemon.home.socket() }
    }

    /// Its time.
    fn now(&self) -> Time {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time");
        let micros = i64::try_from(since.as_micros()).expect("a time");
        self.fake.map_or_else(|| Time::from_micros(micros).expect("a time"), fake::Daemon::time)
    }

    /// Lets time pass, where it stands still.
    fn pass(&self, micros: i64) {
        if let Some(fake) = self.fake {
            fake.set_time(Time::from_micros(fake.time().micros() + micros).expect("a time"));
        }
    }
}

impl<'a> Story<'a> {
    /// A story in which some names are given.
    pub(super) fn of(asked: Asked<'a>, given: Vec<(String, Value)>) -> Self {
        Self { asked, names: given, pks: BTreeMap::new(), met: BTreeSet::new() }
    }

    /// Tells it line by line; each line with its answer, and the change feed where a line says `feed`.
    pub(super) fn tell(&mut self, story: &str) -> Vec<String> {
        let mut answers = Vec::new();
        for line in story.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(seconds) = line.strip_prefix('+') {
                self.asked.pass(seconds.parse::<i64>().expect("seconds") * 1_000_000);
            } else if let Some(pool) = line.strip_prefix("wait ") {
                let asked = format!("pool.get {{\"pool\":\"{pool}\"}}");
                poll::until("the pool has expired", || {
                    self.asked.pass(1_000_000);
                    self.asks(&asked).contains("\"usable\":\"expired\"")
                });
            } else if line == "feed" {
                answers.extend(self.feed());
            } else {
                let (times, line) = match line.split_once("* ") {
                    Some((times, line)) => (times.parse().expect("a number"), line),
                    None => (1, line),
                };
                answers.extend((1..=times).map(|time: u32| self.line(&line.replace('#', &time.to_string()))));
            }
        }
        answers
    }

    /// Its export, after a backup that must succeed.
    pub(super) fn export(&mut self) -> String {
        let directory = tempfile::tempdir().expect("a directory");
        let backup = directory.path().join("a.backup").display().to_string();
        self.run(&["server", "backup", &backup], "");
        self.run(&["server", "export", "-"], "")
    }

    /// Imports an export, which must succeed.
    pub(super) fn import(&mut self, text: &str) {
        self.run(&["server", "import", "-"], text);
    }

    /// The records of an export with holes, in no order.
    pub(super) fn records(&mut self, export: &str) -> Vec<String> {
        let mut records: Vec<_> = export.lines().map(|line| self.with_holes(line, "")).collect();
        records.sort_unstable();
        records
    }

    fn run(&mut self, args: &[&str], stdin: &str) -> String {
        let output = run(&mut enrollctl(&self.asked.socket, args), stdin);
        assert_eq!(output.code, Some(0), "{args:?}: {output:?}");
        self.met.insert((args[..2].join("."), String::new()));
        output.stdout
    }

    /// The answer to a line, in JSON.
    pub(super) fn asks(&mut self, line: &str) -> String {
        self.ask(line).to_string()
    }

    fn line(&mut self, line: &str) -> String {
        let (name, asked) = match line.split_once(" = ") {
            Some((name, asked)) if name.starts_with('$') => (Some(name), asked),
            _ => (None, line),
        };
        let (asked, expected) = asked.rsplit_once(" => ").unwrap_or((asked, ""));
        let mut answer = self.ask(asked);
        if let Some(cursor) = answer.pointer_mut("/ok/next").filter(|cursor| cursor.is_string()) {
            *cursor = json!("<cursor>");
        }
        let code = answer.pointer("/error/code").and_then(Value::as_str).unwrap_or_default().to_owned();
        assert!(code == expected || expected == "any", "{line}\n  answered {answer}");
        let operation = asked.split_once("> ").map_or(asked, |(_, rest)| rest).split(' ').next().unwrap_or_default();
        self.met.insert((operation.to_owned(), code.clone()));
        if let Some(name) = name {
            self.names.push((name.to_owned(), answer["ok"].clone()));
            // The longest first: one name may begin another.
            self.names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        }
        match (expected, OF_THE_MOMENT.contains(&operation)) {
            // The answers tell when to try again.
            ("any" | "too_many_attempts", _) => line.to_owned(),
            (_, true) => format!("{line}\n  {}", shape(&answer)),
            _ => format!("{line}\n  {}", self.with_holes(&answer.to_string(), asked)),
        }
    }

    fn ask(&mut self, line: &str) -> Value {
        // Two records of one millisecond have no order.
        self.asked.pass(1000);
        let (actor, asked) = match line.split_once("> ") {
            Some((actor, asked)) if !actor.contains('{') => (json!(actor), asked),
            _ => (Value::Null, line),
        };
        let (operation, args) = asked.split_once(' ').unwrap_or((asked, "{}"));
        let args: Value = serde_json::from_str(&self.filled(args)).unwrap_or_else(|err| panic!("{line}: {err}"));
        self.asked.call.say(&json!({"op": operation, "args": args, "actor": actor}).to_string());
        let mut answer = self.asked.call.answer();
        // A line that waits asks as often as it has to.
        answer["id"].take();
        answer
    }

    /// The text with what its names stand for.
    fn filled(&self, text: &str) -> String {
        let inner = |value: &Value| {
            let quoted = value.to_string();
            quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&quoted).to_owned()
        };
        let mut text = text.replace("$soon", &self.asked.now().plus_seconds(SOON_SECONDS).to_string());
        for (name, value) in &self.names {
            for member in ["code", "jwt", "approvecode", "seq", "mac"] {
                text = text.replace(&format!("{name}.{member}"), &inner(&value[member]));
            }
            text = text.replace(name, &inner(value.get("pk").unwrap_or(value)));
        }
        text
    }

    /// The whole change feed, without times and processes.
    fn feed(&mut self) -> Vec<String> {
        let (mut feed, mut after) = (Vec::new(), Value::Null);
        loop {
            let page = self.ask(&format!("changes.list {}", json!({"limit": 1000, "after": after})));
            for change in page["ok"]["items"].as_array().expect("changes") {
                feed.push(self.with_holes(&change.to_string(), ""));
            }
            after = page["ok"]["next"].clone();
            if after.is_null() {
                return feed;
            }
        }
    }

    /// A text with holes, and each pk as its number.
    fn with_holes(&mut self, text: &str, known: &str) -> String {
        let mut parts: Vec<String> = Vec::new();
        for part in text.split('"') {
            let part = if parts.last().is_some_and(|name| name == "pid") {
                part.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit())
            } else {
                part
            };
            let is_pk = part.len() == 36 && part.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
            let count = self.pks.len();
            let number = |pks: &mut BTreeMap<String, usize>| *pks.entry(part.to_owned()).or_insert(count);
            parts.push(if is_pk { format!("pk {}", number(&mut self.pks)) } else { part.to_owned() });
        }
        with_holes(&parts.join("\""), known)
    }
}

fn enrollctl(socket: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary("enrollctl"));
    command.arg("--socket").arg(socket).args(args);
    command
}

/// The names of an answer's members.
fn shape(answer: &Value) -> String {
    match &answer["ok"] {
        Value::Object(members) => members.keys().cloned().collect::<Vec<_>>().join(" "),
        Value::Array(_) => "a list".to_owned(),
        Value::Null => answer.to_string(),
        _ => "a value".to_owned(),
    }
}
