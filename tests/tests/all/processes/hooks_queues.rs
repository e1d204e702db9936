//! Hooks with queues: the order of each event and of each pool, and the bound on commands that run at once.

use enroll_tests::hook::{Hook, SAY, record};
use enroll_tests::process::{Daemon, Home};

fn event(daemon: &Daemon, title: &str, pools: &[&str]) -> String {
    let fixed = ["--kind", "camp", "--owner", "BOSS", "--start", "2999-07-01T10:00:00Z", "--duration-minutes", "60"];
    let mut args = [&["event", "create", title, "--published", "true", "--field", "pk"], &fixed[..]].concat();
    pools.iter().for_each(|pool| args.extend(["--pool", pool]));
    daemon.done(&args)
}

/// People, all with the role `member`, and BOSS.
fn with_people(count: usize) -> Daemon {
    let daemon = Daemon::start();
    daemon.done(&["person", "create", "BOSS"]);
    (0..count).for_each(|number| {
        daemon.done(&["person", "create", &format!("P{number}"), "--role", "member"]);
    });
    daemon
}

/// The number of the latest change.
fn head(daemon: &Daemon) -> u64 {
    daemon.done(&["changes", "head", "--field", "seq"]).parse().expect("a number")
}

/// A script that fails for changes with this text until the file `mended` is there.
fn fails_for(home: &Home, text: &str) -> String {
    format!("if grep -q {text} && [ ! -e {:?} ]; then exit 1; else {SAY}; fi", home.path("mended"))
}

/// The order of queues: changes of the stuck key wait, all others are done in their order; killed and mended, none is done
/// twice.
fn expect_queues(daemon: &Daemon, per: &str, stuck: &str, own: &[u64], others: &[u64]) {
    let texts = |numbers: &[u64]| numbers.iter().map(u64::to_string).collect::<Vec<_>>();
    let script = fails_for(&daemon.home, stuck);
    let options = ["--per", per, "--filter", "area=registration"];
    let hook = Hook::start(&daemon.home, &[&options[..], &["--from", "start"]].concat(), &script);
    let mut said = hook.said_all(others.len());
    said.sort_by_key(|number| number.parse::<u64>().expect("a number"));
    assert_eq!(said, texts(others), "per {per}");
    hook.noted(&format!("{}: try 2 failed", own[0]));
    hook.kill9();
    let position = record(&daemon.home)["position"].as_u64().expect("a number");
    assert!(position < own[0], "all up to {position} are done, and {} is not", own[0]);
    std::fs::write(daemon.home.path("mended"), "").expect("written");
    let hook = Hook::start(&daemon.home, &options, &script);
    assert_eq!(hook.said_all(own.len()), texts(own), "per {per}: what was done ahead is not done again");
    assert_eq!(hook.stop(), (vec![], Some(0)));
    assert_eq!(record(&daemon.home)["position"].as_u64(), Some(head(daemon)));
}

#[test]
fn an_event_that_is_stuck_stops_itself_alone() {
    let daemon = with_people(3);
    let [camp, fair] = ["Camp", "Fair"].map(|title| event(&daemon, title, &[]));
    let before = head(&daemon);
    for person in ["P0", "P1", "P2"] {
        daemon.done(&["registration", "create", &camp, person]);
        daemon.done(&["registration", "create", &fair, person]);
    }
    let (own, others): (Vec<u64>, Vec<u64>) = (before + 1..=before + 6).partition(|seq| (seq - before) % 2 == 1);
    expect_queues(&daemon, "event", &camp, &own, &others);
}

#[test]
fn a_pool_that_is_stuck_stops_itself_alone() {
    let daemon = with_people(4);
    let pools =
        [r#"{"name":"members","capacity":9,"roles":["member"]}"#, r#"{"name":"crew","capacity":9,"roles":["crew"]}"#];
    ["P2", "P3"].iter().for_each(|person| {
        daemon.done(&["role", "remove", person, "member"]);
        daemon.done(&["role", "assign", person, "crew"]);
    });
    let camp = event(&daemon, "Camp", &pools);
    let pool = daemon.enrollctl(&["event", "get", &camp, "--json"], "").json()["pools"][0]["pk"]
        .as_str()
        .expect("a pk")
        .to_owned();
    let before = head(&daemon);
    for person in ["P0", "P2", "P1", "P3"] {
        daemon.done(&["registration", "create", &camp, person]);
    }
    expect_queues(&daemon, "pool", &pool, &[before + 1, before + 3], &[before + 2, before + 4]);
}

#[test]
fn so_many_commands_run_at_once_and_no_more() {
    const AT_ONCE: usize = 3;
    let daemon = with_people(8);
    let running = daemon.home.path("running");
    std::fs::create_dir(&running).expect("a directory");
    // Each command waits until as many run as may, and tells how many it saw. The last ones are fewer.
    let script = format!(
        "f={running:?}/$ENROLLD_CHANGE_SEQ; : >$f; until [ $(ls {running:?} | wc -l) -ge {AT_ONCE} ] || [ -e {:?} ]; do :; done; \
         ls {running:?} | wc -l; until [ -e {:?} ]; do :; done; rm $f",
        daemon.home.path("go"),
        daemon.home.path("go"),
    );
    let at_once = AT_ONCE.to_string();
    let options =
        ["--per", "person", "--parallel", &at_once, "--filter", "area=person", "verb=create", "--from", "start"];
    let hook = Hook::start(&daemon.home, &options, &script);
    let first = hook.said_all(AT_ONCE);
    assert_eq!(first, vec![at_once; AT_ONCE], "they run at the same time");
    assert_eq!(std::fs::read_dir(&running).expect("read").count(), AT_ONCE, "a fourth one waits");
    std::fs::write(daemon.home.path("go"), "").expect("written");
    let rest: Vec<usize> = hook.said_all(9 - AT_ONCE).iter().map(|count| count.parse().expect("a count")).collect();
    assert!(rest.iter().all(|count| (1..=AT_ONCE).contains(count)), "{rest:?}");
    let (_, code) = hook.stop();
    assert_eq!((code, record(&daemon.home)["position"].as_u64()), (Some(0), Some(head(&daemon))));
}
