//! Oracles by time: does the wait for an answer tell what the answer does not? How much of a code is right, and whether there
//! is one where that is not told.
//!
//! Pairs of requests that are answered alike are sent over one socket, in a random order within each pair, and with codes
//! drawn anew. The figure is the median of the differences within the pairs, which what else the machine does hardly moves.
//! A difference that was put there must be seen by the same measure.

use std::time::{Duration, Instant};

use enroll_protocol::{Code, Envelope, Operation, code, codec, enrollment, pool, token};
use enroll_tests::neighbours::{as_user, open_to_all};
use enroll_tests::process::{Daemon, Home};
use enroll_tests::skip::{is_root, say};
use enroll_tests::socket::{Outcome, Socket};
use rand::rngs::ChaCha20Rng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

/// A user with the grant `read`.
const READER: u32 = 41_003;

/// Pairs of a measurement.
const PAIRS: usize = 3000;

/// The difference that counts as none. A guess costs a place among 30 a minute.
const BOUND: Duration = Duration::from_micros(2);

/// A difference must be seen this many times in a row, and one that was put there once of as many: the machine has other
/// work, too.
const ATTEMPTS: usize = 5;

/// The alphabet of codes.
const CHARACTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// The two requests of a pair.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    First,
    Second,
}

/// Two kinds of requests that are answered alike.
struct Question<'a> {
    name: &'a str,
    is_answer: &'a dyn Fn(&Outcome) -> bool,
    number: u16,
    /// Makes one of them.
    request: &'a dyn Fn(Of, &mut ChaCha20Rng) -> Vec<u8>,
    /// Goes before a measurement.
    before: &'a dyn Fn(&mut Socket),
    /// A wait that is put into each of the second kind.
    put: Duration,
}

impl Question<'_> {
    /// The median of what the second kind waits longer than the first, and of all waits, in microseconds; none if the
    /// daemon began to answer otherwise.
    fn measure(&self, socket: &mut Socket, random: &mut ChaCha20Rng) -> Option<(f64, f64)> {
        (self.before)(socket);
        let (mut differences, mut waits) = (Vec::new(), Vec::new());
        for _ in 0..PAIRS {
            let mut pair = [Duration::ZERO; 2];
            let order = if random.random() { [Of::First, Of::Second] } else { [Of::Second, Of::First] };
            for of in order {
                let mut bytes = Vec::new();
                socket.frame(&mut bytes, &Envelope::default(), self.number, &(self.request)(of, random));
                let begun = Instant::now();
                socket.send(&bytes).expect("sent");
                let answer = socket.receive().expect("an answer");
                let answered = Instant::now();
                while of == Of::Second && answered.elapsed() < self.put {
                    std::hint::spin_loop();
                }
                pair[of as usize] = begun.elapsed();
                if !(self.is_answer)(&answer.outcome()) {
                    return None;
                }
            }
            let [first, second] = pair.map(|wait| wait.as_secs_f64() * 1e6);
            differences.push(second - first);
            waits.push(first);
        }
        Some((median(differences), median(waits)))
    }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// A code that shares all but its last character with the right one, or not even its first.
fn wrong(right: &str, of: Of, random: &mut ChaCha20Rng) -> String {
    let mut drawn = vec![0; right.len()];
    drawn.fill_with(|| *CHARACTERS.choose(random).expect("a character"));
    let differs_at = if of == Of::First { right.len() - 1 } else { 0 };
    let others: Vec<u8> = CHARACTERS.iter().copied().filter(|other| *other != right.as_bytes()[differs_at]).collect();
    drawn[differs_at] = *others.choose(random).expect("a character");
    drawn[..differs_at].copy_from_slice(&right.as_bytes()[..differs_at]);
    String::from_utf8(drawn).expect("letters and digits")
}

/// The waits of the two kinds do not differ; where they differ because a wait was put there, that is seen.
fn expect_no_difference(socket: &mut Socket, question: Question<'_>) {
    let random = &mut ChaCha20Rng::seed_from_u64(1);
    let bound = BOUND.as_secs_f64() * 1e6;
    let mut seen = Vec::new();
    while seen.len() < ATTEMPTS && !seen.iter().flatten().any(|(difference, _): &(f64, f64)| difference.abs() <= bound)
    {
        seen.push(question.measure(socket, random));
    }
    match seen.last().expect("a measurement") {
        Some((difference, wait)) if difference.abs() <= bound => {
            say(&format!("{}: {difference:+.2} us of {wait:.0}", question.name));
        }
        _ => panic!("{}: it takes longer by {seen:?} us", question.name),
    }
    let put = Question { put: BOUND * 3, ..question };
    let mut found = Vec::new();
    let is_seen = (0..ATTEMPTS).any(|_| {
        let measured = put.measure(socket, random);
        found.push(measured);
        measured.is_some_and(|(difference, _)| difference > bound)
    });
    assert!(is_seen, "{}: a wait of {:?} is not seen: {found:?}", put.name, put.put);
}

fn is_refused(outcome: &Outcome, code: Code) -> bool {
    outcome.as_ref().is_err_and(|refusal| refusal.code == code)
}

fn request<O: Operation>(operation: &O) -> Vec<u8> {
    codec::encode(operation)
}

/// A daemon that lets so many guesses be made, with a pool, an enrollment, a login code and a spent token.
struct Codes {
    daemon: Daemon,
    invite: String,
    approve: String,
    login: String,
    token: String,
}

impl Codes {
    fn make(guesses_per_minute: u32) -> Self {
        let home = Home::make();
        let per_minute = ["per_minute", "uid_per_minute", "total_per_minute"]
            .map(|limit| format!("guesses.{limit} = {guesses_per_minute}\n"))
            .concat();
        home.configure(&format!("{per_minute}[grants]\nread = [\"user:{READER}\"]\n"));
        let daemon = home.start();
        let client = daemon.client();
        daemon.done(&["person", "create", "BOSS", "--role", "supervisor"]);
        let made = pool::Create { owner: Some("BOSS".parse().expect("a name")), ..pool::Create::default() };
        let invite = client.call(made).expect("a pool").invitecode.expect("a code").as_str().to_owned();
        let made = enrollment::Create::new("DOGGO01a".parse().expect("a callsign"));
        let approve = client.call(made).expect("an enrollment").approvecode.expect("a code").as_str().to_owned();
        let login = client.call(code::Create::new(Default::default())).expect("a code").code.expect("a code");
        let token = "SPENTTOKEN2222222222".to_owned();
        client.call(token::Use::new(token.parse().expect("a token"))).expect("spent");
        Self { daemon, invite, approve, login: login.as_str().to_owned(), token }
    }
}

#[test]
fn a_code_that_is_nearly_right_is_refused_as_fast_as_another() {
    let _exclusive = crate::exclusive();
    let codes = Codes::make(1 << 20);
    let socket = &mut Socket::connect(&codes.daemon.home.socket());
    let unknown = |outcome: &Outcome| match outcome {
        Ok(reply) => *reply == codec::encode(&false),
        Err(refusal) => refusal.code == Code::NOT_FOUND,
    };
    let mut near = |name, number, request: &dyn Fn(Of, &mut ChaCha20Rng) -> Vec<u8>| {
        let question = Question { name, is_answer: &unknown, number, request, before: &|_| (), put: Duration::ZERO };
        expect_no_difference(socket, question);
    };
    near("an invite code that is nearly right", pool::Check::ROW.number, &|of, random| {
        request(&pool::Check { invitecode: wrong(&codes.invite, of, random).parse().expect("a code") })
    });
    near("an approve code that is nearly right", enrollment::Find::ROW.number, &|of, random| {
        request(&enrollment::Find { approvecode: wrong(&codes.approve, of, random).parse().expect("a code") })
    });
    near("a login code that is nearly right", code::Get::ROW.number, &|of, random| {
        request(&code::Get { code: wrong(&codes.login, of, random).parse().expect("a code") })
    });
    near("a token that is nearly right", token::Get::ROW.number, &|of, random| {
        request(&token::Get { token: wrong(&codes.token, of, random).parse().expect("a token") })
    });
}

#[test]
fn a_right_code_is_refused_as_fast_as_a_wrong_one_where_neither_is_looked_up() {
    let _exclusive = crate::exclusive();
    if !is_root("a_right_code_is_refused_as_fast_as_a_wrong_one_where_neither_is_looked_up") {
        return;
    }
    let codes = Codes::make(1);
    open_to_all(&codes.daemon);
    let path = codes.daemon.home.socket();
    // A code is drawn for each, so that all requests come after the same pause.
    let one_of = |right: &str, of, random: &mut ChaCha20Rng| {
        let wrong = wrong(right, Of::Second, random);
        if of == Of::First { right.to_owned() } else { wrong }
    };
    let login = |of, random: &mut ChaCha20Rng| {
        request(&code::Get { code: one_of(&codes.login, of, random).parse().expect("a code") })
    };
    // The window of the limit may have ended since.
    let guess = |socket: &mut Socket| {
        let wrong = "WRONGWRONG22".parse().expect("a code");
        socket.call(&code::Get { code: wrong }).expect_err("a wrong code");
    };
    expect_no_difference(
        &mut Socket::connect(&path),
        Question {
            name: "a right code past the limit of guesses",
            is_answer: &|outcome| is_refused(outcome, Code::TOO_MANY_ATTEMPTS),
            number: code::Get::ROW.number,
            request: &login,
            before: &guess,
            put: Duration::ZERO,
        },
    );
    let invite = |of, random: &mut ChaCha20Rng| {
        request(&pool::Check { invitecode: one_of(&codes.invite, of, random).parse().expect("a code") })
    };
    expect_no_difference(
        &mut as_user(READER, || Socket::connect(&path)),
        Question {
            name: "a right code of a reader",
            is_answer: &|outcome| is_refused(outcome, Code::PERMISSION_DENIED),
            number: pool::Check::ROW.number,
            request: &invite,
            before: &|_| (),
            put: Duration::ZERO,
        },
    );
}
