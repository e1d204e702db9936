//! Expiry: records that are removed when they are due, and records that never are.

use std::cell::RefCell;
use std::path::Path;

use enroll_core::draft::Draft;
use enroll_core::model::key::{self, Family};
use enroll_core::model::record::ChangesHead;
use enroll_core::rules::expiry::{self, LowWaterMark};
use enroll_core::state::{Entries, ReadTxn, StoreError, View, WriteTxn as _};
use enroll_protocol::{Code, Envelope, Json, Key, Pk, code, token};
use enroll_tests::registry::Registry;
use enrolld::config::Config;
use enrolld::writer::Outcome;

use super::check;

const DAY: u64 = 24 * 60 * 60;

/// The number of entries; of the expiry index, without the revocation list's, which is always there.
fn entries(registry: &Registry, family: Family) -> usize {
    let (from, to) = family.bounds();
    let count = registry.store().view().expect("a view").range(&from, &to, usize::MAX).expect("entries").len();
    count - usize::from(family == Family::Dues)
}

#[test]
fn kept_answers_go_after_a_day_in_bounded_steps() {
    let registry = &mut Registry::in_memory();
    for number in 0..600_u32 {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        let envelope = Envelope { key: Some(Key(Pk::from_bytes(bytes))), ..Envelope::default() };
        registry.call_with(envelope, token::Use::new(format!("{number}").parse().expect("a token"))).expect("used");
    }
    registry.pass_seconds(DAY - 1);
    registry.wake();
    assert_eq!((entries(registry, Family::Kept), entries(registry, Family::Dues)), (600, 600));
    registry.pass_seconds(1);
    for left in [344, 88, 0] {
        registry.wake();
        assert_eq!((entries(registry, Family::Kept), entries(registry, Family::Dues)), (left, left));
    }
    assert_eq!(entries(registry, Family::Tokens), 600);
    check(registry, r#"token.use {"token":"7"} => token_reuse"#);
}

#[test]
fn what_one_batch_kept_is_due_together() {
    let registry = &mut Registry::in_memory();
    for batch in 0..4 {
        use_tokens(registry, batch, 100);
    }
    assert_eq!((entries(registry, Family::Kept), entries(registry, Family::Dues)), (400, 4));
    registry.pass_seconds(DAY);
    // A step ends with what is due together with the last of it.
    for (kept, dues) in [(100, 1), (0, 0)] {
        registry.wake();
        assert_eq!((entries(registry, Family::Kept), entries(registry, Family::Dues)), (kept, dues));
    }
    assert_eq!(registry.violations(), Vec::<String>::new());
}

/// Spends so many tokens in one batch, each under an idempotency key. The number tells batches apart.
fn use_tokens(registry: &mut Registry, batch: u8, count: u8) {
    let requests: Vec<_> = (0..count)
        .map(|number| {
            let key = Some(Key(Pk::from_bytes([[batch, number]; 8].concat().try_into().expect("16 bytes"))));
            let token = format!("{batch} {number}").parse().expect("a token");
            let answer = |outcome: Outcome| drop(outcome.expect("used"));
            registry.request(Envelope { key, ..Envelope::default() }, &token::Use::new(token), answer)
        })
        .collect();
    registry.serve(requests).expect("committed");
}

#[test]
fn a_batch_of_writes_takes_along_as_much_as_it_writes_of_what_has_expired() {
    let registry = &mut Registry::with_settings(|settings| settings.changes_keep_seconds = DAY);
    for batch in 0..4 {
        use_tokens(registry, batch, 100);
    }
    let left = |registry: &Registry| (entries(registry, Family::Kept), entries(registry, Family::Changes));
    assert_eq!(left(registry), (400, 400));
    registry.pass_seconds(DAY);
    // A lone write is no reason to remove hundreds: only those that expire together.
    use_tokens(registry, 10, 1);
    assert_eq!(left(registry), (301, 401));
    // Under load no backlog grows.
    for (batch, removed) in [(11, 300), (12, 400), (13, 400)] {
        use_tokens(registry, batch, 150);
        let made = 1 + 150 * (usize::from(batch) - 10);
        let (kept, changes) = left(registry);
        assert_eq!(kept, 300 - removed.min(300) + made, "{batch}");
        assert!(changes < 400 + made, "{batch}: {changes}");
    }
    assert_eq!(left(registry), (451, 451));
    assert_eq!(registry.violations(), Vec::<String>::new());
}

/// A view that remembers where its ranges began.
struct Watched {
    view: View,
    from: RefCell<Vec<Vec<u8>>>,
}

impl ReadTxn for Watched {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.view.get(key)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Entries, StoreError> {
        self.from.borrow_mut().push(from.to_vec());
        self.view.range(from, to, limit)
    }
}

#[test]
fn a_sweep_never_walks_over_what_it_has_removed() {
    let registry = &mut Registry::with_settings(|settings| settings.changes_keep_seconds = DAY);
    for batch in 0..6 {
        use_tokens(registry, batch, 100);
        registry.pass_seconds(1);
    }
    let mut settings = Config::default().settings(Path::new("/nowhere"));
    settings.changes_keep_seconds = DAY;
    let view = Watched { view: registry.store().view().expect("a view"), from: RefCell::default() };
    let (mut head, mut mark) = (ChangesHead::default(), LowWaterMark::default());
    let now = registry.now.plus_seconds(DAY);
    let mut draft = Draft::new(&view);
    let (from, to) = Family::Dues.bounds();
    // Two entries of a hundred.
    let (removed, _) = view.range(&from, &to, 2).expect("entries").remove(1);
    assert_eq!(expiry::step(&mut draft, &settings, &head, &mut mark, now, 150).expect("swept"), 200);
    assert_eq!(draft.get(&removed), Ok(None));
    view.from.borrow_mut().clear();
    head.forgotten = 300;
    expiry::next(draft.as_read(), &settings, &head, &mark, now).expect("a plan");
    expiry::step(&mut draft, &settings, &head, &mut mark, now, 1000).expect("swept");
    let removed = [removed, key::change(300)];
    for from in view.from.take() {
        let last = removed.iter().find(|removed| removed[0] == from[0]);
        assert!(last.is_none_or(|last| from > *last), "{from:?}");
    }
}

#[test]
fn what_expires_before_all_that_was_removed_is_found() {
    let registry = &mut Registry::in_memory();
    use_tokens(registry, 0, 10);
    registry.pass_seconds(DAY);
    registry.wake();
    assert_eq!(entries(registry, Family::Kept), 0);
    registry.set_clock_by(-10 * 24 * 60 * 60);
    use_tokens(registry, 1, 10);
    registry.pass_seconds(DAY);
    registry.wake();
    assert_eq!((entries(registry, Family::Kept), entries(registry, Family::Dues)), (0, 0));
}

#[test]
fn a_login_code_goes_a_day_after_it_expired() {
    let registry = &mut Registry::in_memory();
    let expires = Some(registry.now.plus_seconds(60));
    let create = code::Create { expires, ..code::Create::new(Json::default()) };
    let code = registry.call(create).expect("made").code.expect("a code");
    registry.call(code::Create::new(Json::default())).expect("one that never expires");
    registry.pass_seconds(60 + DAY - 1);
    registry.wake();
    assert_eq!(registry.call(code::Use::new(code.clone())).expect_err("refused").code, Code::EXPIRED);
    registry.pass_seconds(61);
    registry.wake();
    assert_eq!(registry.call(code::Use::new(code)).expect_err("refused").code, Code::NOT_FOUND);
    assert_eq!((entries(registry, Family::Codes), entries(registry, Family::CodeHashes)), (1, 1));
    assert_eq!(registry.violations(), Vec::<String>::new());
}

#[test]
fn what_another_configuration_makes_due_goes_at_the_next_wake() {
    let registry = &mut Registry::in_memory();
    for number in 0..3 {
        registry.call(token::Use::new(format!("{number}").parse().expect("a token"))).expect("used");
    }
    registry.pass_seconds(DAY);
    registry.wake();
    assert_eq!(entries(registry, Family::Changes), 3);
    let mut config = Config::default();
    config.changes.keep_seconds = 60;
    registry.reload(&config);
    registry.wake();
    assert_eq!(entries(registry, Family::Changes), 0);
}

#[test]
fn a_token_loses_its_audit_and_is_never_forgotten() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        token.use {"token":"a","audit":{"ip":"::1"},"expires":"2027-01-15T08:01:00Z"} => {"token"..
        +86459
        token.get {"token":"a"} => {"token":"a",..,"audit":{"ip":"::1"}..
        +61
        "#,
    );
    registry.wake();
    assert_eq!((entries(registry, Family::Tokens), entries(registry, Family::TokenAudits)), (1, 0));
    assert_eq!(registry.violations(), Vec::<String>::new());
    check(
        registry,
        r#"
        token.get {"token":"a"} => {"token":"a",..,"audit":null,"expires":"2027-01-15T08:01:00.000000Z"}
        token.use {"token":"a"} => token_reuse
        "#,
    );
}

#[test]
fn a_token_is_forgotten_only_where_the_configuration_says_so() {
    let registry = &mut Registry::with_settings(|settings| settings.tokens_forget_after_seconds = 2 * DAY);
    check(
        registry,
        r#"
        token.use {"token":"a","audit":{"ip":"::1"},"expires":"2027-01-15T08:01:00Z"} => {"token"..
        token.use {"token":"b"} => {"token"..
        +86461
        "#,
    );
    registry.wake();
    check(registry, "token.use {\"token\":\"a\"} => token_reuse\n+86400");
    registry.wake();
    assert_eq!((entries(registry, Family::Tokens), entries(registry, Family::TokenAudits)), (1, 0));
    check(
        registry,
        r#"
        token.use {"token":"a"} => {"token"..
        token.use {"token":"b"} => token_reuse
        "#,
    );
}

#[test]
fn changes_are_kept_as_long_as_the_configuration_says() {
    let registry = &mut Registry::with_settings(|settings| settings.changes_keep_seconds = 100);
    check(
        registry,
        r#"
        person.create {"callsign":"A"} => {"pk"..
        person.create {"callsign":"B"} => {"pk"..
        +50
        person.create {"callsign":"C"} => {"pk"..
        +60
        "#,
    );
    registry.wake();
    check(
        registry,
        r#"
        changes.list {} => {"items":[{"seq":3..}],"next":null}
        changes.list {"since":2} => {"items":[{"seq":3..}],"next":null}
        changes.list {"since":1} => expired
        +100
        "#,
    );
    registry.wake();
    check(
        registry,
        r#"
        changes.list {} => {"items":[],"next":null}
        person.create {"callsign":"D"} => {"pk"..
        changes.list {} => {"items":[{"seq":4..}],"next":null}
        server.status {} => {..,"records":{..,"person":4..},..,"changes_head":4,..}
        "#,
    );
}

#[test]
fn an_ended_window_of_wrong_codes_goes_and_a_new_one_stays() {
    let registry = &mut Registry::in_memory();
    check(registry, r#"code.use {"code":"WRONGWRONG22"} => not_found"#);
    registry.pass_seconds(61);
    check(registry, r#"code.use {"code":"WRONGWRONG22"} => not_found"#);
    registry.wake();
    check(registry, r#"code.use {"code":"WRONGWRONG22"} => not_found"#);
    registry.pass_seconds(121);
    registry.wake();
    assert_eq!(entries(registry, Family::Dues), 0);
}
