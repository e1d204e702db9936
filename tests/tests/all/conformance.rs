//! Conformance: one story is told to the client's fake and to a daemon, which must answer alike, refuse alike and write
//! the same change feed. It asks for every operation, and meets every refusal that the table of grounds has.
//!
//! A line is `[$NAME =] [ACTOR>] OPERATION ARGS [=> CODE]`; without a code it is not refused. `$NAME` stands for the
//! answer's pk in what comes after it and `$NAME.MEMBER` for another member. `50*` before a line asks 50 times, with the
//! number in place of `#`; the answers of `any` may differ. `+SECONDS` lets time pass and `wait $NAME` until that pool
//! has expired.

mod asked;

use std::collections::BTreeSet;

use enroll_client::fake;
use enroll_protocol::grounds;
use enroll_protocol::operations::TABLE;
use enroll_protocol::{Code, changes};
use enroll_tests::issuer::Signer;
use enroll_tests::openssl::OpenSsl;
use enroll_tests::pages;
use enroll_tests::poll;
use enroll_tests::process::{Daemon, Home};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use asked::{Asked, Story};

const TEST: &str = "a_fake_and_a_daemon_answer_and_refuse_alike";

const REFUSALS: &str = "refusals.txt";

/// The lines of the story for the fake alone, whose time passes at once.
const LATER: &str = "later.txt";

/// Refusals that no line meets, and the test that does.
const ELSEWHERE: &[(&str, &[&str])] = &[
    // Codes run out where the alphabet is two letters, which no configuration makes it.
    (
        "code_exhausted",
        &[
            "code.create",
            "pool.create",
            "pool.reset_code",
            "enrollment.create",
            "enrollment.reset_code",
            "enrollment.reopen",
        ],
    ),
    // Where another member leads, of whom a registry on one host has none; see the daemon's membership.
    ("conflict", &["cluster.hand_over"]),
    // A stream has no answer in lines; see below.
    ("expired", &["changes.follow"]),
];

const CONFIG: &str = "reserved_callsigns = [\"portal\"]\n[changes]\nkeep_seconds = 86400\n";

fn text(name: &str) -> String {
    let path = pages::root().join("tests/tests/all/conformance").join(name);
    std::fs::read_to_string(path).expect("a story")
}

fn config(home: &Home, more: &str) -> String {
    let keys = home.path("keys.pem").display().to_string();
    let trusted =
        format!("[[jwt.trusted]]\nissuer = \"https://id.example.org\"\naudience = \"enrolld\"\nkeys = \"{keys}\"\n");
    CONFIG.replacen("[\"portal\"", &format!("[\"portal\"{more}"), 1) + &trusted
}

/// Texts that both are told: a JWT of another issuer and a signing request.
fn given(home: &Home) -> Option<Vec<(String, Value)>> {
    let openssl = OpenSsl::find(TEST)?;
    let signer = Signer::ec();
    std::fs::write(home.path("keys.pem"), &signer.public).expect("written");
    let claims = json!({"iss": "https://id.example.org", "aud": "enrolld", "exp": 4_102_444_800_u64, "nonce": "n-1", "sub": "DOG"});
    let foreign = json!(signer.sign(&claims).as_str());
    openssl.run(&[
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "a.key",
        "-out",
        "a.csr",
        "-subj",
        "/CN=ANT",
    ]);
    Some(vec![("$foreign".to_owned(), foreign), ("$csr_ANT".to_owned(), json!(openssl.read("a.csr")))])
}

#[test]
fn a_fake_and_a_daemon_answer_and_refuse_alike() {
    let home = Home::make();
    let Some(given) = given(&home) else { return };
    home.configure(&config(&home, ""));
    let started = || fake::Daemon::builder().config(config(&home, "")).start().expect("a fake");
    let fake = started();
    let mut story = Story::of(Asked::fake(&fake), given.clone());
    let mut of_fake = story.tell(&text(REFUSALS));
    let export = story.export();
    of_fake.append(&mut story.records(&export));
    let mut met = story.met;

    let fake = started();
    let mut later = Story::of(Asked::fake(&fake), given.clone());
    later.tell(&text(LATER));
    met.append(&mut later.met);
    let follow = fake.blocking().expect("a client").stream(changes::Follow { since: Some(0) });
    let refused = follow.map(|mut changes| changes.next());
    assert!(format!("{refused:?}").contains("no longer kept"), "{refused:?}");

    let daemon = home.start();
    let mut story = Story::of(Asked::daemon(&daemon), given);
    let mut of_daemon = story.tell(&text(REFUSALS));
    let of_other = story.export();
    of_daemon.append(&mut story.records(&of_other));
    let both = of_fake.iter().zip(&of_daemon);
    let differing: Vec<String> = both.filter(|(fake, daemon)| fake != daemon).map(told_apart).take(8).collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert_eq!(of_fake.len(), of_daemon.len());
    met.append(&mut refused_after_a_reload(daemon, story));
    met.append(&mut imported_alike(&export));
    expect_whole(&met);
}

/// Both are the same after an import.
fn imported_alike(export: &str) -> BTreeSet<(String, String)> {
    let (fake, daemon) = (fake::Daemon::builder().start().expect("a fake"), Daemon::start());
    let [mut fake, mut daemon] = [Asked::fake(&fake), Asked::daemon(&daemon)].map(|asked| Story::of(asked, Vec::new()));
    let [of_fake, of_daemon] = [&mut fake, &mut daemon].map(|story| {
        story.import(export);
        let export = story.export();
        story.records(&export)
    });
    assert!(of_fake == of_daemon && of_fake.len() == export.lines().count(), "{} records", of_fake.len());
    fake.met
}

/// Two answers from where they differ.
fn told_apart((fake, daemon): (&String, &String)) -> String {
    let same = fake.chars().zip(daemon.chars()).take_while(|(one, other)| one == other).count();
    let begin = same.saturating_sub(60);
    let part = |text: &str| text.chars().skip(begin).take(160).collect::<String>();
    format!("{}\n  the fake   {}\n  the daemon {}", fake.lines().next().unwrap_or_default(), part(fake), part(daemon))
}

/// Refusals of names that are reserved only later.
fn refused_after_a_reload(daemon: Daemon, mut story: Story<'_>) -> BTreeSet<(String, String)> {
    daemon.home.configure(&config(&daemon.home, ", \"fox\", \"newt\""));
    daemon.signal(Signal::SIGHUP);
    let is_reserved = || story.asks(r#"person.create {"callsign":"fox"}"#).contains("by the configuration");
    poll::until("the configuration is read", is_reserved);
    story.met.clear();
    story.tell("person.delete {\"person\":\"FOX\"}\nperson.restore {\"person\":\"FOX\"} => callsign_reserved");
    story.tell("enrollment.approve {\"enrollment\":\"NEWT\"} => callsign_reserved");
    story.tell("certificate.issue {\"name\":\"fox\"} => conflict");
    story.met
}

/// Every operation was asked for, and every refusal of the table of grounds was met.
fn expect_whole(met: &BTreeSet<(String, String)>) {
    let is_met = |name: &str, code: &str| met.contains(&(name.to_owned(), code.to_owned()));
    let is_elsewhere = |name: &str, code: &str| {
        ELSEWHERE.iter().any(|(known, operations)| *known == code && operations.contains(&name))
    };
    let mut missing = Vec::new();
    for (name, codes) in grounds::TABLE {
        let codes = codes.iter().map(Code::to_string);
        missing.extend(
            codes.filter(|code| !is_met(name, code) && !is_elsewhere(name, code)).map(|code| format!("{name} {code}")),
        );
    }
    assert_eq!(missing, Vec::<String>::new(), "no line of the story meets them");
    let is_refused =
        |name: &str| ["token.delete", "code.delete", "enrollment.delete", "changes.follow"].contains(&name);
    let unasked: Vec<_> =
        TABLE.iter().map(|row| row.name).filter(|name| !is_met(name, "") && !is_refused(name)).collect();
    assert_eq!(unasked, Vec::<&str>::new(), "no line of the story asks for them");
}
