//! A service that gives its own database up: what its adapter did for itself with names, codes, JWTs and certificates is
//! one call here.

use enroll_tests::process::{Daemon, Home};

use super::expect_sound;
use super::script::Script;

#[test]
fn ported_names_and_printed_codes_are_taken_as_they_are_or_refused_with_the_form_they_would_have() {
    let mut script = Script::of(Daemon::start());
    script.run(
        r#"
        $ person create BOSS --json
            {"pk":"<BOSS>",..}
        $ pool create --owner BOSS --invitecode welcome-2027 --json
            {"pk":"<POOL>",..,"invitecode":"WELCOME2O27",..}
        $ pool check WELCOME2027
            true
        $ pool create --owner BOSS --invitecode WELCOME-2O27 ! 1 conflict
        $ pool reset_code $POOL --invitecode autumn2027 --json
            {"pk":"$POOL",..,"invitecode":"AUTUMN2O27",..}
        $ role assign BOSS Course:Staff ! 2 it could be "course-staff"
        $ role assign BOSS course-staff
            true
        "#,
    );
    let boss = script.daemon.enrollctl(&["--json", "person", "get", "BOSS"], "").json();
    for padded in padded_forms(boss["pk"].as_str().expect("a pk")) {
        let found = script.daemon.enrollctl(&["--json", "person", "get", &padded], "").json();
        assert_eq!(found["callsign"], "BOSS", "{padded}");
        let reserved = script.daemon.enrollctl(&["person", "create", &padded], "");
        assert_eq!(reserved.code, Some(1), "no name has the form of a pk: {reserved:?}");
    }
    expect_sound(&script.daemon);
}

/// The padded base64 forms of a UUID, as another service has kept it.
fn padded_forms(uuid: &str) -> [String; 2] {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    let digits: String = uuid.chars().filter(|c| *c != '-').collect();
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    let bytes: Vec<u8> = (0..32).step_by(2).map(byte).collect();
    [URL_SAFE.encode(&bytes), STANDARD.encode(&bytes)]
}

#[test]
fn ported_verifiers_get_rs256_and_no_audience_where_they_know_no_other() {
    let home = Home::make();
    home.configure("[jwt]\nalgorithm = \"RS256\"\naudience = \"\"");
    let mut script = Script::of(home.start());
    script.run(
        r#"
        $ jwt keys --json
            {"keys":[{"alg":"RS256",..,"kty":"RSA","n":..,"e":"AQAB"}]}
        $ code create {"sub":"DOGGO01a"} --json
            {"code":"<CODE>","expires":null}
        $ code use --json < $CODE
            {"jwt":"<JWT>","expires":..}
        $ jwt verify --json < $JWT
            {"iss":"enrolld","iat":..,"exp":..,"jti":..,"sub":"DOGGO01a"}
        $ jwt rotate --json
            {"keys":[{"alg":"RS256",..},{"alg":"RS256",..}]}
        $ jwt verify --json < $JWT
            {"iss":"enrolld",..}
        "#,
    );
}

#[test]
fn ported_services_get_certificates_and_pkcs12_without_a_key_by_one_call() {
    let home = Home::make();
    home.configure("reserved_callsigns = [\"portal\"]");
    let mut script = Script::of(home.start());
    let csr = include_str!("../../../requests/p256.pem");
    script.daemon.enrollctl(&["person", "create", "DOGGO01a", "--certificate", csr], "");
    script.run(
        r#"
        $ certificate key DOGGO01a ! 1 not_found
        $ certificate pfx DOGGO01a < password
            MII..
        $ certificate issue portal --json
            {"certificate":"-----BEGIN CERTIFICATE-----..","serial":"<SERIAL>","key":"-----BEGIN PRIVATE KEY-----.."}
        $ person find {"CN":"portal"} ! 1 not_found
        $ certificate revoke --name portal cessation_of_operation
            $SERIAL
        "#,
    );
    expect_sound(&script.daemon);
}
