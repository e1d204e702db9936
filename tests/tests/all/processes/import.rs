//! Imports of other systems' files: every kind, bad rows, a second run, an edited file, a run that is killed in the middle,
//! and the result as the file of the next run.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use enroll_tests::process::{Daemon, Output};
use serde_json::{Value, json};

use super::{count, expect_sound};

/// A daemon with the people BOSS and CAT, and the options that map a file with other columns to people.
fn daemon() -> Daemon {
    let daemon = Daemon::start();
    expect(&import(&daemon, &["people", "-"], "callsign\nBOSS\nCAT\n"), 0, "2 rows: 2 carried, 0 there already");
    daemon
}

fn import(daemon: &Daemon, args: &[&str], rows: &str) -> Output {
    daemon.enrollctl(&[&["import"], args].concat(), rows)
}

fn expect(output: &Output, code: i32, words: &str) {
    assert_eq!(output.code, Some(code), "{output:?}");
    assert!(output.stderr.contains(words), "{words} is not in {output:?}");
}

fn get(daemon: &Daemon, args: &[&str], stdin: &str) -> Value {
    daemon.enrollctl(&[args, &["--json"]].concat(), stdin).json()
}

/// The rows of JSON lines with the line of the counts.
fn lines(output: &Output) -> Vec<Value> {
    output.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn people_come_with_roles_extra_old_times_and_deletions() {
    let daemon = Daemon::start();
    let rows = "login;team;roles;created;gone\nA;red;member,crew;2021-05-01 09:00:00+00;\nB;;{member};1619859600;f\n\
                C;\"x;y\";member;;2022-01-01T00:00:00Z\n;red;;;\nD;red;No Role;;\nE;red;;soon;\na;red;;;\n";
    let args = ["people", "-", "--delimiter", ";", "--map", "callsign=login", "--map", "extra.team=team"];
    let args = [&args[..], &["--map", "deleted=gone"]].concat();
    let tried = import(&daemon, &[&args[..], &["--dry-run"]].concat(), rows);
    expect(&tried, 1, "7 rows: 4 would be carried, 0 there already, 3 refused");
    assert_eq!(get(&daemon, &["person", "list"], "")["items"], json!([]));
    let done = import(&daemon, &args, rows);
    expect(&done, 1, "7 rows: 4 carried, 0 there already, 3 refused, 0 can not be carried");
    let told: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(
        told[0],
        "login;team;roles;created;gone;import.line;import.result;import.code;import.message;import.new"
    );
    for (line, words) in told[1..].iter().zip([
        ";red;;;;5;refused;invalid_argument;callsign: the row has none",
        "D;red;No Role;;;6;refused;invalid_argument;\"roles: ",
        "a;red;;;;8;refused;invalid_argument;\"the same record stands in the file before",
    ]) {
        assert!(line.starts_with(words), "{line}");
    }
    let a = get(&daemon, &["person", "get", "A"], "");
    assert_eq!(a["roles"], json!(["crew", "member"]));
    assert_eq!(a["extra"], json!({"team": "red", "imported": {"created": "2021-05-01T09:00:00.000000Z"}}));
    let b = get(&daemon, &["person", "get", "B"], "");
    assert_eq!(b["extra"]["imported"]["created"], a["extra"]["imported"]["created"]);
    let c = get(&daemon, &["person", "get", "C", "--allow-deleted"], "");
    assert!(c["deleted"].is_string() && c["extra"]["team"] == "x;y", "{c}");
    // What is no time is kept as it is.
    assert_eq!(get(&daemon, &["person", "get", "E"], "")["extra"]["imported"]["created"], "soon");
    expect(&import(&daemon, &args, rows), 1, "7 rows: 0 carried, 4 there already, 3 refused");
    expect_sound(&daemon);
}

#[test]
fn an_edited_file_brings_what_is_new_and_names_what_differs() {
    let daemon = daemon();
    let edited = "callsign,roles,extra,deleted\nNEW,,,\ncat,,\"{\"\"team\"\":\"\"red\"\"}\",\nBOSS,member,,\n";
    let done = import(&daemon, &["people", "-", "--json"], edited);
    expect(&done, 1, "");
    let told = lines(&done);
    assert_eq!(told[2], json!({"rows": 3, "carried": 1, "there": 0, "refused": 2, "not_carried": 0}));
    for (row, words) in told.iter().zip(["another extra", "not the role member"]) {
        assert_eq!(row["import"]["code"], "conflict");
        assert!(row["import"]["message"].as_str().is_some_and(|why| why.contains(words)), "{row}");
    }
    let deleted = "callsign,deleted\nCAT,t\nBOSS,\n";
    expect(&import(&daemon, &["people", "-"], deleted), 0, "2 rows: 1 carried, 1 there already");
    expect(&import(&daemon, &["people", "-"], deleted), 0, "2 rows: 0 carried, 2 there already");
    expect(&import(&daemon, &["people", "-"], "callsign\nCAT\n"), 1, "1 refused");
    daemon.enrollctl(&["enrollment", "create", "TAKEN"], "");
    let taken = import(&daemon, &["people", "-"], "callsign\nTAKEN\n");
    assert!(taken.stdout.contains("callsign_reserved"), "{taken:?}");
}

#[test]
fn roles_are_given_once() {
    let daemon = daemon();
    let rows = "{\"who\":{\"name\":\"BOSS\"},\"role\":\"crew\"}\n\n{\"who\":{\"name\":\"NOBODY\"},\"role\":\"crew\"}\n{\"who\"\n";
    let args = ["roles", "-", "--map", "person=who.name", "--json"];
    let told = lines(&import(&daemon, &args, rows));
    assert_eq!(
        told[0]["import"],
        json!({"line": "3", "result": "refused", "code": "not_found",
        "message": told[0]["import"]["message"]})
    );
    assert_eq!((&told[1]["import"]["line"], &told[1]["import"]["code"]), (&json!("4"), &json!("invalid_argument")));
    assert_eq!(told[2], json!({"rows": 3, "carried": 1, "there": 0, "refused": 2, "not_carried": 0}));
    assert_eq!(lines(&import(&daemon, &args, rows))[2]["there"], 1);
    assert_eq!(daemon.enrollctl(&["role", "has", "BOSS", "crew"], "").code, Some(0));
}

#[test]
fn pools_and_enrollments_come_with_their_codes_and_states() {
    let daemon = daemon();
    let pools = "owner,invitecode,active,max_uses,uses,deleted,extra\nBOSS,K7QWM2XA,t,,,,\"{\"\"team\"\":\"\"red\"\"}\"\n\
                 CAT,K7QWM2XB,f,40,7,,\nCAT,K7QWM2XC,t,,,t,\nNOBODY,K7QWM2XD,t,,,,\nBOSS,short,t,,,,\n";
    let opened = import(&daemon, &["pools", "-", "--set", "active=true"], pools);
    expect(&opened, 1, "5 rows: 2 carried, 0 there already, 2 refused, 1 can not be carried");
    let rows = "callsign,pool,state,decided_on,reason\nE0,K7QWM2XA,0,,\nE1,K7QWM2XB,APPROVED,2021-05-01 09:00:00+00,\n\
                E2,,rejected,,not one of us\nCAT,,1,,\nE4,NOCODE99,,,\nE5,,maybe,,\n";
    let directory = tempfile::tempdir().expect("a directory");
    let result = directory.path().join("result.csv");
    let result = result.to_str().expect("a path");
    let done = import(&daemon, &["enrollments", "-", "--result", result], rows);
    expect(&done, 1, "6 rows: 3 carried, 0 there already, 2 refused, 1 can not be carried");
    assert_eq!(done.stdout, "");
    let told = fs::read_to_string(result).expect("a result");
    let row = |at: usize| told.lines().nth(at).unwrap_or_default().to_owned();
    let code = row(1).rsplit(',').next().unwrap_or_default().to_owned();
    let e0 = get(&daemon, &["enrollment", "get", "E0"], "");
    assert_eq!(
        (&e0["approvecode"], &e0["state"], &e0["extra"]),
        (&json!(code), &json!("pending"), &json!({"team": "red"}))
    );
    let e1 = get(&daemon, &["enrollment", "get", "E1"], "");
    assert_eq!(
        (&e1["state"], &e1["extra"]["imported"]["decided_on"]),
        (&json!("approved"), &json!("2021-05-01T09:00:00.000000Z"))
    );
    assert_eq!(daemon.enrollctl(&["person", "get", "E1"], "").code, Some(0));
    assert_eq!(get(&daemon, &["enrollment", "get", "E2"], "")["reason"], "not one of us");
    assert!(row(4).contains(",not_carried,,its person is there"), "{told}");
    assert!(row(5).contains(",refused,not_found,"), "{told}");
    expect(&import(&daemon, &["pools", "-"], pools), 1, "5 rows: 1 carried, 1 there already, 2 refused, 1 can not");
    assert_eq!(get(&daemon, &["pool", "get", "K7QWM2XB"], "")["usable"], "inactive");
    expect(&import(&daemon, &["pools", "-"], pools), 1, "5 rows: 0 carried, 2 there already, 2 refused, 1 can not");
    // A later file brings a decision and a deletion, and nothing that contradicts.
    let later = "callsign,state\nE0,approved\nE1,approved\nE2,pending\n";
    expect(&import(&daemon, &["enrollments", "-"], later), 1, "3 rows: 1 carried, 1 there already, 1 refused");
    let closed = import(&daemon, &["pools", "-"], &pools.replace("K7QWM2XA,t,,,,", "K7QWM2XA,t,,,t,"));
    expect(&closed, 1, "5 rows: 1 carried, 1 there already");
    assert_eq!(daemon.enrollctl(&["pool", "check", "K7QWM2XA"], "").code, Some(1));
    // A right code in a row that is refused is no guess, and a wrong one is one guess for the whole file.
    let people: String = (0..40).map(|at| format!("M{at}\n")).collect();
    expect(&import(&daemon, &["people", "-"], &format!("callsign\n{people}")), 0, "40 carried");
    let by = |code: &str| people.lines().map(|name| format!("{name},{code},approved\n")).collect::<String>();
    let rows = format!("callsign,pool,state\n{}", by("K7QWM2XB"));
    expect(&import(&daemon, &["enrollments", "-"], &rows), 0, "40 can not be carried");
    let rows = format!("callsign,pool,state\n{}", by("NOCODE98").replace('M', "N"));
    let wrong = import(&daemon, &["enrollments", "-"], &rows);
    expect(&wrong, 1, "40 refused");
    assert!(!wrong.stdout.contains("too_many_attempts"), "{wrong:?}");
    let other = import(&daemon, &["pools", "-"], "owner,invitecode,max_uses\nBOSS,K7QWM2XB,40\nCAT,K7QWM2XB,41\n");
    assert!(other.stdout.contains("CAT owns it"), "{other:?}");
    expect_sound(&daemon);
}

#[test]
fn tokens_are_spent_once_and_keep_when_they_were() {
    let daemon = daemon();
    let rows = "nonce,at,until,ip\nn-1,1619859600,2021-05-01T09:00:00Z,::1\nN-1,,2999-01-01T00:00:00Z,\n,,,\n";
    let args = ["tokens", "-", "--map", "token=nonce", "--map", "created=at", "--map", "expires=until"];
    let done = import(&daemon, &args, rows);
    expect(&done, 1, "3 rows: 2 carried, 0 there already, 1 refused");
    expect(&done, 1, "no field takes these columns: ip");
    expect(&import(&daemon, &args, rows), 1, "3 rows: 0 carried, 2 there already, 1 refused");
    let used = daemon.enrollctl(&["token", "use"], "n-1");
    assert!(used.code == Some(1) && used.stderr.contains("token_reuse"), "{used:?}");
    let at = "2021-05-01T09:00:00.000000Z";
    let token = get(&daemon, &["token", "get"], "n-1");
    assert_eq!(token["audit"], json!({"imported": {"created": at, "expires": at}}));
}

#[test]
fn open_login_codes_get_new_codes_and_none_gets_two() {
    let daemon = daemon();
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("a path").to_owned();
    let rows = "{\"code\":\"OLD1\",\"claims\":{\"sub\":\"CAT\"}}\n{\"code\":\"OLD2\",\"claims\":{\"sub\":\"CAT\"},\"used_on\":1619859600}\n\
                {\"code\":\"OLD3\",\"claims\":{\"iss\":\"x\"}}\n{\"code\":\"OLD4\",\"claims\":{\"sub\":\"CAT\"},\"expires\":1619859600}\n\
                {\"code\":\"OLD5\"}\n";
    let refused = import(&daemon, &["codes", "-"], rows);
    expect(&refused, 2, "give --result FILE");
    expect(&import(&daemon, &["codes", "-", "--dry-run"], rows), 1, "1 would be carried");
    let first = import(&daemon, &["codes", "-", "--result", &path("1")], rows);
    expect(&first, 1, "5 rows: 1 carried, 0 there already, 2 refused, 2 can not be carried");
    let mode = fs::metadata(path("1")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let new = |name: &str| {
        let told = fs::read_to_string(path(name)).expect("a result");
        let row: Value = serde_json::from_str(told.lines().next().expect("a row")).expect("JSON");
        row["import"]["new"].as_str().unwrap_or_default().to_owned()
    };
    let code = new("1");
    // A run that lost its result gets the same code; the result as the file keeps it; another row with the code gets none.
    expect(&import(&daemon, &["codes", "-", "--result", &path("2")], rows), 1, "1 carried");
    expect(&import(&daemon, &["codes", &path("1"), "--result", &path("3")], ""), 1, "0 carried, 1 there already");
    let edited = rows.replacen("CAT", "BOSS", 1);
    expect(&import(&daemon, &["codes", "-", "--result", &path("4")], &edited), 1, "0 carried, 1 there already");
    assert_eq!([new("2"), new("3"), new("4")], [code.clone(), code.clone(), String::new()]);
    let used = get(&daemon, &["code", "use"], &code);
    assert_eq!(used["claims"], json!({"sub": "CAT"}));
    expect(&import(&daemon, &["codes", "-", "--result", &path("4")], rows), 2, "exists");
}

#[test]
fn the_result_is_the_file_of_the_next_run() {
    let daemon = daemon();
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("a path").to_owned();
    let pools = "owner,invitecode\nBOSS,K7QWM2XA\nLATER,K7QWM2XB\n";
    expect(
        &import(&daemon, &["pools", "-", "--result", &path("1")], pools),
        1,
        "1 carried, 0 there already, 1 refused",
    );
    expect(&import(&daemon, &["people", "-"], "callsign\nLATER\n"), 0, "1 carried");
    let head = daemon.enrollctl(&["changes", "head", "--field", "seq"], "").stdout;
    expect(&import(&daemon, &["pools", &path("1"), "--dry-run"], ""), 0, "1 would be carried, 1 there already");
    assert_eq!(daemon.enrollctl(&["changes", "head", "--field", "seq"], "").stdout, head);
    expect(&import(&daemon, &["pools", &path("1"), "--result", &path("2")], ""), 0, "1 carried, 1 there already");
    let second = fs::read_to_string(path("2")).expect("a result");
    let rows = "BOSS,K7QWM2XA,2,carried,,,\nLATER,K7QWM2XB,3,carried,,,\n";
    assert_eq!(
        second,
        format!("owner,invitecode,import.line,import.result,import.code,import.message,import.new\n{rows}")
    );
    expect(&import(&daemon, &["pools", &path("2")], ""), 0, "0 carried, 2 there already");
}

#[test]
fn a_file_or_a_mapping_that_is_none_is_refused_whole() {
    let daemon = daemon();
    for (args, rows, code, words) in [
        (&["people", "-"][..], "name\nA\n", 2, "no column callsign, which fills callsign; it has name; map it"),
        (&["people", "-"], "callsign;team\nA;x\n", 2, "see --delimiter"),
        (&["people", "-", "--map", "extra.team=team"], "callsign\nA\n", 2, "no column team, which fills extra.team"),
        (&["people", "-", "--map", "name=callsign"], "callsign\nA\n", 2, "there is no field name"),
        (&["people", "-", "--map", "callsign=a", "--set", "callsign=b"], "a\nA\n", 2, "given twice"),
        (&["people", "-"], "callsign,callsign\nA,B\n", 2, "twice"),
        (&["people", "-"], "", 2, "names no column"),
        (&["people", "-"], "callsign\n", 1, "a header alone is no row"),
        (&["people", "-", "--key", "019aab01-997b-774b-bfff-ffffffffffff"], "callsign\nA\n", 2, "has no --key"),
        (&["people", "/nonexistent/people.csv"], "", 2, "/nonexistent/people.csv"),
        (&["people", "-", "--format", "csv"], "{\"callsign\":\"A\"}\n", 2, "no column callsign"),
        (&["events", "-"], "", 2, "invalid value"),
    ] {
        expect(&import(&daemon, args, rows), code, words);
    }
    let long = format!("callsign,extra.x\nA,{}\nB,\n", "x".repeat(70_000));
    let done = import(&daemon, &["people", "-", "--map", "extra.x=extra.x"], &long);
    expect(&done, 1, "2 rows: 1 carried, 0 there already, 1 refused");
    assert!(done.stdout.contains("65536 bytes"), "{done:?}");
}

/// The command is killed after a part of its rows, and then the daemon under the next one.
#[test]
fn an_import_that_is_killed_half_way_goes_on() {
    const ROWS: usize = 3_000;
    let mut daemon = Daemon::start();
    // Many times the length of what is read at once.
    let note = "x".repeat(200);
    let rows: String = (0..ROWS).map(|row| format!("P{row:05},{note}\n")).collect();
    let rows = format!("callsign,extra.note\n{rows}");
    let directory = tempfile::tempdir().expect("a directory");
    let result = directory.path().join("result.csv");
    let args = ["import", "people", "-", "--map", "extra.note=extra.note"];
    let mut command = daemon.home.enrollctl(&args);
    command.arg("--result").arg(&result);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("started");
    let mut input = child.stdin.take().expect("a pipe");
    // Half of the file comes, and no end.
    input.write_all(&rows.as_bytes()[..rows.len() / 2]).expect("written");
    enroll_tests::poll::until("some rows", || fs::read_to_string(&result).is_ok_and(|told| told.lines().count() > 300));
    child.kill().expect("killed");
    child.wait().expect("ended");
    drop(input);
    assert!(count(&daemon, "person") < ROWS as u64);
    let before = count(&daemon, "person");
    let mut command = daemon.home.enrollctl(&args);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let mut input = child.stdin.take().expect("a pipe");
    let (most, rest) = rows.as_bytes().split_at(rows.len() * 3 / 4);
    input.write_all(most).expect("written");
    enroll_tests::poll::until("more rows", || count(&daemon, "person") > before + 100);
    daemon.kill9();
    daemon.restart();
    // A command that has ended says why, below.
    let _ = input.write_all(rest);
    drop(input);
    let done = child.wait_with_output().expect("ended");
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && told.contains("0 refused"), "{told}");
    assert_eq!(count(&daemon, "person"), ROWS as u64);
    expect(&import(&daemon, &args[1..], &rows), 0, &format!("{ROWS} rows: 0 carried, {ROWS} there already"));
    expect_sound(&daemon);
}
