//! Rules of one-time tokens.

use enroll_tests::registry::Registry;

use super::check;

#[test]
fn a_token_is_used_once() {
    check(
        &mut Registry::in_memory(),
        r#"
        token.get {"token":"nonce 1"} => not_found
        token.use {"token":"nonce 1","audit":{"ip":"203.0.113.9"},"expires":"2027-02-01T00:00:00Z"} => {"token":"nonce 1","created":"2027-01-15T08:00:00.000000Z","audit":{"ip":"203.0.113.9"},"expires":"2027-02-01T00:00:00.000000Z"}
        +60
        token.use {"token":"nonce 1"} => token_reuse
        token.get {"token":"nonce 1"} => {"token":"nonce 1","created":"2027-01-15T08:00:00.000000Z","audit":{"ip":"203.0.113.9"},"expires":"2027-02-01T00:00:00.000000Z"}
        token.use {"token":"Nonce 1"} => {"token":"Nonce 1","created":"2027-01-15T08:01:00.000000Z","audit":null,"expires":null}
        token.delete {"token":"nonce 1"} => forbidden_operation
        token.delete {"token":"never seen"} => forbidden_operation
        token.use {"token":""} => invalid_argument
        "#,
    );
}

#[test]
fn a_token_is_at_most_1024_bytes() {
    let (fits, too_long) = ("é".repeat(512), format!("{}x", "é".repeat(512)));
    check(
        &mut Registry::in_memory(),
        &format!(
            "token.use {{\"token\":\"{fits}\"}} => {{\"token\"..\ntoken.use {{\"token\":\"{too_long}\"}} => invalid_argument"
        ),
    );
}

#[test]
fn an_expired_token_is_refused_and_a_used_one_never_becomes_fresh() {
    check(
        &mut Registry::in_memory(),
        r#"
        token.use {"token":"a","expires":"2027-01-15T08:00:00Z"} => expired
        token.use {"token":"a","expires":"2027-01-15T08:00:01Z"} => {"token":"a"..
        +100000
        token.use {"token":"a"} => token_reuse
        token.use {"token":"a","expires":"2020-01-01T00:00:00Z"} => token_reuse
        "#,
    );
}

#[test]
fn a_reuse_says_when_the_first_use_was() {
    let registry = &mut Registry::in_memory();
    check(registry, r#"token.use {"token":"a"} => {"token".."#);
    let refusal = super::call(registry, Default::default(), "token.use", r#"{"token":"a"}"#).expect_err("refused");
    assert!(refusal.message.contains("2027-01-15T08:00:00.000000Z"), "{}", refusal.message);
    let details = refusal.details.expect("details");
    assert_eq!(details.as_str(), r#"{"state":"used","used_on":"2027-01-15T08:00:00.000000Z","used_by":{"uid":1000}}"#);
}

#[test]
fn no_token_and_no_code_is_in_the_store() {
    let registry = &mut Registry::in_memory();
    check(registry, r#"token.use {"token":"a-token-that-is-a-canary"} => {"token".."#);
    let code = registry.call(enroll_protocol::code::Create::new("{}".parse().expect("claims"))).expect("made");
    let code = code.code.expect("a code");
    let key = super::key(1);
    let reply = super::call(registry, key, "token.use", r#"{"token":"another-token-canary"}"#).expect("used");
    assert!(reply.contains("another-token-canary"));
    let everything = registry.store().view().expect("a view").range(&[0], &[0xff], usize::MAX).expect("entries");
    let contains = |canary: &[u8]| {
        everything.iter().any(|(key, value)| [key, value].iter().any(|b| b.windows(canary.len()).any(|w| w == canary)))
    };
    assert!(contains(b"superuser"), "the search finds what is there");
    for canary in ["a-token-that-is-a-canary", "another-token-canary", code.as_str()] {
        assert!(!contains(canary.as_bytes()), "{canary}");
    }
}
