//! Golden samples of invite pools and enrollments.

use enroll_protocol::{Page, enrollment, person, pool};

use super::{Samples, json, name, pk, time};

pub(super) fn pools(samples: &mut Samples) {
    let pool = pool::Pool {
        pk: pk(1),
        owner: pk(2),
        active: true,
        usable: pool::Usable::Deleted,
        invitecode: Some("K7QWM2XA".parse().expect("a code")),
        extra: json(r#"{"team":"red"}"#),
        max_uses: Some(40),
        uses: 3,
        expires: Some(time(5)),
        created: time(1),
        updated: time(2),
        deleted: Some(time(3)),
    };
    let named = || name("K7QWM2XA");
    let code = || "K7QWM2XA".parse().expect("a code");
    let (extra, max_uses, expires) = (json(r#"{"team":"red"}"#), Some(40), Some(time(5)));
    let create =
        pool::Create { owner: Some(name("BOSS")), extra: extra.clone(), max_uses, expires, invitecode: Some(code()) };
    samples.operation(&create, &pool);
    samples.operation(&pool::Get { pool: named(), allow_deleted: true }, &pool);
    let after = Some("cursor".parse().expect("a cursor"));
    let limit = "7".parse().expect("a limit");
    let list = pool::List {
        owner: Some(name("BOSS")),
        prefix: Some("0199".parse().expect("a prefix")),
        include_deleted: true,
        deleted_only: true,
        after,
        limit,
    };
    samples.operation(&list, &Page { items: vec![pool.clone()], next: None });
    let clear = vec![pool::Field::Extra, pool::Field::MaxUses, pool::Field::Expires];
    let update = pool::Update { pool: named(), extra: Some(extra), patch: None, max_uses, expires, clear };
    samples.operation(&update, &pool);
    samples.operation(&pool::SetActive { pool: named(), active: true }, &pool);
    samples.operation(&pool::ResetCode { pool: named(), invitecode: Some(code()) }, &pool);
    samples.operation(&pool::Delete { pool: named() }, &pool);
    samples.operation(&pool::Check { invitecode: code() }, &true);
}

pub(super) fn enrollments(samples: &mut Samples, somebody: &person::Person) {
    let enrollment = enrollment::Enrollment {
        pk: pk(1),
        callsign: "PORA22b".parse().expect("a callsign"),
        state: enrollment::State::Rejected,
        approvecode: Some("9RXTLQ4E".parse().expect("a code")),
        pool: Some(pk(2)),
        person: Some(pk(3)),
        extra: json(r#"{"team":"red"}"#),
        csr: Some("PEM".to_owned()),
        has_csr: true,
        decided_by: Some(enrollment::Decider::Uid(1000)),
        decided_on: Some(time(2)),
        reason: Some("not one of us".parse().expect("a reason")),
        created: time(1),
        updated: time(2),
        deleted: None,
    };
    let named = || name("PORA22b");
    let create = enrollment::Create {
        callsign: "PORA22b".parse().expect("a callsign"),
        pool: Some(name("K7QWM2XA")),
        extra: json("{}"),
        csr: Some("PEM".to_owned()),
    };
    samples.operation(&create, &enrollment);
    let by_person = Some(enrollment::Decider::Person(pk(4)));
    let approved = enrollment::State::Approved;
    let other = enrollment::Enrollment { decided_by: by_person, state: approved, ..enrollment.clone() };
    samples.operation(&enrollment::Get { enrollment: named() }, &other);
    samples.operation(&enrollment::Find { approvecode: "9RXTLQ4E".parse().expect("a code") }, &enrollment);
    let after = Some("cursor".parse().expect("a cursor"));
    let (pool, limit) = (Some(name("K7QWM2XA")), "7".parse().expect("a limit"));
    let prefix = Some("po".parse().expect("a prefix"));
    let list = enrollment::List { pool, state: Some(enrollment::State::Pending), prefix, after, limit };
    samples.operation(&list, &Page { items: vec![enrollment.clone()], next: None });
    let approvecode = Some("9RXTLQ4E".parse().expect("a code"));
    let certificate = person::CertificateWanted::Generate;
    samples.operation(&enrollment::Approve { enrollment: named(), approvecode, certificate }, somebody);
    let reason = Some("not one of us".parse().expect("a reason"));
    samples.operation(&enrollment::Reject { enrollment: named(), reason }, &enrollment);
    samples.operation(&enrollment::Reopen { enrollment: named() }, &enrollment);
    samples.operation(&enrollment::ResetCode { enrollment: named() }, &enrollment);
    let patch = Some(json(r#"{"team":null}"#));
    samples.operation(&enrollment::Update { enrollment: named(), extra: None, patch }, &enrollment);
    samples.operation(&enrollment::Delete { enrollment: named() }, &());
}
