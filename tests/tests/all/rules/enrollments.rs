//! Rules of invite pools and enrollments.

use enroll_protocol::{Code, Envelope, Time, enrollment, person, pool};
use enroll_tests::registry::Registry;
use enrolld::config::{Config, Guesses};

use super::check;

/// A pool of this person, as it is made.
fn make_pool(registry: &mut Registry, owner: &str) -> pool::Pool {
    // A moment later than the one before, so that the order of both is known.
    registry.now = Time::from_micros(registry.now.micros() + 1).expect("a time");
    let create = pool::Create { owner: Some(owner.parse().expect("a name")), ..Default::default() };
    registry.call(create).expect("made")
}

fn code_of(pool: &pool::Pool) -> String {
    pool.invitecode.as_ref().expect("a code").as_str().to_owned()
}

fn enroll(callsign: &str, pool: &str) -> enrollment::Create {
    let pool = Some(pool.parse().expect("a name"));
    enrollment::Create { pool, ..enrollment::Create::new(callsign.parse().expect("a callsign")) }
}

#[test]
fn an_enrollment_becomes_a_person_with_its_extra() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        person.create {"callsign":"BOSS","roles":["superuser"]} => {"pk"..
        enrollment.create {"callsign":"DOG","extra":{"a":1}} => {"pk":"..,"callsign":"DOG","state":"pending","approvecode":"..","pool":null,"person":null,"extra":{"a":1},"csr":null,"has_csr":false,"decided_by":null,"decided_on":null,"reason":null,..,"deleted":null}
        person.get {"person":"DOG"} => not_found
        person.create {"callsign":"dog"} => callsign_reserved
        enrollment.update {"enrollment":"DOG","patch":{"b":{"c":2}}} => {"pk":"..,"extra":{"a":1,"b":{"c":2}},..}
        enrollment.update {"enrollment":"DOG","patch":{"b":null}} => {"pk":"..,"extra":{"a":1},..}
        enrollment.update {"enrollment":"DOG"} => invalid_argument
        enrollment.update {"enrollment":"DOG","extra":{},"patch":{}} => invalid_argument
        enrollment.update {"enrollment":"CAT","extra":{}} => not_found
        enrollment.create {"callsign":"dog"} => callsign_reserved
        enrollment.create {"callsign":"boss"} => callsign_reserved
        BOSS> enrollment.approve {"enrollment":"dog"} => {"pk":"..,"callsign":"DOG","extra":{"a":1},..,"deleted":null}
        person.get {"person":"DOG"} => {"pk":"..,"callsign":"DOG"..
        enrollment.get {"enrollment":"DOG"} => {"pk":"..,"state":"approved",..,"decided_by":{"person":"..-..-.."},"decided_on":"2027..
        enrollment.approve {"enrollment":"DOG"} => already_decided
        enrollment.reject {"enrollment":"DOG"} => already_decided
        enrollment.reset_code {"enrollment":"DOG"} => {"pk":"..,"state":"approved"..
        enrollment.update {"enrollment":"DOG","extra":{}} => already_decided
        enrollment.create {"callsign":"DOG"} => callsign_reserved
        enrollment.delete {"enrollment":"DOG"} => forbidden_operation
        enrollment.get {"enrollment":"BOSS"} => not_found
        enrollment.create {"callsign":"X","csr":"-----BEGIN"} => invalid_argument
        "#,
    );
}

#[test]
fn a_rejected_callsign_stays_taken() {
    check(
        &mut Registry::in_memory(),
        r#"
        enrollment.create {"callsign":"DOG"} => {"pk"..
        enrollment.reject {"enrollment":"DOG","reason":"not one of us"} => {"pk":"..,"state":"rejected",..,"person":null,..,"decided_by":{"uid":1000},"decided_on":"2027-01-15T08:00:00.000000Z","reason":"not one of us",..}
        enrollment.approve {"enrollment":"DOG"} => already_decided
        enrollment.create {"callsign":"dog"} => callsign_reserved
        person.create {"callsign":"dog"} => callsign_reserved
        person.get {"person":"dog"} => not_found
        "#,
    );
}

#[test]
fn a_pool_gives_its_extra_and_counts_its_uses() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        person.create {"callsign":"BOSS"} => {"pk"..
        pool.create {"owner":"BOSS","extra":{"team":"red","n":1},"max_uses":2} => {"pk":"..,"owner":"..","active":true,"usable":"yes","invitecode":"..","extra":{"team":"red","n":1},"max_uses":2,"uses":0,"expires":null,..,"deleted":null}
        pool.create {} => invalid_argument
        pool.create {"owner":"nobody"} => not_found
        "#,
    );
    let pools = registry.call(pool::List::default()).expect("a page").items;
    let code = code_of(&pools[0]);
    assert_eq!(code.len(), 8);
    let typed = format!(" {}-{}", code[..4].to_lowercase(), &code[4..]);
    check(
        registry,
        &format!(
            r#"
        pool.check {{"invitecode":"{typed}"}} => true
        enrollment.create {{"callsign":"A","pool":"{typed}","extra":{{"n":2}}}} => {{"pk":"..,"extra":{{"n":2,"team":"red"}}..
        +1
        enrollment.create {{"callsign":"B","pool":{{"pk":"{}"}}}} => {{"pk":"..,"pool":"{}"..
        +1
        enrollment.create {{"callsign":"C","pool":"{code}"}} => pool_exhausted
        pool.check {{"invitecode":"{code}"}} => false
        pool.get {{"pool":"{code}"}} => {{"pk":"..,"uses":2..
        pool.update {{"pool":"{code}","max_uses":3,"extra":{{"x":1}}}} => {{"pk":"..,"extra":{{"x":1}},"max_uses":3,"uses":2..
        enrollment.create {{"callsign":"C","pool":"{code}"}} => {{"pk":"..,"extra":{{"x":1}}..
        pool.update {{"pool":"{code}","clear":["max_uses","extra"]}} => {{"pk":"..,"extra":{{}},"max_uses":null,"uses":3..
        pool.update {{"pool":"{code}","max_uses":1,"clear":["max_uses"]}} => invalid_argument
        pool.update {{"pool":"{code}","clear":["owner"]}} => invalid_argument
        enrollment.list {{"pool":"{code}"}} => {{"items":[{{..,"callsign":"A",..,"callsign":"B",..,"callsign":"C"..}}],"next":null}}
        enrollment.reject {{"enrollment":"B"}} => {{"pk"..
        enrollment.list {{"pool":"{code}","state":"pending"}} => {{"items":[{{..,"callsign":"A",..,"callsign":"C"..}}],"next":null}}
        enrollment.list {{"state":"rejected"}} => {{"items":[{{..,"callsign":"B"..}}],"next":null}}
        enrollment.list {{"state":"gone"}} => invalid_argument
        "#,
            pools[0].pk, pools[0].pk
        ),
    );
}

#[test]
fn a_pool_that_is_not_to_be_used_says_why() {
    let registry = &mut Registry::in_memory();
    check(registry, r#"person.create {"callsign":"BOSS"} => {"pk".."#);
    let code = code_of(&make_pool(registry, "BOSS"));
    let other = code_of(&make_pool(registry, "BOSS"));
    check(
        registry,
        &format!(
            r#"
        pool.set_active {{"pool":"{code}","active":false}} => {{"pk":"..,"active":false..
        enrollment.create {{"callsign":"A","pool":"{code}"}} => pool_inactive
        pool.check {{"invitecode":"{code}"}} => false
        pool.set_active {{"pool":"{code}","active":true}} => {{"pk":"..,"active":true..
        pool.update {{"pool":"{code}","expires":"2027-01-15T08:00:00Z"}} => invalid_argument
        pool.update {{"pool":"{code}","expires":"2027-01-15T08:01:00Z"}} => {{"pk"..
        enrollment.create {{"callsign":"A","pool":"{code}"}} => {{"pk"..
        +60
        enrollment.create {{"callsign":"B","pool":"{code}"}} => expired
        pool.update {{"pool":"{code}","clear":["expires"]}} => {{"pk":"..,"expires":null..
        enrollment.create {{"callsign":"B","pool":"{code}"}} => {{"pk"..
        pool.delete {{"pool":"{code}"}} => {{"pk":"..,"deleted":"2027..
        enrollment.create {{"callsign":"C","pool":"{code}"}} => deleted
        pool.check {{"invitecode":"{code}"}} => false
        pool.get {{"pool":"{code}"}} => deleted
        pool.get {{"pool":"{code}","allow_deleted":true}} => {{"pk"..
        pool.delete {{"pool":"{code}"}} => deleted
        pool.reset_code {{"pool":"{code}"}} => deleted
        pool.list {{"owner":"boss"}} => {{"items":[{{..,"invitecode":"{other}"..}}],"next":null}}
        pool.list {{"owner":"boss","include_deleted":true}} => {{"items":[{{..,"invitecode":"{code}",..,"invitecode":"{other}"..}}],"next":null}}
        person.delete {{"person":"BOSS"}} => {{"pk"..
        enrollment.create {{"callsign":"D","pool":"{other}"}} => pool_inactive
        pool.create {{"owner":"BOSS"}} => deleted
        pool.create {{"owner":"BOSS","expires":"2020-01-01T00:00:00Z"}} => deleted
        "#
        ),
    );
}

#[test]
fn what_a_stranger_typed_is_an_invite_code_and_never_a_pk() {
    let registry = &mut Registry::in_memory();
    check(registry, r#"person.create {"callsign":"BOSS"} => {"pk".."#);
    let pool = make_pool(registry, "BOSS");
    check(
        registry,
        &format!(
            r#"
        enrollment.create {{"callsign":"A","pool":"{pk}"}} => not_found
        enrollment.create {{"callsign":"A","pool":"{short}"}} => not_found
        enrollment.create {{"callsign":"A","pool":{{"invitecode":"{pk}"}}}} => not_found
        enrollment.create {{"callsign":"A","pool":{{"callsign":"BOSS"}}}} => invalid_argument
        pool.check {{"invitecode":"{pk}"}} => false
        enrollment.create {{"callsign":"A","pool":{{"invitecode":"{code}"}}}} => {{"pk"..
        enrollment.create {{"callsign":"B","pool":{{"pk":"{pk}"}}}} => {{"pk"..
        pool.get {{"pool":"{pk}"}} => {{"pk":"{pk}"..
        code.create {{"claims":{{"sub":"{pk}"}}}} => {{"code"..
        "#,
            pk = pool.pk,
            short = pool.pk.short(),
            code = code_of(&pool),
        ),
    );
}

/// The allowed values of an `extra` are checked while its author can still mend it, and not again at an approval.
#[test]
fn extra_is_checked_when_it_is_written_and_what_was_allowed_then_stays() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        person.create {"callsign":"BOSS"} => {"pk"..
        constant.set {"list":"country","value":"Norway"} => true
        constant.set {"list":"country","value":"Sweden"} => true
        constant.set {"list":"country","value":"NORWAY"} => false
        person.create {"callsign":"A","extra":{"country":"Atlantis"}} => invalid_argument
        enrollment.create {"callsign":"A","extra":{"country":"Atlantis"}} => invalid_argument
        enrollment.create {"callsign":"A","extra":{"country":7}} => invalid_argument
        pool.create {"owner":"BOSS","extra":{"country":"Atlantis"}} => invalid_argument
        enrollment.create {"callsign":"A","extra":{"country":"norway","n":1}} => {"pk"..
        $P = pool.create {"owner":"BOSS","extra":{"country":"Norway"}} => {"pk"..
        pool.update {"pool":"$P","extra":{"country":"Atlantis"}} => invalid_argument
        enrollment.create {"callsign":"B","pool":{"pk":"$P"},"extra":{"country":"Atlantis"}} => invalid_argument
        enrollment.create {"callsign":"B","pool":{"pk":"$P"}} => {"pk"..
        constant.remove {"list":"country","value":"norway"} => true
        enrollment.approve {"enrollment":"A"} => {"pk"..,"extra":{"country":"norway","n":1}..
        enrollment.approve {"enrollment":"B"} => {"pk"..
        enrollment.create {"callsign":"C","pool":{"pk":"$P"},"extra":{"n":2}} => {"pk"..
        enrollment.create {"callsign":"D","extra":{"country":"Norway"}} => invalid_argument
        person.update {"person":"A","extra":{"country":"norway","n":2}} => {"pk"..
        person.update {"person":"A","extra":{"country":"n\u006frway","n":2}} => {"pk"..
        person.update {"person":"A","extra":{"country":"Norway","n":2}} => invalid_argument
        person.update {"person":"A","extra":{"country":"sweden"}} => {"pk"..
        person.update {"person":"A","extra":{"country":"norway"}} => invalid_argument
        pool.update {"pool":"$P","extra":{"country":"Norway","n":2}} => {"pk"..
        "#,
    );
}

#[test]
fn a_subject_is_a_callsign_and_never_a_pk() {
    let registry = &mut Registry::in_memory();
    let dog = registry.call(person::Create::new("DOG".parse().expect("a callsign"))).expect("made").pk;
    check(
        registry,
        &format!(
            r#"
        person.delete {{"person":"DOG"}} => {{"pk"..
        code.create {{"claims":{{"sub":"dog"}}}} => deleted
        code.create {{"claims":{{"sub":"{dog}"}}}} => {{"code"..
        "#
        ),
    );
}

#[test]
fn a_code_that_was_reset_is_dead_in_the_same_instant() {
    let registry = &mut Registry::in_memory();
    check(registry, r#"person.create {"callsign":"BOSS"} => {"pk".."#);
    let old = code_of(&make_pool(registry, "BOSS"));
    let new = code_of(&registry.call(pool::ResetCode::new(old.parse().expect("a name"))).expect("reset"));
    assert_ne!(old, new);
    let enrolled = registry.call(enroll("A", &new)).expect("enrolled");
    let old_approve = enrolled.approvecode.expect("a code");
    let reset = registry.call(enrollment::ResetCode { enrollment: "A".parse().expect("a name") }).expect("reset");
    let new_approve = reset.approvecode.expect("a code");
    check(
        registry,
        &format!(
            r#"
        enrollment.create {{"callsign":"B","pool":"{old}"}} => not_found
        pool.get {{"pool":"{old}"}} => not_found
        pool.check {{"invitecode":"{old}"}} => false
        enrollment.find {{"approvecode":"{}"}} => not_found
        enrollment.find {{"approvecode":"{}"}} => {{"pk":"..,"callsign":"A"..
        enrollment.approve {{"enrollment":"A","approvecode":"{}"}} => code_mismatch
        enrollment.approve {{"enrollment":"A","approvecode":"{}"}} => {{"pk"..
        changes.list {{"since":5}} => {{"items":[{{..,"verb":"create",..,"refused":"not_found"}},{{..,"verb":"get",..,"refused":"not_found"}},{{..,"verb":"check",..,"refused":"not_found"}},{{..,"verb":"find",..,"refused":"not_found"}},{{..,"verb":"approve","subjects":["..-.."],..,"refused":"code_mismatch"}},{{..,"verb":"approve",..,"refused":null}}],"next":null}}
        "#,
            old_approve.as_str(),
            new_approve.as_str().to_lowercase(),
            old_approve.as_str(),
            new_approve.as_str()
        ),
    );
}

#[test]
fn every_wrong_code_in_whatever_field_is_a_guess() {
    let guesses = Guesses { per_minute: 6, total_per_minute: 300, ..Guesses::default() };
    let registry = &mut Registry::configured(&Config { guesses, ..Config::default() });
    check(
        registry,
        r#"
        person.create {"callsign":"BOSS"} => {"pk"..
        enrollment.create {"callsign":"A"} => {"pk"..
        pool.check {"invitecode":"WRONG22"} => false
        pool.get {"pool":"WRONG22"} => not_found
        enrollment.create {"callsign":"B","pool":"WRONG22"} => not_found
        enrollment.list {"pool":"WRONG22"} => not_found
        enrollment.find {"approvecode":"WRONG22"} => not_found
        enrollment.approve {"enrollment":"A","approvecode":"WRONG22"} => code_mismatch
        pool.check {"invitecode":"WRONG22"} => too_many_attempts
        code.use {"code":"WRONGWRONG22"} => too_many_attempts
        enrollment.approve {"enrollment":"A","approvecode":"WRONG22"} => too_many_attempts
        enrollment.approve {"enrollment":"A"} => {"pk"..
        enrollment.list {} => {"items":[{..}],"next":null}
        "#,
    );
}

#[test]
fn a_dry_run_is_a_guess_like_any_other() {
    let guesses = Guesses { per_minute: 2, total_per_minute: 300, ..Guesses::default() };
    let registry = &mut Registry::configured(&Config { guesses, ..Config::default() });
    let dry = Envelope { dry_run: true, ..Envelope::default() };
    let check = pool::Check { invitecode: "WRONG22".parse().expect("a code") };
    let find = enrollment::Find { approvecode: "WRONG22".parse().expect("a code") };
    assert_eq!(registry.call_with(dry.clone(), check.clone()), Ok(false));
    assert_eq!(registry.call_with(dry.clone(), find).expect_err("refused").code, Code::NOT_FOUND);
    assert_eq!(registry.call_with(dry, check).expect_err("refused").code, Code::TOO_MANY_ATTEMPTS);
}

#[test]
fn codes_run_out_when_there_are_no_more() {
    let registry = &mut Registry::with_settings(|settings| {
        settings.code_characters = b"AB";
        settings.code_size = 1;
    });
    check(registry, r#"person.create {"callsign":"BOSS"} => {"pk".."#);
    let codes = [make_pool(registry, "BOSS"), make_pool(registry, "BOSS")].map(|pool| code_of(&pool));
    assert!(codes == ["A", "B"] || codes == ["B", "A"], "{codes:?}");
    check(
        registry,
        r#"
        pool.create {"owner":"BOSS"} => code_exhausted
        enrollment.create {"callsign":"X"} => {"pk"..
        enrollment.create {"callsign":"Y"} => {"pk"..
        enrollment.create {"callsign":"Z"} => code_exhausted
        enrollment.get {"enrollment":"Z"} => not_found
        "#,
    );
}

#[test]
fn owners_see_to_their_own_pools_and_deciding_takes_the_permission() {
    let registry = &mut Registry::in_memory();
    check(
        registry,
        r#"
        person.create {"callsign":"DOG"} => {"pk"..
        person.create {"callsign":"CAT"} => {"pk"..
        person.create {"callsign":"ADMIN","roles":["admin"]} => {"pk"..
        DOG> pool.create {"owner":"CAT"} => permission_denied
        "#,
    );
    let actor = Envelope { actor: Some("DOG".parse().expect("a name")), ..Envelope::default() };
    let code = code_of(&registry.call_with(actor, pool::Create::default()).expect("their own"));
    check(
        registry,
        &format!(
            r#"
        DOG> pool.get {{"pool":"{code}"}} => {{"pk"..
        CAT> pool.get {{"pool":"{code}"}} => permission_denied
        ADMIN> pool.get {{"pool":"{code}"}} => {{"pk"..
        CAT> pool.set_active {{"pool":"{code}","active":false}} => permission_denied
        DOG> pool.list {{"owner":"DOG"}} => {{"items":[{{"pk"..
        DOG> pool.list {{}} => permission_denied
        CAT> pool.list {{"owner":"DOG"}} => permission_denied
        CAT> enrollment.create {{"callsign":"X","pool":"{code}"}} => permission_denied
        DOG> enrollment.create {{"callsign":"X","pool":"{code}"}} => {{"pk"..
        DOG> enrollment.list {{"pool":"{code}"}} => {{"items":[{{"pk"..
        DOG> enrollment.list {{}} => permission_denied
        DOG> enrollment.approve {{"enrollment":"X"}} => permission_denied
        DOG> enrollment.reject {{"enrollment":"X"}} => permission_denied
        ADMIN> enrollment.approve {{"enrollment":"X"}} => {{"pk"..
        "#
        ),
    );
}

#[test]
fn a_dry_run_of_an_enrollment_shows_no_code_and_takes_no_place() {
    let registry = &mut Registry::in_memory();
    check(registry, r#"person.create {"callsign":"BOSS"} => {"pk".."#);
    let pool = make_pool(registry, "BOSS");
    let dry = Envelope { dry_run: true, ..Envelope::default() };
    let create = enroll("A", &code_of(&pool));
    let would = registry.call_with(dry.clone(), create.clone()).expect("would be enrolled");
    assert_eq!((would.approvecode, would.pool), (None, Some(pool.pk)));
    let again = registry.call_with(dry.clone(), pool::ResetCode::new(pool.pk.to_string().parse().expect("a pk")));
    assert_eq!(again.expect("would be reset").invitecode, None);
    registry.call(create).expect("enrolled, by the code that still works");
    let approve = enrollment::Approve::new("A".parse().expect("a name"));
    registry.call_with(dry, approve).expect("would be approved");
    let get = person::Get::new("A".parse().expect("a name"));
    assert_eq!(registry.call(get).expect_err("not approved").code, Code::NOT_FOUND);
    assert_eq!(registry.violations(), Vec::<String>::new());
}
