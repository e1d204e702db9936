//! Every verb through the real command line, in the form for pipes and as JSON, and what holds for all of them.
//!
//! The scripts go through every line of the table of operations, and the test fails when a new line has no script.
//! What a verb does is tested with the rules; here it is that its arguments, its input and its output get through.

use std::process::Stdio;

use enroll_protocol::operations::TABLE;
use enroll_tests::process::{Daemon, run, run_into};

use super::script::Script;
use super::{count, expect_sound};

const PEOPLE: &str = r#"
$ person create BOSS --role superuser
    pk→<BOSS>
    callsign→BOSS
    extra→{}
    supervisor→
    certificate→false
    revocation→
    created→20..Z
    updated→20..Z
    deleted→
$ --json person create dog --extra {"team":"red","n":1.50} --role member --role guest
    {"pk":"<DOG>","callsign":"dog","extra":{"team":"red","n":1.50},..,"deleted":null}
$ person create DOG ! 1 callsign_reserved
$ --json person create DOG ! 1 callsign_reserved
    {"error":{"code":"callsign_reserved","message":"..","details":..}}
$ person create x --certificate generate ! 1 forbidden_operation
$ person create x --extra [] ! 2 JSON object
$ person create ! 2 CALLSIGN
$ person get DoG
    pk→$DOG
    callsign→dog
    extra→{"team":"red","n":1.50}
    supervisor→
    certificate→false
    revocation→
    created→..
    updated→..
    deleted→
$ person get $DOG --json
    {"pk":"$DOG","callsign":"dog",..}
$ person get nobody ! 1 not_found
$ --json person get nobody ! 1 not_found
    {"error":{"code":"not_found",..}}
$ person list
    pk→callsign→extra→supervisor→certificate→revocation→created→updated→deleted
    $BOSS→BOSS→{}→→false→→..
    $DOG→dog→{"team":"red","n":1.50}→→false→→..
$ person list --role member --json
    {"items":[{"pk":"$DOG",..}],"next":null}
$ person list --prefix D
    pk→callsign→..
    $DOG→dog→..
$ person list --role nobody-has-it
$ person list --limit 1 ! 0 more: --after
    pk→callsign→..
    $BOSS→BOSS→..
$ person list --limit 1 --json
    {"items":[{"pk":"$BOSS",..}],"next":"<NEXT>"}
$ person list --limit 1 --after $NEXT
    pk→callsign→..
    $DOG→dog→..
$ person list --limit 0 ! 2 1 to 1000
$ role assign dog helper
    true
$ role assign DOG helper
    false
$ role assign dog Helper ! 2 role must be
$ --json role assign dog other
    true
$ role has dog helper
    true
$ role has dog superuser --json
    false
$ role list dog
    guest
    helper
    member
    other
$ role list BOSS --json
    ["superuser"]
$ role list nobody ! 1 not_found
$ role remove dog helper
    true
$ role remove dog helper
    false
$ role remove dog other --json
    true
"#;

const PERMISSIONS: &str = r#"
$ permission grant helper /pools/
    true
$ permission grant helper /pools/ --json
    false
$ permission grant helper /pools ! 2 permission must be
$ permission list --role helper
    role→permission
    helper→/pools/
$ permission list --role helper --json
    [{"role":"helper","permission":"/pools/"}]
$ permission has BOSS /pools/create/
    true
$ permission has dog /pools/ --json
    false
$ permission revoke helper /pools/ --json
    true
$ permission revoke helper /pools/
    false
$ person find {"sub":"DOG"} --json
    {"pk":"$DOG",..}
$ person find {"CN":"nobody"} ! 1 not_found
$ person update dog {"team":"blue"} --json
    {"pk":"$DOG","callsign":"dog","extra":{"team":"blue"},..}
$ person update dog {"team":"red"}
    pk→$DOG
    callsign→dog
    extra→{"team":"red"}
    supervisor→
    certificate→false
    revocation→
    created→..
    updated→..
    deleted→
$ person find {"sub":"dog"}
    pk→$DOG
    callsign→dog
    extra→{"team":"red"}
    supervisor→
    certificate→false
    revocation→
    created→..
    updated→..
    deleted→
$ --json person create cat
    {"pk":"<CAT>",..}
$ person revoke cat lost ! 2 unknown variant
$ person revoke cat key_compromise --json
    {"pk":"$CAT",..,"revocation":{"reason":"key_compromise","at":"20..Z"},..}
$ person revoke cat unspecified ! 1 deleted
$ --json person create cow
    {"pk":"<COW>",..}
$ person delete cow --json
    {"pk":"$COW",..,"revocation":null,..,"deleted":"20..Z"}
$ person delete cow ! 1 deleted
$ person get cow ! 1 deleted
$ person get cow --allow-deleted --json
    {"pk":"$COW",..}
"#;

const SECRETS: &str = r#"
$ token use --audit {"ip":"::1"} --expires 2999-01-01T00:00:00Z < nonce-1
    token→nonce-1
    created→<USED>
    audit→{"ip":"::1"}
    expires→2999-01-01T00:00:00.000000Z
$ token use < nonce-1 ! 1 used before, at $USED
$ --json token use < nonce-1 ! 1 token_reuse
    {"error":{"code":"token_reuse","message":"..","details":{"used_on":"$USED"}}}
$ token use - --json < nonce-2
    {"token":"nonce-2","created":"20..Z","audit":null,"expires":null}
$ token use --expires 2001-01-01T00:00:00Z < nonce-3 ! 1 expired
$ token use ! 2 standard input is empty
$ token use --dry-run < nonce-4
    token→nonce-4
    created→..
    audit→
    expires→
$ token get < nonce-4 ! 1 not_found
$ token get < nonce-1
    token→nonce-1
    created→$USED
    audit→{"ip":"::1"}
    expires→2999-01-01T00:00:00.000000Z
$ token get --json < nonce-1
    {"token":"nonce-1","created":"$USED",..}
$ token delete < nonce-1 ! 1 forbidden_operation
$ token delete --json < nonce-1 ! 1 forbidden_operation
    {"error":{"code":"forbidden_operation",..}}
$ code create {"sub":"dog"} --expires 2999-01-01T00:00:00Z
    code→<CODE>
    expires→2999-01-01T00:00:00.000000Z
$ code create {"sub":"BOSS","n":12345678901234567890123} --audit {"by":"me"} --json
    {"code":"<BOSSCODE>","expires":null}
$ code create {"exp":1} ! 1 invalid_argument
$ code create {} --dry-run
    code→
    expires→
$ code get < $CODE
    created→..
    claims→{"sub":"dog"}
    audit→
    used_on→
    expires→2999-01-01T00:00:00.000000Z
$ code get --json < $BOSSCODE
    {"created":"..","claims":{"sub":"BOSS","n":12345678901234567890123},"audit":{"by":"me"},"used_on":null,..}
$ code use --dry-run < $CODE
    jwt→
    expires→..
$ code use < $CODE
    jwt→<JWT>
    expires→..
$ code use < $CODE ! 1 token_reuse
$ code use --json --audit {"from":"here"} --origin 203.0.113.9 < $BOSSCODE
    {"jwt":"<BOSSJWT>","expires":"..Z"}
$ code get --json < $BOSSCODE
    {"created":"..","claims":..,"audit":{"by":"me","from":"here"},"used_on":"20..
$ code use < AAAAAAAAAAAA ! 1 not_found
$ code delete < $CODE ! 1 forbidden_operation
$ code delete --json < $CODE ! 1 forbidden_operation
    {"error":{"code":"forbidden_operation",..}}
$ jwt verify < $JWT
    iss→enrolld
    aud→enrolld
    iat→..
    nbf→..
    exp→..
    jti→..
    sub→dog
$ jwt verify --json < $BOSSJWT
    {"iss":"enrolld","aud":"enrolld",..,"n":12345678901234567890123..}
$ jwt verify < $JWTx ! 1 jwt_invalid
$ jwt keys --json
    {"keys":[{..}]}
$ jwt keys
    keys→[{..}]
"#;

const DAEMON: &str = r#"
$ changes list --limit 2 --json
    {"items":[{"seq":1,..,"area":"person","verb":"create",..},{"seq":2,..}],"next":"..
$ changes list --since 1 --limit 1 ! 0 more: --after
    seq→at→area→verb→subjects→actor→peer→origin→cause→refused
    2→..→person→create→..
$ changes list --since 1000000
$ server status --json
    {"version":"..","uptime_seconds":..,"state_dir":"..state","database":{..},"records":{..},..}
$ server status
    version→..
    uptime_seconds→..
    state_dir→..state
    database→{..}
    records→{..}
    connections→1
    queue→0
    changes_head→..
$ server check
$ server check --json
    []
"#;

#[test]
fn every_verb_does_in_a_pipe_and_as_json_what_it_says() {
    let mut script = Script::of(Daemon::start());
    script.run(PEOPLE);
    script.run(SECRETS);
    script.run(DAEMON);
    script.run(PERMISSIONS);
    for row in TABLE {
        for json in [false, true] {
            assert!(script.seen.contains(&(row.name.to_owned(), json)), "{} is in no script (json: {json})", row.name);
        }
    }
    expect_sound(&script.daemon);
}

/// The administrator's first minutes: nobody is there who could give anybody a role.
#[test]
fn the_first_admin_comes_from_the_daemons_own_user() {
    let mut script = Script::of(Daemon::start());
    script.run(
        r#"
        $ person list
        $ --as BOSS person list ! 1 not_found
        $ person create BOSS --role superuser
            pk→<BOSS>
            callsign→BOSS
            extra→{}
            supervisor→
            certificate→false
            revocation→
            created→..
            updated→..
            deleted→
        $ --as BOSS --json person create DOG
            {"pk":"<DOG>",..}
        $ --as DOG --json person create CAT ! 1 permission_denied
            {"error":{"code":"permission_denied",..}}
        $ --as DOG role assign DOG superuser ! 1 permission_denied
        $ --as boss role assign DOG admin
            true
        $ --as DOG --json person create CAT
            {"pk":"<CAT>",..}
        $ --as DOG role assign DOG superuser ! 1 permission_denied
        $ --as $BOSS role list DOG
            admin
        $ changes list --json --since 1 --limit 1
            {"items":[{"seq":2,..,"subjects":["$DOG"],"actor":"$BOSS",..}],"next":..
    "#,
    );
    expect_sound(&script.daemon);
}

#[test]
fn a_key_makes_a_repeated_command_harmless() {
    let daemon = Daemon::start();
    let key = "019aab01-997b-774b-bfff-ffffffffffff";
    let spend = |key: &str| daemon.enrollctl(&["token", "use", "--json", "--key", key], "nonce");
    let first = spend(key);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(spend(key), first);
    assert!(spend("019aab01-997b-774b-bfff-fffffffffffe").stderr.contains("token_reuse"));
    let other = daemon.enrollctl(&["token", "use", "--key", key], "another nonce");
    assert!(other.stderr.contains("key_reused"), "{other:?}");
    let no_key = daemon.enrollctl(&["token", "use", "--key", "x"], "nonce");
    assert_eq!(no_key.code, Some(2), "{no_key:?}");
    assert_eq!(count(&daemon, "token"), 1);
}

/// Gives this secret on the command line of every verb that takes one.
fn expect_not_repeated(daemon: &Daemon, secret: &str) {
    let verbs = ["token use", "token get", "token delete", "code use", "code get", "code delete", "jwt verify"];
    let mut repeated = Vec::new();
    for verb in verbs {
        for json in [&["--json"][..], &[]] {
            let args: Vec<&str> = json.iter().copied().chain(verb.split(' ')).chain([secret]).collect();
            let output = daemon.enrollctl(&args, "");
            assert_eq!(output.code, Some(2), "{verb}: {}", output.stderr);
            if (output.stdout + &output.stderr).contains(&secret[..12]) {
                repeated.push(verb);
            }
        }
    }
    assert_eq!(repeated, Vec::<&str>::new());
}

#[test]
fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
    let daemon = Daemon::start();
    expect_not_repeated(&daemon, "CANARYCANARY");
    assert_eq!(count(&daemon, "token"), 0);
}

#[test]
fn a_secret_that_is_too_long_is_not_repeated_either() {
    expect_not_repeated(&Daemon::start(), &"CANARYCANARY".repeat(5000));
}

#[test]
fn who_reads_no_further_is_no_failure() {
    let daemon = Daemon::start();
    assert_eq!(daemon.enrollctl(&["person", "create", "BOSS"], "").code, Some(0));
    let calls = "{\"op\":\"person.list\"}\n".repeat(1000);
    let cases: [(&[&str], &str); 7] = [
        (&["person", "list"], ""),
        (&["person", "list", "--json"], ""),
        (&["server", "status"], ""),
        (&["call"], &calls),
        (&["completions", "bash"], ""),
        (&["--help"], ""),
        (&["person", "create", "--help"], ""),
    ];
    for (args, stdin) in cases {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = run_into(&mut daemon.home.enrollctl(args), stdin, Stdio::from(writer));
        assert_eq!(output.code, Some(0), "{args:?}: {output:?}");
        assert_eq!(output.stderr, "", "{args:?}");
    }
}

#[test]
fn a_pipe_gets_no_colours_whatever_the_environment_says() {
    let daemon = Daemon::start();
    assert_eq!(daemon.enrollctl(&["person", "create", "BOSS"], "").code, Some(0));
    let variables = [("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1"), ("FORCE_COLOR", "1"), ("TERM", "xterm-256color")];
    for args in
        [&["person", "get", "BOSS"][..], &["person", "list"], &["person", "get", "x"], &["role", "list", "BOSS"]]
    {
        let plain = run(&mut daemon.home.enrollctl(args), "");
        assert!(!(plain.stdout.clone() + &plain.stderr).contains('\u{1b}'), "{args:?}: {plain:?}");
        for (name, value) in variables {
            assert_eq!(run(daemon.home.enrollctl(args).env(name, value), ""), plain, "{args:?} with {name}");
        }
    }
}
