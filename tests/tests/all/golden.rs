//! Golden tests of the wire: the number of every operation, the bytes of one request and one reply of each, and the frames
//! of a handshake, as they were when the operation was declared. A difference means that old clients and new daemons no
//! longer understand each other: numbers stay for ever, and a changed shape is a new number.
//!
//! `golden/wire.txt` holds a line each: name, then `number` and the number, or `request` or `reply` and the bytes in
//! hexadecimal (`-` for no bytes). `ENROLL_UPDATE=1` writes the file anew, after an operation was added or, before the
//! first release, a shape was changed and the protocol's version raised.

mod certificates;
mod events;
mod pools;
mod programs;
mod shapes;
mod snapshot;

use std::fmt::Write as _;

use enroll_protocol::encoding::Encoding;
use enroll_protocol::envelope::{Hello, MAGIC, PROTOCOL_VERSION, Welcome};
use enroll_protocol::finding::{Finding, Severity};
use enroll_protocol::frame::{self, FrameKind};
use enroll_protocol::operations::TABLE;
use enroll_protocol::{
    ChangeMac, Code, Envelope, Json, Jwt, Key, Operation, Page, Pk, Refusal, Time, changes, cluster, code, codec, jwt,
    permission, person, role, server, token, transaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_wincode::SerdeCompat;
use wincode::config::Configuration;

const GOLDEN: &str = include_str!("../../golden/wire.txt");

#[test]
fn every_operation_has_its_number_and_its_bytes_for_ever() {
    let mut samples = Samples::default();
    numbers(&mut samples);
    handshake(&mut samples);
    json_frames(&mut samples);
    people_and_roles(&mut samples);
    permissions(&mut samples);
    tokens_and_codes(&mut samples);
    the_rest(&mut samples);
    pools::pools(&mut samples);
    pools::enrollments(&mut samples, &somebody());
    events::events(&mut samples);
    events::registrations(&mut samples);
    events::supervisors(&mut samples, &somebody());
    events::constants(&mut samples);
    certificates::certificates(&mut samples);
    programs::courses(&mut samples);
    programs::programs(&mut samples);
    snapshot::snapshot(&mut samples);
    for row in TABLE {
        let declared = |what: &str| samples.0.contains(&format!("{} {what} ", row.name));
        assert!(declared("request") && declared("reply"), "{} has no sample here", row.name);
    }
    if std::env::var_os("ENROLL_UPDATE").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/golden/wire.txt"), &samples.0).expect("written");
        return;
    }
    let changed: Vec<_> = samples.0.lines().filter(|line| !GOLDEN.lines().any(|golden| golden == *line)).collect();
    assert!(
        samples.0 == GOLDEN,
        "the wire has changed; ENROLL_UPDATE=1 writes golden/wire.txt anew; new: {changed:#?}"
    );
}

fn numbers(samples: &mut Samples) {
    for row in TABLE {
        writeln!(samples.0, "{} number {}", row.name, row.number).expect("written");
    }
}

#[derive(Default)]
struct Samples(String);

impl Samples {
    fn line(&mut self, name: &str, what: &str, bytes: &[u8]) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(self.0, "{name} {what} {}", if hex.is_empty() { "-" } else { &hex }).expect("written");
    }

    /// A request and a reply; both must come out of their bytes, and of their JSON, as they went in.
    fn operation<O: Operation>(&mut self, request: &O, reply: &O::Reply) {
        let row = O::ROW;
        let (wire, answer) = (codec::encode(request), codec::encode(reply));
        let json = serde_json::to_string(request).expect("JSON");
        let args = serde_json::value::RawValue::from_string(json).expect("JSON");
        assert_eq!(row.request_to_wire(&args), Ok(wire.clone()), "{}", row.name);
        assert_eq!(codec::encode(&codec::decode::<O>(&wire).expect("decoded")), wire, "{}", row.name);
        let json = serde_json::to_string(reply).expect("JSON");
        shapes::expect_shape(row, &json);
        assert_eq!(row.reply_to_json(&answer), Ok(json), "{}", row.name);
        expect_other_encoder(request, &wire);
        expect_other_encoder(reply, &answer);
        self.line(row.name, "request", &wire);
        self.line(row.name, "reply", &answer);
    }
}

fn handshake(samples: &mut Samples) {
    let mut bytes = Vec::new();
    let hello = Hello { magic: MAGIC, protocol: PROTOCOL_VERSION, client: "golden".to_owned() };
    frame::append(&mut bytes, FrameKind::Hello, 0, 0, &hello);
    samples.line("hello", "frame", &bytes);
    bytes.clear();
    let (daemon, grant) = ("0.1.0".to_owned(), "operate".to_owned());
    let welcome = Welcome { protocol: PROTOCOL_VERSION, daemon, grant, frame_bytes_max: 1 << 20 };
    frame::append(&mut bytes, FrameKind::Welcome, 0, 0, &welcome);
    samples.line("welcome", "frame", &bytes);
    bytes.clear();
    let refusal = Refusal::new(Code::NOT_FOUND, "nobody").with(serde_json::json!({"a": 1}));
    frame::append(&mut bytes, FrameKind::Refused, 2, 7, &refusal);
    samples.line("refused", "frame", &bytes);
    for (name, kind) in
        [("item", FrameKind::StreamItem), ("end", FrameKind::StreamEnd), ("begun", FrameKind::StreamBegun)]
    {
        bytes.clear();
        frame::append_with(&mut bytes, kind, 51, 7, |_| {});
        samples.line(name, "frame", &bytes);
    }
    let envelope = Envelope {
        actor: Some("BOSS".parse().expect("a name")),
        origin: Some("::1".parse().expect("an origin")),
        key: Some(Key(pk(9))),
        dry_run: true,
    };
    expect_other_encoder(&envelope, &codec::encode(&envelope));
    samples.line("envelope", "full", &codec::encode(&envelope));
    let proven = Envelope { actor: Some(Jwt::new("a.b.c").expect("a JWT").into()), ..Envelope::default() };
    expect_other_encoder(&proven, &codec::encode(&proven));
    samples.line("envelope", "proven", &codec::encode(&proven));
    samples.line("envelope", "empty", &codec::encode(&Envelope::default()));
}

/// The frames of a connection whose bodies are JSON.
fn json_frames(samples: &mut Samples) {
    let mut sample = |name: &str, kind, operation, id, body: &[u8]| {
        let mut bytes = Vec::new();
        frame::append_with(&mut bytes, kind, operation, id, |bytes| bytes.extend_from_slice(body));
        samples.line(name, "json", &bytes);
    };
    let hello = br#"{"magic":"enrolld","protocol":4,"client":"golden"}"#;
    assert_eq!(Encoding::of_hello(hello), Encoding::Json);
    assert!(Encoding::Json.hello(hello).is_some_and(|hello| hello.protocol == PROTOCOL_VERSION));
    sample("hello", FrameKind::Hello, 0, 0, hello);
    let (daemon, grant) = ("0.1.0".to_owned(), "operate".to_owned());
    let welcome = Welcome { protocol: PROTOCOL_VERSION, daemon, grant, frame_bytes_max: 1 << 20 };
    sample("welcome", FrameKind::Welcome, 0, 0, &Encoding::Json.welcome(&welcome));
    let refusal = Refusal::new(Code::NOT_FOUND, "nobody").with(serde_json::json!({"a": 1}));
    sample("refused", FrameKind::Refused, 2, 7, &Encoding::Json.refusal(&refusal));
    let request = br#"{"op":"person.get","args":{"person":"DOGGO01a"},"actor":"BOSS","origin":"::1","dry_run":true}"#;
    sample("person.get", FrameKind::Request, 0, 7, request);
    let body = |kind, row, compact: &[u8]| Encoding::Json.body(kind, row, compact, 1000).expect("JSON").into_owned();
    let spent = body(FrameKind::Reply, role::Assign::ROW, &codec::encode(&true));
    sample("reply", FrameKind::Reply, role::Assign::ROW.number, 7, &spent);
    let follow = changes::Follow { since: Some(9) };
    let begun = body(FrameKind::StreamBegun, changes::Follow::ROW, &codec::encode(&follow));
    sample("begun", FrameKind::StreamBegun, changes::Follow::ROW.number, 7, &begun);
}

/// The wire does not hang on one library: another encoder of the same format writes and reads the same bytes.
fn expect_other_encoder<T: Serialize + DeserializeOwned>(value: &T, bytes: &[u8]) {
    let configuration = Configuration::default().with_varint_encoding();
    let written = <SerdeCompat<T> as wincode::config::Serialize<_>>::serialize(value, configuration);
    assert_eq!(written.expect("bytes"), bytes);
    let read = <SerdeCompat<T> as wincode::config::Deserialize<_>>::deserialize(bytes, configuration);
    assert_eq!(codec::encode(&read.expect("a value")), bytes);
}

/// A person with something in every field.
fn somebody() -> person::Person {
    person::Person {
        pk: pk(1),
        callsign: "DOGGO01a".parse().expect("a callsign"),
        extra: json(r#"{"team":"red"}"#),
        roles: vec!["member".parse().expect("a role")],
        supervisor: Some(pk(2)),
        certificate: true,
        revocation: Some(person::Revocation { reason: person::RevocationReason::Superseded, at: time(3) }),
        created: time(1),
        updated: time(2),
        deleted: Some(time(3)),
    }
}

fn people_and_roles(samples: &mut Samples) {
    let somebody = somebody();
    let create = person::Create {
        roles: vec!["member".parse().expect("a role")],
        certificate: person::CertificateWanted::Csr("PEM".to_owned()),
        extra: json(r#"{"team":"red"}"#),
        ..person::Create::new("DOGGO01a".parse().expect("a callsign"))
    };
    samples.operation(&create, &somebody);
    samples.operation(&person::Get { person: name("DOGGO01a"), allow_deleted: true }, &somebody);
    let list = person::List {
        role: Some("member".parse().expect("a role")),
        prefix: Some("dog".parse().expect("a prefix")),
        include_deleted: true,
        deleted_only: true,
        after: Some("cursor".parse().expect("a cursor")),
        limit: "7".parse().expect("a limit"),
    };
    let next = Some("next".parse().expect("a cursor"));
    samples.operation(&list, &Page { items: vec![somebody.clone()], next });
    samples.operation(&person::Find { claims: json(r#"{"sub":"DOGGO01a"}"#), allow_deleted: true }, &somebody);
    samples.operation(&person::Update { person: name("DOGGO01a"), extra: Some(json("{}")), patch: None }, &somebody);
    samples.operation(&person::Delete { person: name("DOGGO01a") }, &somebody);
    let reason = person::RevocationReason::KeyCompromise;
    samples.operation(&person::Revoke { person: name("DOGGO01a"), reason }, &somebody);
    let (person, role) = (name("DOGGO01a"), "member".parse().expect("a role"));
    samples.operation(&role::Assign { person, role }, &true);
    let (person, role) = (name("DOGGO01a"), "member".parse().expect("a role"));
    samples.operation(&role::Remove { person, role }, &false);
    samples.operation(&person::Restore { person: name("DOGGO01a") }, &somebody);
    samples.operation(&person::Erase { person: name("DOGGO01a") }, &somebody);
    let (person, role) = (name("DOGGO01a"), "member".parse().expect("a role"));
    samples.operation(&role::Has { person, role, allow_deleted: true }, &true);
    samples.operation(
        &role::List {
            person: Some(name("DOGGO01a")),
            prefix: Some("me".parse().expect("a prefix")),
            allow_deleted: true,
        },
        &vec!["member".parse().expect("a role")],
    );
}

fn permissions(samples: &mut Samples) {
    let role = || "member".parse().expect("a role");
    let permission = || "/people/".parse().expect("a permission");
    samples.operation(&permission::Grant { role: role(), permission: permission() }, &true);
    samples.operation(&permission::Revoke { role: role(), permission: permission() }, &false);
    samples.operation(&permission::Has { person: name("DOGGO01a"), permission: permission() }, &true);
    let granted = permission::Granted { role: role(), permission: permission() };
    samples.operation(&permission::List { role: Some(role()) }, &vec![granted]);
}

fn tokens_and_codes(samples: &mut Samples) {
    let token = || "nonce".parse().expect("a token");
    let (audit, expires) = (Some(json(r#"{"ip":"::1"}"#)), Some(time(5)));
    let spent = token::Spent { token: token(), created: time(1), audit: audit.clone(), expires };
    samples.operation(&token::Use { token: token(), audit: audit.clone(), expires }, &spent);
    samples.operation(&token::Get { token: token() }, &spent);
    samples.operation(&token::Delete { token: token() }, &());
    let code = || "ABCDEFGHJKLM".parse().expect("a code");
    let create = code::Create { claims: json(r#"{"sub":"DOGGO01a"}"#), audit: audit.clone(), expires };
    samples.operation(&create, &code::Created { code: Some(code()), expires });
    let claims = json(r#"{"sub":"DOGGO01a"}"#);
    let used = code::Used { jwt: Some("h.p.s".parse().expect("a JWT")), expires: time(6), claims: claims.clone() };
    samples.operation(&code::Use { code: code(), audit: audit.clone() }, &used);
    let login = code::Login { created: time(1), claims, audit, used_on: Some(time(2)), expires };
    samples.operation(&code::Get { code: code() }, &login);
    samples.operation(&code::Delete { code: code() }, &());
}

fn the_rest(samples: &mut Samples) {
    samples.operation(&jwt::Verify { jwt: "h.p.s".parse().expect("a JWT") }, &json(r#"{"sub":"DOGGO01a"}"#));
    samples.operation(&jwt::Keys {}, &json(r#"{"keys":[]}"#));
    let fresh = code::Exchanged { jwt: Some("h.p.s".parse().expect("a JWT")), expires: time(6) };
    samples.operation(&jwt::Refresh { jwt: "h.p.s".parse().expect("a JWT") }, &fresh);
    samples.operation(&jwt::Rotate {}, &json(r#"{"keys":[]}"#));
    let exchange = jwt::Exchange { jwt: "h.p.s".parse().expect("a JWT"), audit: Some(json(r#"{"ip":"::1"}"#)) };
    samples.operation(&exchange, &fresh);
    let change = changes::Change {
        seq: 300,
        at: time(1),
        area: "token".to_owned(),
        verb: "use".to_owned(),
        subjects: vec![pk(1), pk(2)],
        actor: Some(pk(3)),
        peer: changes::PeerId { uid: 1000, pid: 4242, member: Some("north".parse().expect("a name")) },
        origin: Some("::1".parse().expect("an origin")),
        cause: Some(299),
        refused: Some(Code::TOKEN_REUSE),
    };
    let list =
        changes::List { since: Some(12), after: Some("cursor".parse().expect("a cursor")), ..Default::default() };
    samples.operation(&changes::Follow { since: Some(12) }, &change);
    samples.operation(&list, &Page { items: vec![change], next: None });
    let status = server::DaemonStatus {
        version: "0.1.0".to_owned(),
        uptime_seconds: 70,
        state_dir: "/var/lib/enrolld".to_owned(),
        database: server::Database { bytes: 1 << 20, cache_bytes: 64 << 20, schema: 1 },
        registry_created: time(1),
        records: [("person".to_owned(), 2), ("token".to_owned(), 3)].into(),
        connections: 1,
        queue: 0,
        changes_head: 300,
        clock: Some(server::ClockStep { last_step_seconds: -70, last_step_at: time(2) }),
        warnings: vec![Finding {
            topic: "issuers".to_owned(),
            severity: Severity::Warning,
            subject: "https://id.example.org".to_owned(),
            message: "it has no usable key".to_owned(),
            mend: "systemctl reload enrolld".to_owned(),
        }],
        written: vec![server::WrittenBytes { uid: Some(1000), bytes_this_hour: 300, bytes_last_hour: 70 }],
        last_backup: Some(time(3)),
        backup_directory: Some("/var/backups/enrolld".to_owned()),
        waiting: server::Waiting { enrollments: 3, more: false, oldest: Some(time(3)) },
        requests: server::Requests { done: 300, refused: 70, failed: 1 },
        disk: server::Disk { free_bytes: Some(1 << 30), needed_bytes: 64 << 20, commit_micros: 1_200 },
        clock_synchronised: true,
        authority_ends: time(300),
        certificate_ends: Some(time(70)),
    };
    samples.operation(&server::Status {}, &status);
    let (invariant, subject) = ("I1".to_owned(), "x".to_owned());
    let violation = server::Violation { invariant, subject, message: "does not hold".to_owned() };
    let mac = "00112233445566778899aabbccddeeff".parse::<ChangeMac>().expect("a MAC");
    let head = changes::KeptHead { seq: 300, mac: mac.clone() };
    samples.operation(&server::Check { head: Some(head) }, &vec![violation]);
    let head = changes::ChainHead { seq: 300, mac, from: 12, at: time(2) };
    samples.operation(&changes::Head {}, &head);
    samples.operation(&server::Metrics {}, &"# EOF\n".to_owned());
    samples.operation(&server::Backup {}, &server::Piece(b"enrollbk".to_vec()));
    samples.operation(&server::Export { with_secrets: true }, &"{\"record\":".to_owned());
    let imported = server::Imported { at: 300, records: Some([("person".to_owned(), 2)].into()) };
    samples.operation(&server::Import { at: 12, text: "{}\n".to_owned() }, &imported);
    samples.operation(&server::AcceptClock {}, &status);
    let member = cluster::Member {
        name: "b".to_owned(),
        host: "host-b".to_owned(),
        version: "0.1.0".to_owned(),
        is_here: true,
        record: 300,
        lag_records: 12,
        lag_seconds: 3,
        on_disk: 280,
        clock_ahead_millis: Some(-70),
        differing_settings: vec!["jwt".to_owned()],
    };
    let status = cluster::ClusterStatus {
        member: Some("a".to_owned()),
        leader: Some("a".to_owned()),
        term: 7,
        latest_record: 312,
        oldest_record: 12,
        journal_bytes: 70_000,
        etcd: cluster::EtcdSize { bytes: 1 << 20, in_use_bytes: 300_000, quota_bytes: 2 << 30 },
        members: vec![member],
    };
    samples.operation(&cluster::Status {}, &status);
    let to = cluster::HandOver { member: Some("b".parse().expect("a name")) };
    samples.operation(&to, &Some("a".to_owned()));
    let unit = transaction::Unit::of(&role::Remove { person: name("DOG"), role: "member".parse().expect("a role") });
    let reply = transaction::Reply { number: unit.number, reply: codec::encode(&true) };
    samples.operation(&transaction::Run { units: vec![unit] }, &vec![reply]);
}

fn pk(number: u8) -> Pk {
    Pk::from_bytes([number; 16])
}

fn time(seconds: i64) -> Time {
    Time::from_micros(1_800_000_000_000_000 + seconds * 1_000_000).expect("a time")
}

fn json(text: &str) -> Json {
    Json::new(text).expect("an object")
}

fn name(text: &str) -> enroll_protocol::Reference {
    text.parse().expect("a name")
}
