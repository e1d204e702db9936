//! Linearizability: clients race for tokens, pairs of tokens (transactions) and codes while the daemon is killed again and again. The answers about
//! each token and each code must fit into one order, in which each call took effect at once while it was open.
//!
//! Half of the clients are `enrollctl call`, which reconnects and retries by itself: to its user a kill is a call that
//! takes long. The other half are sockets that do neither, and sometimes close the connection without waiting: a lost
//! answer stays unknown, though some clients retry under their idempotency key. The order of calls and answers is
//! counted, not timed. Each use has an id in its audit, so a look-up shows which use was the first.
//!
//! `ENROLL_LINEARIZABILITY=N` checks N histories and prints statistics of them, `ENROLL_SEED=S` draws other calls and
//! kills. The interleaving depends on the machine, so a failure prints the whole history that does not fit.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, OnceLock};

use enroll_protocol::{Envelope, Key, OperationRow, Pk};
use enroll_tests::conversation::Conversation;
use enroll_tests::linearizability::{Answer, Call, History, Operation, State};
use enroll_tests::process::{Daemon, Home, PATIENCE, expect_sound};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use enroll_tests::seed::Seed;
use enroll_tests::socket::Socket;

/// Histories of tokens and codes in one run, half of each; and half as many of pairs of tokens beside them.
const HISTORIES: usize = 2_000;

/// The clients; every other one is a process.
const CLIENTS: usize = 8;

/// Tokens, and as many codes and pairs of tokens, that are raced for at one time.
const WINDOW: usize = 2;

/// Calls after which the window moves on.
const CALLS_EACH: usize = 18;

/// Answered calls between two kills.
const BETWEEN_KILLS: Range<usize> = 100..600;

/// The thing that clients race for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Token(usize),
    Code(usize),
    /// Two tokens, which transactions use at once.
    Pair(usize),
}

/// A login code: the first client makes it, and no other one knows it before that call is answered.
#[derive(Debug, Default)]
struct Login {
    is_taken: AtomicBool,
    code: OnceLock<String>,
}

/// State that all clients share.
struct Race {
    /// Locked while it is down.
    daemon: Mutex<Daemon>,
    logins: Vec<Login>,
    calls: u64,
    next_call: AtomicU64,
    /// Counts every call and every answer.
    next_moment: AtomicU64,
}

impl Race {
    fn begin(pairs: usize) -> Self {
        let home = Home::make();
        // Lost codes would look like guesses, so a lost code is reported as such.
        home.configure("guesses.per_minute = 1000000");
        Self {
            daemon: Mutex::new(home.start()),
            logins: (0..pairs + WINDOW).map(|_| Login::default()).collect(),
            calls: (pairs * CALLS_EACH) as u64,
            next_call: AtomicU64::new(0),
            next_moment: AtomicU64::new(0),
        }
    }

    fn moment(&self) -> u64 {
        self.next_moment.fetch_add(1, Ordering::SeqCst)
    }

    fn kill_and_restart(&self) {
        let mut daemon = self.daemon.lock().expect("it came back before");
        daemon.kill9();
        daemon.restart();
    }

    /// Lets the clients race and kills the daemon until they have ended. Returns the number of kills.
    fn run(&self, clients: &mut [Client<'_>], random: &mut SmallRng) -> usize {
        let (sender, answers) = channel();
        std::thread::scope(|scope| {
            for client in clients {
                let sender = sender.clone();
                scope.spawn(move || client.run(&sender));
            }
            drop(sender);
            let mut kills = 0;
            while came(&answers, random.random_range(BETWEEN_KILLS)) {
                self.kill_and_restart();
                kills += 1;
            }
            kills
        })
    }
}

/// Waits for this many answers. Returns true if they came.
fn came(answers: &Receiver<()>, count: usize) -> bool {
    (0..count).all(|_| match answers.recv_timeout(PATIENCE) {
        Ok(()) => true,
        Err(RecvTimeoutError::Disconnected) => false,
        Err(RecvTimeoutError::Timeout) => panic!("nobody is answered"),
    })
}

/// A client's connection to the daemon.
enum Line {
    Process(Conversation),
    Socket(Socket),
}

impl Line {
    /// A new connection of the kind of this client.
    fn open(race: &Race, client: usize) -> Self {
        let daemon = race.daemon.lock().expect("the daemon comes back");
        match client % 2 {
            0 => Self::Process(Conversation::begin(&daemon.home)),
            _ => Self::Socket(Socket::connect(&daemon.home.socket())),
        }
    }

    /// Sends one call. Returns `None` if no answer comes or the client does not wait. A process has idempotency keys of its
    /// own and always waits.
    fn ask(&mut self, key: Key, operation: &str, args: &Value, waits: bool) -> Option<Value> {
        match self {
            Self::Process(conversation) => {
                conversation.say(&json!({"op": operation, "args": args}).to_string());
                Some(conversation.answer()).filter(|answer| answer["error"]["code"] != "unavailable")
            }
            Self::Socket(socket) => {
                let row = OperationRow::by_name(operation).expect("an operation");
                let request = row.request_to_wire(&to_raw_value(args).expect("JSON")).expect("a request");
                let mut bytes = Vec::new();
                let envelope = Envelope { key: Some(key), ..Envelope::default() };
                socket.frame(&mut bytes, &envelope, row.number, &request);
                socket.send(&bytes).ok().filter(|()| waits)?;
                Some(match socket.receive()?.outcome() {
                    Ok(reply) => {
                        let reply = row.reply_to_json(&reply).expect("a reply of its type");
                        json!({"ok": serde_json::from_str::<Value>(&reply).expect("JSON")})
                    }
                    Err(refusal) => json!({"error": refusal}),
                })
            }
        }
    }
}

/// One client and the calls and answers that it has seen.
struct Client<'a> {
    race: &'a Race,
    number: usize,
    random: SmallRng,
    line: Line,
    seen: Vec<(Name, Operation)>,
}

impl<'a> Client<'a> {
    fn new(race: &'a Race, number: usize, random: &mut SmallRng) -> Self {
        let random = SmallRng::seed_from_u64(random.random());
        Self { race, number, random, line: Line::open(race, number), seen: Vec::new() }
    }

    /// Calls until all clients together have made enough calls, and reports the end of each call.
    fn run(&mut self, over: &Sender<()>) {
        loop {
            let call = self.race.next_call.fetch_add(1, Ordering::SeqCst);
            if call >= self.race.calls {
                return;
            }
            let (name, what) = self.choose(call);
            self.ask(name, what);
            // The last kill may be done.
            let _ = over.send(());
        }
    }

    /// The next call; its number is the number of its use.
    fn choose(&mut self, call: u64) -> (Name, Call) {
        let at = usize::try_from(call).expect("a number") / CALLS_EACH + self.random.random_range(0..WINDOW);
        if self.random.random_bool(1.0 / 3.0) {
            let of = self.random.random_range(0..2);
            let uses = [Call::UseBoth(call), Call::UseOf(of, call), Call::GetOf(of), Call::GetOf(of)];
            return (Name::Pair(at), uses[self.random.random_range(0..uses.len())]);
        }
        let login = &self.race.logins[at];
        let wants_code = self.random.random_bool(0.5);
        if wants_code && !login.is_taken.swap(true, Ordering::SeqCst) {
            return (Name::Code(at), Call::Make);
        }
        let name = if wants_code && login.code.get().is_some() { Name::Code(at) } else { Name::Token(at) };
        (name, if self.random.random_bool(0.4) { Call::Use(call) } else { Call::Get })
    }

    /// Calls and records the answer. A socket that lost the answer may retry under its idempotency key, and always does if
    /// it made a code, which no other client would ever know.
    fn ask(&mut self, name: Name, call: Call) {
        let key = Key(Pk::from_bytes(self.random.random()));
        let (operation, args) = self.request(name, call);
        loop {
            let (waits, called) = (self.random.random_bool(0.9), self.race.moment());
            let reply = self.line.ask(key, operation, &args, waits);
            let answered = reply.map(|reply| (self.race.moment(), self.read(name, call, &reply)));
            self.seen.push((name, Operation { client: self.number, called, call, answered }));
            if answered.is_some() {
                return;
            }
            self.line = Line::open(self.race, self.number);
            let may_ask_again = matches!(self.line, Line::Socket(_));
            if !may_ask_again || call != Call::Make && self.random.random_bool(0.5) {
                return;
            }
        }
    }

    fn request(&self, name: Name, call: Call) -> (&'static str, Value) {
        let code = |at: usize| self.race.logins[at].code.get().expect("a code that was made");
        let use_of = |at, of, by| json!({"token": format!("pair {at}.{of}"), "audit": {"by": by}});
        match (name, call) {
            (Name::Pair(at), Call::UseBoth(by)) => {
                let unit = |of| json!({"op": "token.use", "args": use_of(at, of, by)});
                ("transaction.run", json!({"units": [unit(0), unit(1)]}))
            }
            (Name::Pair(at), Call::UseOf(of, by)) => ("token.use", use_of(at, of, by)),
            (Name::Pair(at), Call::GetOf(of)) => ("token.get", json!({"token": format!("pair {at}.{of}")})),
            (Name::Token(at), Call::Use(by)) => {
                ("token.use", json!({"token": format!("nonce {at}"), "audit": {"by": by}}))
            }
            (Name::Token(at), Call::Get) => ("token.get", json!({"token": format!("nonce {at}")})),
            (Name::Code(at), Call::Make) => ("code.create", json!({"claims": {"sub": format!("DOG{at}")}})),
            (Name::Code(at), Call::Use(by)) => ("code.use", json!({"code": code(at), "audit": {"by": by}})),
            (Name::Code(at), Call::Get) => ("code.get", json!({"code": code(at)})),
            _ => unreachable!("nobody calls {call:?} of {name:?}"),
        }
    }

    /// The state in a reply. An unused token is not found; an unused code is.
    fn read(&self, name: Name, call: Call, reply: &Value) -> Answer {
        let by = || State::Used(reply["ok"]["audit"]["by"].as_u64().expect("the number of the use"));
        match (name, call, reply["error"]["code"].as_str()) {
            (Name::Code(at), Call::Make, None) => {
                let code = reply["ok"]["code"].as_str().expect("a code").to_owned();
                self.race.logins[at].code.set(code).expect("made once");
                Answer::Done
            }
            (_, Call::Use(_) | Call::UseBoth(_) | Call::UseOf(..), None) => Answer::Done,
            (_, Call::Use(_) | Call::UseBoth(_) | Call::UseOf(..), Some("token_reuse")) => Answer::Reuse,
            (_, Call::Use(_), Some("not_found")) => Answer::NotFound,
            (Name::Token(_), Call::Get, Some("not_found")) | (_, Call::GetOf(_), Some("not_found")) => {
                Answer::Is(State::Unused)
            }
            (Name::Code(_), Call::Get, Some("not_found")) => Answer::Is(State::Absent),
            (Name::Code(_), Call::Get, None) if reply["ok"]["used_on"].is_null() => Answer::Is(State::Unused),
            (_, Call::Get | Call::GetOf(_), None) => Answer::Is(by()),
            _ => panic!("{call:?} of {name:?} is answered {reply}"),
        }
    }
}

/// The calls of all clients, by name.
fn histories(clients: &mut [Client<'_>]) -> BTreeMap<Name, History> {
    let mut histories = BTreeMap::new();
    for (name, operation) in clients.iter_mut().flat_map(|client| client.seen.drain(..)) {
        let begins = match name {
            Name::Token(_) => State::Unused,
            Name::Code(_) => State::Absent,
            Name::Pair(_) => State::Pair([None, None]),
        };
        let history = histories.entry(name).or_insert_with(|| History { begins, operations: Vec::new() });
        history.operations.push(operation);
    }
    histories
}

/// The number of a use.
fn use_number(call: Call) -> Option<u64> {
    match call {
        Call::Use(by) | Call::UseBoth(by) | Call::UseOf(_, by) => Some(by),
        Call::Make | Call::Get | Call::GetOf(_) => None,
    }
}

/// True if a call looks at what another one uses.
fn looks_at(look: Call, used: Call) -> bool {
    match (look, used) {
        (Call::GetOf(of), Call::UseOf(used, _)) => of == used,
        (Call::Get | Call::GetOf(_), _) => true,
        _ => false,
    }
}

/// The use that was answered as the first one, if any was.
fn winner(history: &History) -> Option<&Operation> {
    let is_use = |it: &Operation| use_number(it.call).is_some();
    history.operations.iter().find(|it| is_use(it) && it.answer() == Some(Answer::Done))
}

/// The history with another answer of the last operation that fits.
fn changed(history: &History, find: impl Fn(&Operation) -> bool, answer: Answer) -> Option<History> {
    let mut history = history.clone();
    let operation = history.operations.iter_mut().rfind(|operation| find(operation))?;
    operation.answered = operation.answered.map(|(moment, _)| (moment, answer));
    Some(history)
}

/// Changes a refused use into an acknowledged one.
fn with_second_success(history: &History) -> Option<History> {
    changed(history, |operation| operation.answer() == Some(Answer::Reuse), Answer::Done)
}

/// Forgets an acknowledged use.
fn with_forgotten_use(history: &History) -> Option<History> {
    let won = winner(history)?;
    let (acknowledged, _) = won.answered?;
    let looked_later =
        |it: &Operation| looks_at(it.call, won.call) && it.called > acknowledged && it.answered.is_some();
    changed(history, looked_later, Answer::Is(State::Unused))
}

/// Removes the call of the first use.
fn without_winner(history: &History) -> Option<History> {
    let call = winner(history)?.call;
    let operations = history.operations.iter().filter(|operation| operation.call != call).cloned().collect();
    Some(History { operations, ..history.clone() })
}

/// True if a use won over another one that was open at the same moment.
fn was_raced_for(history: &History) -> bool {
    let is_other_use = |won: &Operation, it: &Operation| use_number(it.call).is_some() && it.call != won.call;
    winner(history).is_some_and(|won| history.operations.iter().any(|it| is_other_use(won, it) && it.overlaps(won)))
}

/// True if a use whose answer was lost turned out to be done.
fn has_hidden_winner(history: &History) -> bool {
    let is_answered = |it: &Operation, by| use_number(it.call) == Some(by) && it.answer() == Some(Answer::Done);
    history.operations.iter().any(|it| match it.answer() {
        Some(Answer::Is(State::Used(by))) => !history.operations.iter().any(|it| is_answered(it, by)),
        _ => false,
    })
}

/// Expects that no history with this change is linearizable. Returns the number of histories that could be changed.
fn expect_rejected(histories: &BTreeMap<Name, History>, change: impl Fn(&History) -> Option<History>) -> usize {
    let changed: Vec<_> = histories.values().filter_map(change).collect();
    for history in &changed {
        assert!(!history.is_linearizable(), "this must not fit into an order:\n{history}");
    }
    changed.len()
}

#[test]
fn what_clients_are_answered_fits_into_one_order_though_the_daemon_is_killed() {
    let _exclusive = crate::exclusive();
    let seed = Seed::of_this_run();
    let by_hand = std::env::var("ENROLL_LINEARIZABILITY").ok().map(|text| text.parse::<usize>().expect("a number"));
    let wanted = by_hand.unwrap_or(HISTORIES);
    let mut random = SmallRng::seed_from_u64(seed.0);
    let race = Race::begin(wanted.div_ceil(2));
    let mut clients: Vec<_> = (0..CLIENTS).map(|number| Client::new(&race, number, &mut random)).collect();
    let kills = race.run(&mut clients, &mut random);
    race.kill_and_restart();
    // The state in the end is a part of every history.
    for (at, login) in race.logins.iter().enumerate() {
        clients[0].ask(Name::Token(at), Call::Get);
        (0..2).for_each(|of| clients[0].ask(Name::Pair(at), Call::GetOf(of)));
        if login.code.get().is_some() {
            clients[0].ask(Name::Code(at), Call::Get);
        }
    }
    let histories = histories(&mut clients);
    for (name, history) in &histories {
        assert!(
            history.is_linearizable(),
            "what was answered about {name:?} fits into no order:\n{history}\nmore of the same: ENROLL_SEED={} \
             ENROLL_LINEARIZABILITY={wanted} cargo test -p enroll-tests --test exclusive linearizable",
            seed.0
        );
    }
    let second = expect_rejected(&histories, with_second_success);
    let forgotten = expect_rejected(&histories, with_forgotten_use);
    let nobody = expect_rejected(&histories, without_winner);

    let count = |is: &dyn Fn(&History) -> bool| histories.values().filter(|history| is(history)).count();
    let operations = || histories.values().flat_map(|history| &history.operations);
    let unknown = operations().filter(|operation| operation.answered.is_none()).count();
    let (raced, hidden) = (count(&was_raced_for), count(&has_hidden_winner));
    let at_once = count(&|history| winner(history).is_some_and(|won| matches!(won.call, Call::UseBoth(_))));
    let longest = histories.values().map(|history| history.operations.len()).max();
    if by_hand.is_some() {
        let _ = writeln!(
            std::io::stderr(),
            "{} histories of {} operations, the longest of {longest:?}: {kills} kills, {unknown} outcomes unknown, \
             {raced} won in a race, {at_once} by a transaction, {hidden} won by an outcome that was lost; {second}, {forgotten} and {nobody} \
             changed and rejected",
            histories.len(),
            operations().count(),
        );
    }
    assert!(kills >= wanted / 100 && unknown >= kills, "{kills} kills, {unknown} outcomes unknown");
    assert!(raced >= wanted / 10 && hidden >= wanted / 400, "{raced} races, {hidden} hidden winners");
    assert!(at_once >= wanted / 20, "{at_once} were won by a transaction");
    assert!([second, forgotten, nobody].iter().all(|changed| *changed >= wanted / 2), "too few were changed");
    expect_sound(&race.daemon.lock().expect("it is up"));
}
