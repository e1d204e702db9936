//! Authorization of every operation: by every grant, without an actor, with one who may and with one who may not. The
//! answer is the one that the operation's line in the table says. `docs/access.md` shows that table to people.

use std::fmt::Write as _;

use enroll_core::context::Grant;
use enroll_protocol::operations::TABLE;
use enroll_protocol::{Access, Code, Envelope, Json, Kind, OperationRow, code, event, pool};
use enroll_tests::registry::Registry;

const ACCESS: &str = include_str!("../../../../docs/access.md");

/// Arguments that are in order, about things that are nobody's of those who ask.
const ARGUMENTS: &[(&str, &str)] = &[
    ("person.create", r#"{"callsign":"NEW"}"#),
    ("person.get", r#"{"person":"CAT"}"#),
    ("person.list", "{}"),
    ("person.find", r#"{"claims":{"sub":"CAT"}}"#),
    ("person.update", r#"{"person":"CAT","extra":{}}"#),
    ("person.delete", r#"{"person":"CAT"}"#),
    ("person.revoke", r#"{"person":"CAT","reason":"unspecified"}"#),
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
    ("server.status", "{}"),
    ("server.check", "{}"),
    ("server.metrics", "{}"),
    ("server.backup", "{}"),
    ("server.export", "{}"),
    ("server.accept_clock", "{}"),
    ("pool.create", r#"{"owner":"CAT"}"#),
    ("pool.get", r#"{"pool":"$POOL"}"#),
    ("pool.list", "{}"),
    ("pool.update", r#"{"pool":"$POOL"}"#),
    ("pool.set_active", r#"{"pool":"$POOL","active":true}"#),
    ("pool.reset_code", r#"{"pool":"$POOL"}"#),
    ("pool.delete", r#"{"pool":"$POOL"}"#),
    ("pool.check", r#"{"invitecode":"$POOL"}"#),
    ("enrollment.create", r#"{"callsign":"NEW"}"#),
    ("enrollment.get", r#"{"enrollment":"ANT"}"#),
    ("enrollment.find", r#"{"approvecode":"$APPROVE"}"#),
    ("enrollment.list", "{}"),
    ("enrollment.approve", r#"{"enrollment":"ANT"}"#),
    ("enrollment.reject", r#"{"enrollment":"ANT"}"#),
    ("enrollment.reset_code", r#"{"enrollment":"ANT"}"#),
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

/// Operations that are refused to everybody, the stream, and the operation that takes another issuer.
const ELSEWHERE: &[&str] =
    &["server.import", "token.delete", "code.delete", "enrollment.delete", "changes.follow", "jwt.exchange"];

/// A registry with everything that the arguments speak of; their placeholders filled in.
fn prepared(arguments: &str) -> (Registry, String) {
    let mut registry = Registry::in_memory();
    super::check(
        &mut registry,
        r#"
        person.create {"callsign":"BOSS","roles":["superuser"]} => {"pk"..
        person.create {"callsign":"DOG"} => {"pk"..
        person.create {"callsign":"CAT","certificate":"generate"} => {"pk"..
        person.create {"callsign":"COW","roles":["supervisor"]} => {"pk"..
        person.create {"callsign":"HEN","roles":["supervisor"]} => {"pk"..
        token.use {"token":"old"} => {"token"..
        course.create {"key":"Empty","modes":["audit"]} => {"pk"..
        course.create {"key":"Hiking","modes":["audit","honor","masters"]} => {"pk"..
        course.enroll {"course":"Hiking","person":"CAT","mode":"audit"} => {"course"..
        program.enroll {"program":"00000000-0000-0000-0000-00000000000a","create":true,"update":false,"enrollments":[{"external_key":"a","curriculum":"00000000-0000-0000-0000-00000000000a","status":"enrolled"}]} => {"a"..
        "#,
    );
    let login = |registry: &mut Registry| {
        let create = code::Create::new(Json::new(r#"{"sub":"CAT"}"#).expect("claims"));
        registry.call(create).expect("made").code.expect("a code")
    };
    let (spent, fresh) = (login(&mut registry), login(&mut registry));
    let jwt = registry.call(code::Use::new(spent)).expect("exchanged").jwt.expect("a JWT");
    let owner = Some("CAT".parse().expect("a name"));
    let pool = registry.call(pool::Create { owner, ..Default::default() }).expect("made").invitecode.expect("a code");
    let ant = enroll_protocol::enrollment::Create::new("ANT".parse().expect("a callsign"));
    let approve = registry.call(ant).expect("enrolled").approvecode.expect("a code");
    let [draft, empty, filled] = events(&mut registry);
    let arguments = arguments
        .replace("$PROGRAM", PROGRAM)
        .replace("$CODE", fresh.as_str())
        .replace("$JWT", jwt.as_str())
        .replace("$POOL", pool.as_str())
        .replace("$APPROVE", approve.as_str())
        .replace("$DRAFT", &draft)
        .replace("$EMPTY", &empty)
        .replace("$FILLED", &filled);
    (registry, arguments)
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

#[test]
fn every_operation_answers_as_its_line_says() {
    for row in TABLE.iter().filter(|row| !ELSEWHERE.contains(&row.name)) {
        let arguments = ARGUMENTS.iter().find(|(name, _)| *name == row.name);
        let (_, arguments) = arguments.unwrap_or_else(|| panic!("{} has no arguments here", row.name));
        for grant in [Grant::Read, Grant::Operate, Grant::Admin] {
            for actor in [None, Some("BOSS"), Some("DOG")] {
                let (mut registry, arguments) = prepared(arguments);
                registry.peer.grant = grant;
                let envelope =
                    Envelope { actor: actor.map(|actor| actor.parse().expect("a name")), ..Envelope::default() };
                let answer = super::call(&mut registry, envelope, row.name, &arguments).map_err(|refusal| refusal.code);
                let place = format!("{} by {grant:?} for {actor:?}", row.name);
                if is_allowed(row, grant, actor) {
                    assert!(answer.is_ok(), "{place}: {answer:?}");
                } else {
                    assert_eq!(answer, Err(Code::PERMISSION_DENIED), "{place}");
                }
                assert_eq!(registry.violations(), Vec::<String>::new(), "{place}");
            }
        }
    }
}

fn is_allowed(row: &OperationRow, grant: Grant, actor: Option<&str>) -> bool {
    let by_grant = match (row.access, grant) {
        (_, Grant::Read) if actor.is_some() => false,
        (Access::Read, _) | (_, Grant::Admin) | (Access::Operate, Grant::Operate) => true,
        (Access::Decide, Grant::Operate) => actor.is_some(),
        (Access::Operate | Access::Decide, Grant::Read) => false,
    };
    by_grant && (actor != Some("DOG") || row.permission.is_empty())
}

#[test]
fn the_table_for_people_is_the_one_of_the_code() {
    let mut table = String::from(
        "# Who may do what

Made from the table of operations: `ENROLL_UPDATE=1 cargo test -p enroll-tests --test all the_table_for_people`.

`read`, `operate` and `admin` are grants of the configuration, each including the one before. *Decide*: `operate` on \
behalf of a person, or `admin`. A peer with the grant `read` acts for nobody. On behalf of a person, that person needs \
the permission as well, except for what is their own: their own record, roles and permissions, pools they own and \
what was enrolled by them, codes and JWTs whose `sub` names them, their own registrations and course \
enrollments, their roles in courses, their enrollments in programs as far as reading goes, events they own, the \
registrations for these as far as reading goes, and what waits for their own decision.

Some operations look closer:

- An event of a kind that the configuration restricts (`restricted_event_types`) takes the permission \
`/events/create/KIND/`, also from its owner.
- To change somebody else's event takes `/events/edit/KIND/` of its kind; `/events/edit/` covers every kind.
- A registration is decided on by the supervisor of the person registered, or by a representative whom that supervisor \
has named, as long as both have the role `supervisor`. Everybody else needs `/registrations/approve/`, the event's \
owner too.
- A supervisor names and drops their own representatives with `/representatives/`, which the role `supervisor` has \
from the beginning.

| operation | kind | needs | permission |
|---|---|---|---|
",
    );
    for row in TABLE {
        let kind = match row.kind {
            Kind::Write | Kind::Bulk => "write",
            Kind::Lookup => "lookup",
            Kind::Stream | Kind::Walk => "stream",
            Kind::Read | Kind::Scan => "read",
        };
        let needs = match row.access {
            Access::Read => "read",
            Access::Operate => "operate",
            Access::Decide => "*decide*",
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
