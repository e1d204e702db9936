//! Authorization of every operation: by every grant, with every kind of actor, named and proven, under every kind of
//! delegation. The answer is the one that the operation's line in the table says. `docs/access.md` shows that table to
//! people.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use enroll_core::context::Grant;
use enroll_core::delegation::{ActFor, Delegation};
use enroll_core::state::memory::MemoryStore;
use enroll_core::state::{Store as _, Writes};
use enroll_protocol::operations::TABLE;
use enroll_protocol::transaction::Run;
use enroll_protocol::{Access, Actor, Code, Envelope, Jwt, Kind, Operation as _, OperationRow, code, event, pool};
use enroll_tests::registry::Registry;
use enrolld::config::Config;

const ACCESS: &str = include_str!("../../../../docs/access.md");

/// The hand-written part of the page, in front of the table.
const PREFACE: &str = include_str!("access.md");

/// Arguments that are in order, about things that are nobody's of those who ask.
const ARGUMENTS: &[(&str, &str)] = &[
    ("person.create", r#"{"callsign":"NEW"}"#),
    ("person.get", r#"{"person":"CAT"}"#),
    ("person.list", "{}"),
    ("person.find", r#"{"claims":{"sub":"CAT"}}"#),
    ("person.update", r#"{"person":"CAT","patch":{}}"#),
    ("person.delete", r#"{"person":"CAT"}"#),
    ("person.revoke", r#"{"person":"CAT","reason":"unspecified"}"#),
    ("person.restore", r#"{"person":"OWL"}"#),
    ("person.erase", r#"{"person":"OWL"}"#),
    ("role.assign", r#"{"person":"CAT","role":"member"}"#),
    ("role.remove", r#"{"person":"CAT","role":"member"}"#),
    ("role.has", r#"{"person":"CAT","role":"member"}"#),
    ("role.list", r#"{"person":"CAT"}"#),
    ("permission.grant", r#"{"role":"member","permission":"/x/"}"#),
    ("permission.revoke", r#"{"role":"member","permission":"/x/"}"#),
    ("permission.has", r#"{"person":"CAT","permission":"/x/"}"#),
    ("permission.list", "{}"),
    ("token.use", r#"{"token":"new"}"#),
    ("token.get", r#"{"token":"old"}"#),
    ("code.create", r#"{"claims":{}}"#),
    ("code.use", r#"{"code":"$CODE"}"#),
    ("code.get", r#"{"code":"$CODE"}"#),
    ("jwt.verify", r#"{"jwt":"$JWT"}"#),
    ("jwt.keys", "{}"),
    ("jwt.refresh", r#"{"jwt":"$JWT"}"#),
    ("jwt.rotate", "{}"),
    ("changes.list", "{}"),
    ("changes.head", "{}"),
    ("server.status", "{}"),
    ("server.check", "{}"),
    ("server.metrics", "{}"),
    ("server.snapshot", "{}"),
    ("server.backup", "{}"),
    ("server.export", "{}"),
    ("server.accept_clock", "{}"),
    ("cluster.status", "{}"),
    ("cluster.hand_over", "{}"),
    ("pool.create", r#"{"owner":"CAT"}"#),
    ("pool.get", r#"{"pool":"$POOL"}"#),
    ("pool.list", "{}"),
    ("pool.update", r#"{"pool":"$POOL"}"#),
    ("pool.set_active", r#"{"pool":"$POOL","active":true}"#),
    ("pool.reset_code", r#"{"pool":"$POOL"}"#),
    ("pool.delete", r#"{"pool":"$POOL"}"#),
    ("pool.check", r#"{"invitecode":"$INVITE"}"#),
    ("enrollment.create", r#"{"callsign":"NEW"}"#),
    ("enrollment.get", r#"{"enrollment":"ANT"}"#),
    ("enrollment.find", r#"{"approvecode":"$APPROVE"}"#),
    ("enrollment.list", "{}"),
    ("enrollment.approve", r#"{"enrollment":"ANT"}"#),
    ("enrollment.reject", r#"{"enrollment":"ANT"}"#),
    ("enrollment.reset_code", r#"{"enrollment":"ANT"}"#),
    ("enrollment.reopen", r#"{"enrollment":"BEE"}"#),
    ("enrollment.update", r#"{"enrollment":"ANT","extra":{}}"#),
    (
        "event.create",
        r#"{"title":"Camp","kind":"camp","owner":"CAT","start":"2999-01-01T00:00:00Z","duration_minutes":60}"#,
    ),
    ("event.get", r#"{"event":"$FILLED"}"#),
    ("event.list", "{}"),
    ("event.update", r#"{"event":"$FILLED"}"#),
    ("event.publish", r#"{"event":"$DRAFT"}"#),
    ("event.unpublish", r#"{"event":"$EMPTY"}"#),
    ("event.cancel", r#"{"event":"$FILLED"}"#),
    ("event.add_pool", r#"{"event":"$EMPTY","name":"guests","capacity":1,"roles":["guest"]}"#),
    ("event.update_pool", r#"{"event":"$EMPTY","pool":"members"}"#),
    ("event.remove_pool", r#"{"event":"$EMPTY","pool":"members"}"#),
    ("registration.create", r#"{"event":"$FILLED","person":"COW"}"#),
    ("registration.cancel", r#"{"event":"$FILLED","person":"CAT"}"#),
    ("registration.get", r#"{"event":"$FILLED","person":"CAT"}"#),
    ("registration.list", r#"{"event":"$FILLED"}"#),
    ("registration.approve", r#"{"event":"$FILLED","person":"CAT"}"#),
    ("registration.reject", r#"{"event":"$FILLED","person":"CAT"}"#),
    ("registration.explain", r#"{"event":"$FILLED","person":"COW"}"#),
    ("registration.place", r#"{"event":"$FILLED","person":"COW","reason":"speaks"}"#),
    ("supervisor.assign", r#"{"person":"CAT","supervisor":"COW"}"#),
    ("supervisor.unassign", r#"{"person":"CAT"}"#),
    ("supervisor.add_representative", r#"{"supervisor":"COW","representative":"HEN"}"#),
    ("supervisor.remove_representative", r#"{"supervisor":"COW","representative":"HEN"}"#),
    ("supervisor.pending", r#"{"supervisor":"COW"}"#),
    ("constant.set", r#"{"list":"country","value":"SE"}"#),
    ("constant.remove", r#"{"list":"country","value":"SE"}"#),
    ("constant.list", "{}"),
    ("certificate.get", r#"{"person":"CAT"}"#),
    ("certificate.key", r#"{"person":"CAT"}"#),
    ("certificate.pfx", r#"{"person":"CAT","password":"x","legacy":true}"#),
    ("certificate.renew", r#"{"person":"CAT"}"#),
    ("certificate.ca", "{}"),
    ("certificate.crl", "{}"),
    ("certificate.revoke", r#"{"person":"CAT","reason":"superseded"}"#),
    ("certificate.issue", r#"{"name":"portal"}"#),
    ("course.create", r#"{"key":"New","modes":["audit"]}"#),
    ("course.get", r#"{"key":"Hiking"}"#),
    ("course.list", "{}"),
    ("course.delete", r#"{"key":"Empty"}"#),
    ("course.enroll", r#"{"course":"Hiking","person":"CAT","mode":"honor"}"#),
    ("course.unenroll", r#"{"course":"Hiking","person":"CAT"}"#),
    ("course.enrollments", "{}"),
    ("course.roles", "{}"),
    (
        "program.enroll",
        r#"{"program":"$PROGRAM","create":true,"update":false,"enrollments":[{"external_key":"b","curriculum":"$PROGRAM","status":"ended"}]}"#,
    ),
    (
        "program.enroll_course",
        r#"{"program":"$PROGRAM","course":"Hiking","create":true,"update":false,"enrollments":[{"external_key":"a","status":"active"}]}"#,
    ),
    ("program.assign_course_role", r#"{"program":"$PROGRAM","external_key":"a","course":"Hiking","role":"staff"}"#),
    ("program.link", r#"{"program":"$PROGRAM","links":{"a":"CAT"}}"#),
    ("program.unlink", r#"{"program":"$PROGRAM","external_keys":["a"]}"#),
    ("program.enrollments", r#"{"program":"$PROGRAM"}"#),
];

const PROGRAM: &str = "00000000-0000-0000-0000-00000000000a";

/// Operations that are refused to everybody, the stream, the operation that takes another issuer, and transactions,
/// whose units need what they need by themselves.
pub(super) const ELSEWHERE: &[&str] = &[
    "server.import",
    "token.delete",
    "code.delete",
    "enrollment.delete",
    "changes.follow",
    "jwt.exchange",
    "transaction.run",
];

/// Everything that a person can be permitted, but `/`.
const DEPUTY: &[&str] = &[
    "people",
    "roles",
    "tokens",
    "codes",
    "changes",
    "server",
    "pools",
    "enrollments",
    "events",
    "registrations",
    "supervisors",
    "constants",
    "courses",
    "programs",
];

/// Operations that a peer with a bounded delegation may call without an actor.
const WITHOUT_ACTOR: &[&str] = &[
    "pool.check",
    "enrollment.create",
    "code.use",
    "token.use",
    "jwt.verify",
    "jwt.keys",
    "jwt.refresh",
    "jwt.exchange",
    "server.status",
    "certificate.ca",
    "certificate.crl",
];

/// The people on whose behalf peers call.
const PEOPLE: [&str; 3] = ["BOSS", "DEPUTY", "DOG"];

/// A registry with everything that the arguments speak of, made once and copied.
struct Prepared {
    entries: Writes,
    placeholders: Vec<(&'static str, String)>,
    /// A session JWT of each of [`PEOPLE`].
    sessions: Vec<Jwt>,
}

static PREPARED: LazyLock<Prepared> = LazyLock::new(prepare);

fn prepare() -> Prepared {
    let mut registry = Registry::in_memory();
    for area in DEPUTY {
        let grant = format!(r#"permission.grant {{"role":"deputy","permission":"/{area}/"}} => true"#);
        super::check(&mut registry, &grant);
    }
    super::check(
        &mut registry,
        r#"
        person.create {"callsign":"BOSS","roles":["superuser"]} => {"pk"..
        person.create {"callsign":"DEPUTY","roles":["deputy"]} => {"pk"..
        person.create {"callsign":"DOG"} => {"pk"..
        person.create {"callsign":"CAT","certificate":"generate"} => {"pk"..
        person.create {"callsign":"COW","roles":["supervisor"]} => {"pk"..
        person.create {"callsign":"HEN","roles":["supervisor"]} => {"pk"..
        person.create {"callsign":"OWL"} => {"pk"..
        person.delete {"person":"OWL"} => {"pk"..
        enrollment.create {"callsign":"BEE"} => {"pk"..
        enrollment.reject {"enrollment":"BEE"} => {"pk"..
        token.use {"token":"old"} => {"token"..
        course.create {"key":"Empty","modes":["audit"]} => {"pk"..
        course.create {"key":"Hiking","modes":["audit","honor","masters"]} => {"pk"..
        course.enroll {"course":"Hiking","person":"CAT","mode":"audit"} => {"course"..
        program.enroll {"program":"00000000-0000-0000-0000-00000000000a","create":true,"update":false,"enrollments":[{"external_key":"a","curriculum":"00000000-0000-0000-0000-00000000000a","status":"enrolled"}]} => {"a"..
        "#,
    );
    let session = |registry: &mut Registry, sub| {
        let login = super::login(registry, sub);
        registry.call(code::Use::new(login)).expect("exchanged").jwt.expect("a JWT")
    };
    let jwt = session(&mut registry, "CAT");
    let sessions = PEOPLE.map(|sub| session(&mut registry, sub));
    let fresh = super::login(&mut registry, "CAT");
    let owner = Some("CAT".parse().expect("a name"));
    let pool = registry.call(pool::Create { owner, ..Default::default() }).expect("made");
    let ant = enroll_protocol::enrollment::Create::new("ANT".parse().expect("a callsign"));
    let approve = registry.call(ant).expect("enrolled").approvecode.expect("a code");
    let [draft, empty, filled] = events(&mut registry);
    let view = registry.store().view().expect("a view");
    let entries = view.range(&[], &[0xff; 64], usize::MAX).expect("entries");
    Prepared {
        entries: entries.into_iter().map(|(key, value)| (key, Some(value))).collect(),
        placeholders: vec![
            ("$PROGRAM", PROGRAM.to_owned()),
            ("$CODE", fresh.as_str().to_owned()),
            ("$JWT", jwt.as_str().to_owned()),
            ("$POOL", pool.pk.to_string()),
            ("$INVITE", pool.invitecode.expect("a code").as_str().to_owned()),
            ("$APPROVE", approve.as_str().to_owned()),
            ("$DRAFT", draft),
            ("$EMPTY", empty),
            ("$FILLED", filled),
        ],
        sessions: sessions.into(),
    }
}

/// A copy of the registry.
pub(super) fn copied() -> Registry {
    let store = MemoryStore::default();
    store.commit(&PREPARED.entries).expect("committed");
    let mut registry = Registry::reopened(Arc::new(store));
    // Every registry of a test begins at the same time, and draws the same: what is made from here on is new.
    registry.pass_seconds(60);
    registry.reload(&Config { reserved_callsigns: vec!["portal".to_owned()], ..Config::default() });
    registry
}

/// Events of CAT: a draft, a published one that nobody has registered for, and one that CAT has; their pks.
fn events(registry: &mut Registry) -> [String; 3] {
    let make = |registry: &mut Registry, published, pools| {
        let start = "2999-01-01T00:00:00Z".parse().expect("a time");
        let create = event::Create {
            owner: Some("CAT".parse().expect("a name")),
            published: Some(published),
            approval: Some(event::Approval::Supervisor),
            pools,
            ..event::Create::new("Camp".parse().expect("a title"), "camp".parse().expect("a kind"), start, 60)
        };
        registry.call(create).expect("made").pk.to_string()
    };
    let members = r#"{"name":"members","capacity":1,"roles":["member"]}"#.parse().expect("a pool");
    let draft = make(registry, false, Vec::new());
    let empty = make(registry, true, vec![members]);
    let filled = make(registry, true, Vec::new());
    super::check(registry, &format!(r#"registration.create {{"event":"{filled}","person":"CAT"}} => {{"pk".."#));
    [draft, empty, filled]
}

/// Whom a call is made for: the person's number in [`PEOPLE`], and whether a session proves them.
type For = Option<(usize, bool)>;

/// The kinds of delegation.
fn delegations() -> [Delegation; 4] {
    let deputies = ActFor { roles: ["deputy".parse().expect("a role")].into(), ..ActFor::default() };
    [
        Delegation::default(),
        Delegation { superusers: true, ..Delegation::default() },
        Delegation { act_for: vec![deputies], superusers: true, ..Delegation::default() },
        Delegation { proven: true, ..Delegation::default() },
    ]
}

#[test]
fn every_operation_answers_as_its_line_says() {
    let people = || (0..PEOPLE.len()).flat_map(|person| [Some((person, false)), Some((person, true))]);
    for row in TABLE.iter().filter(|row| !ELSEWHERE.contains(&row.name)) {
        let (arguments, mut registry) = (arguments_of(row), copied());
        for grant in [Grant::Metrics, Grant::Read, Grant::Operate, Grant::Decide, Grant::Admin] {
            for delegation in delegations() {
                for asked_for in people().chain([None]) {
                    (registry.peer.grant, registry.peer.delegation) = (grant, Arc::new(delegation.clone()));
                    let is_done = expect_answer(&mut registry, row, &arguments, asked_for);
                    if is_done && row.kind != Kind::Read {
                        registry = copied();
                    }
                }
            }
        }
    }
}

/// A unit needs the grant and the permission of its operation, and the transaction its own.
#[test]
fn every_unit_of_a_transaction_answers_as_its_line_says() {
    for row in TABLE.iter().filter(|row| row.may_be_unit() && !ELSEWHERE.contains(&row.name)) {
        let unit = format!(r#"{{"units":[{{"op":"{}","args":{}}}]}}"#, row.name, arguments_of(row));
        let mut registry = copied();
        for grant in [Grant::Metrics, Grant::Read, Grant::Operate, Grant::Decide, Grant::Admin] {
            for delegation in delegations() {
                for asked_for in (0..PEOPLE.len()).map(|person| Some((person, false))).chain([None]) {
                    registry.peer.grant = grant;
                    registry.peer.delegation = Arc::new(delegation.clone());
                    let envelope = Envelope { actor: actor(asked_for), ..Envelope::default() };
                    let answer = super::call(&mut registry, envelope, "transaction.run", &unit);
                    let place = format!("{} by {grant:?} for {asked_for:?} under {delegation:?}", row.name);
                    let runs = is_allowed(Run::ROW, grant, &delegation, asked_for);
                    if runs && is_allowed(row, grant, &delegation, asked_for) {
                        assert!(answer.is_ok(), "{place}: {answer:?}");
                        registry = copied();
                        continue;
                    }
                    let refusal = answer.expect_err("refused");
                    assert_eq!(refusal.code, Code::PERMISSION_DENIED, "{place}: {refusal}");
                    let named = refusal.details.as_ref().and_then(|details| details.member("unit").expect("details"));
                    assert!(named == Some(0_u64) || !runs, "{place}: {refusal}");
                }
            }
        }
    }
}

/// The arguments of an operation, their placeholders filled in.
pub(super) fn arguments_of(row: &OperationRow) -> String {
    let arguments = ARGUMENTS.iter().find(|(name, _)| *name == row.name);
    let (_, arguments) = arguments.unwrap_or_else(|| panic!("{} has no arguments here", row.name));
    let filled = |text: String, (name, value): &(&str, String)| text.replace(name, value);
    PREPARED.placeholders.iter().fold((*arguments).to_owned(), filled)
}

/// True if the call was answered, as expected; a refusal changes nothing.
fn expect_answer(registry: &mut Registry, row: &OperationRow, arguments: &str, asked_for: For) -> bool {
    let (grant, delegation) = (registry.peer.grant, Arc::clone(&registry.peer.delegation));
    let envelope = Envelope { actor: actor(asked_for), ..Envelope::default() };
    let answer = super::call(registry, envelope, row.name, arguments).map_err(|refusal| refusal.code);
    let place = format!("{} by {grant:?} for {asked_for:?} under {delegation:?}", row.name);
    let is_allowed = is_allowed(row, grant, &delegation, asked_for);
    if is_allowed {
        assert!(answer.is_ok(), "{place}: {answer:?}");
        if row.kind != Kind::Read {
            assert_eq!(registry.violations(), Vec::<String>::new(), "{place}");
        }
    } else {
        assert_eq!(answer, Err(Code::PERMISSION_DENIED), "{place}");
    }
    is_allowed
}

fn actor(asked_for: For) -> Option<Actor> {
    asked_for.map(|(person, is_proven)| match is_proven {
        true => Actor::Proven(PREPARED.sessions[person].clone()),
        false => PEOPLE[person].parse().expect("a name"),
    })
}

fn is_allowed(row: &OperationRow, grant: Grant, delegation: &Delegation, asked_for: For) -> bool {
    let needed = match row.access {
        Access::Metrics => Grant::Metrics,
        Access::Read => Grant::Read,
        Access::Operate => Grant::Operate,
        Access::Decide if asked_for.is_some() => Grant::Operate,
        Access::Decide => Grant::Decide,
        Access::Admin => Grant::Admin,
    };
    let Some((person, is_proven)) = asked_for else {
        let is_bounded = delegation.proven || !delegation.act_for.is_empty();
        return grant >= needed && (grant == Grant::Admin || !is_bounded || WITHOUT_ACTOR.contains(&row.name));
    };
    let may_act = match PEOPLE[person] {
        "BOSS" => (grant == Grant::Admin || delegation.superusers) && delegation.act_for.is_empty(),
        "DEPUTY" => true,
        _ => delegation.act_for.is_empty(),
    };
    let has_permission = match PEOPLE[person] {
        "BOSS" => true,
        "DEPUTY" => row.permission != "/",
        _ => row.permission.is_empty(),
    };
    grant >= needed.max(Grant::Operate) && may_act && (is_proven || !delegation.proven) && has_permission
}

#[test]
fn an_origin_takes_the_grant_operate() {
    for row in TABLE.iter().filter(|row| !ELSEWHERE.contains(&row.name) && row.access < Access::Operate) {
        for grant in [Grant::Metrics, Grant::Read] {
            let mut registry = copied();
            registry.peer.grant = grant;
            let envelope = Envelope { origin: Some("::1".parse().expect("an origin")), ..Envelope::default() };
            let refused = super::call(&mut registry, envelope, row.name, &arguments_of(row));
            let refused = refused.map_err(|refusal| refusal.code);
            assert_eq!(refused, Err(Code::PERMISSION_DENIED), "{} by {grant:?}", row.name);
        }
    }
}

#[test]
fn the_table_for_people_is_the_one_of_the_code() {
    let mut table = PREFACE.to_owned();
    for row in TABLE {
        let kind = match row.kind {
            Kind::Write | Kind::Bulk => "write",
            Kind::Lookup => "lookup",
            Kind::Stream | Kind::Walk => "stream",
            Kind::Read | Kind::Scan => "read",
        };
        let needs = match row.access {
            Access::Metrics => "metrics",
            Access::Read => "read",
            Access::Operate => "operate",
            Access::Decide => "*decide*",
            Access::Admin => "admin",
        };
        let permission = if row.permission.is_empty() { "" } else { &format!("`{}`", row.permission) };
        writeln!(table, "| {} | {kind} | {needs} | {permission} |", row.name).expect("written");
    }
    if std::env::var_os("ENROLL_UPDATE").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/access.md"), &table).expect("written");
        return;
    }
    assert!(ACCESS == table, "docs/access.md is not the table; ENROLL_UPDATE=1 writes it anew:\n{table}");
}
