//! The bytes of the contract: one request and one reply of every operation, and the frames of a handshake, as they
//! were when the operation was declared. A difference means that old clients and new daemons no longer understand each
//! other: a changed shape is a new number.
//!
//! `golden/wire.txt` holds a line each: name, what, hex (`-` for no bytes at all). `ENROLL_UPDATE=1` writes the file
//! anew, after an operation was added or, before the first release, a shape was changed and the protocol's version raised.

mod certificates;
mod events;
mod pools;
mod programs;

use std::fmt::Write as _;

use enroll_protocol::envelope::{Hello, MAGIC, PROTOCOL_VERSION, Welcome};
use enroll_protocol::frame::{self, FrameKind};
use enroll_protocol::operations::TABLE;
use enroll_protocol::{
    Code, Envelope, Json, Key, Operation, Page, Pk, Refusal, Time, changes, code, codec, jwt, permission, person, role,
    server, token,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_wincode::SerdeCompat;
use wincode::config::Configuration;

const GOLDEN: &str = include_str!("../../golden/wire.txt");

#[test]
fn every_operation_has_its_bytes() {
    let mut samples = Samples::default();
    handshake(&mut samples);
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

#[test]
fn numbers_and_names_are_these_for_ever() {
    let table: Vec<(u16, &str)> = TABLE.iter().map(|row| (row.number, row.name)).collect();
    let expected = [
        (1, "person.create"),
        (2, "person.get"),
        (3, "person.list"),
        (4, "person.find"),
        (5, "person.update"),
        (6, "person.delete"),
        (7, "person.revoke"),
        (10, "role.assign"),
        (11, "role.remove"),
        (12, "role.has"),
        (13, "role.list"),
        (14, "permission.grant"),
        (15, "permission.revoke"),
        (16, "permission.has"),
        (17, "permission.list"),
        (20, "token.use"),
        (21, "token.get"),
        (22, "token.delete"),
        (30, "code.create"),
        (31, "code.use"),
        (32, "code.get"),
        (33, "code.delete"),
        (40, "jwt.verify"),
        (41, "jwt.keys"),
        (42, "jwt.refresh"),
        (43, "jwt.rotate"),
        (44, "jwt.exchange"),
        (50, "changes.list"),
        (51, "changes.follow"),
        (60, "server.status"),
        (61, "server.check"),
        (62, "server.metrics"),
        (63, "server.backup"),
        (64, "server.export"),
        (65, "server.import"),
        (66, "server.accept_clock"),
        (70, "pool.create"),
        (71, "pool.get"),
        (72, "pool.list"),
        (73, "pool.update"),
        (74, "pool.set_active"),
        (75, "pool.reset_code"),
        (76, "pool.delete"),
        (77, "pool.check"),
        (80, "enrollment.create"),
        (81, "enrollment.get"),
        (82, "enrollment.find"),
        (83, "enrollment.list"),
        (84, "enrollment.approve"),
        (85, "enrollment.reject"),
        (86, "enrollment.reset_code"),
        (87, "enrollment.delete"),
        (90, "event.create"),
        (91, "event.get"),
        (92, "event.list"),
        (93, "event.update"),
        (94, "event.publish"),
        (95, "event.unpublish"),
        (96, "event.cancel"),
        (97, "event.add_pool"),
        (98, "event.update_pool"),
        (99, "event.remove_pool"),
        (100, "registration.create"),
        (101, "registration.cancel"),
        (102, "registration.get"),
        (103, "registration.list"),
        (104, "registration.approve"),
        (105, "registration.reject"),
        (106, "registration.explain"),
        (110, "supervisor.assign"),
        (111, "supervisor.unassign"),
        (112, "supervisor.add_representative"),
        (113, "supervisor.remove_representative"),
        (114, "supervisor.pending"),
        (120, "constant.set"),
        (121, "constant.remove"),
        (122, "constant.list"),
        (130, "certificate.get"),
        (131, "certificate.key"),
        (132, "certificate.pfx"),
        (133, "certificate.renew"),
        (134, "certificate.ca"),
        (135, "certificate.crl"),
        (136, "certificate.revoke"),
        (140, "course.create"),
        (141, "course.get"),
        (142, "course.list"),
        (143, "course.delete"),
        (144, "course.enroll"),
        (145, "course.unenroll"),
        (146, "course.enrollments"),
        (147, "course.roles"),
        (150, "program.enroll"),
        (151, "program.enroll_course"),
        (152, "program.assign_course_role"),
        (153, "program.link"),
        (154, "program.unlink"),
        (155, "program.enrollments"),
    ];
    assert_eq!(table, expected);
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
        assert_eq!((row.request_to_wire)(&args), Ok(wire.clone()), "{}", row.name);
        assert_eq!(codec::encode(&codec::decode::<O>(&wire).expect("decoded")), wire, "{}", row.name);
        let json = serde_json::to_string(reply).expect("JSON");
        assert_eq!((row.reply_to_json)(&answer), Ok(json), "{}", row.name);
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
    samples.line("envelope", "empty", &codec::encode(&Envelope::default()));
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
        after: Some("cursor".parse().expect("a cursor")),
        limit: "7".parse().expect("a limit"),
    };
    let next = Some("next".parse().expect("a cursor"));
    samples.operation(&list, &Page { items: vec![somebody.clone()], next });
    samples.operation(&person::Find { claims: json(r#"{"sub":"DOGGO01a"}"#) }, &somebody);
    samples.operation(&person::Update { person: name("DOGGO01a"), extra: json("{}") }, &somebody);
    samples.operation(&person::Delete { person: name("DOGGO01a") }, &somebody);
    let reason = person::RevocationReason::KeyCompromise;
    samples.operation(&person::Revoke { person: name("DOGGO01a"), reason }, &somebody);
    let (person, role) = (name("DOGGO01a"), "member".parse().expect("a role"));
    samples.operation(&role::Assign { person, role }, &true);
    let (person, role) = (name("DOGGO01a"), "member".parse().expect("a role"));
    samples.operation(&role::Remove { person, role }, &false);
    let (person, role) = (name("DOGGO01a"), "member".parse().expect("a role"));
    samples.operation(&role::Has { person, role }, &true);
    samples.operation(&role::List { person: name("DOGGO01a") }, &vec!["member".parse().expect("a role")]);
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
    let exchanged = code::Exchanged { jwt: Some("h.p.s".parse().expect("a JWT")), expires: time(6) };
    samples.operation(&code::Use { code: code(), audit: audit.clone() }, &exchanged);
    let claims = json(r#"{"sub":"DOGGO01a"}"#);
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
        peer: changes::PeerId { uid: 1000, pid: 4242 },
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
        warnings: vec![server::Warning {
            topic: "issuers".to_owned(),
            subject: "https://id.example.org".to_owned(),
            message: "it has no usable key".to_owned(),
        }],
    };
    samples.operation(&server::Status {}, &status);
    let (invariant, subject) = ("I1".to_owned(), "x".to_owned());
    let violation = server::Violation { invariant, subject, message: "does not hold".to_owned() };
    samples.operation(&server::Check {}, &vec![violation]);
    samples.operation(&server::Metrics {}, &"# EOF\n".to_owned());
    samples.operation(&server::Backup {}, &server::Piece(b"enrollbk".to_vec()));
    samples.operation(&server::Export { with_secrets: true }, &"{\"record\":".to_owned());
    let imported = server::Imported { at: 300, records: Some([("person".to_owned(), 2)].into()) };
    samples.operation(&server::Import { at: 12, text: "{}\n".to_owned() }, &imported);
    samples.operation(&server::AcceptClock {}, &status);
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
