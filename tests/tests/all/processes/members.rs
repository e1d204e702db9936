//! Members of a cluster on real etcds: names, clocks, what is trimmed and who comes too late, a full etcd.

use enroll_etcd::Txn;
use enroll_etcd::messages::RangeRequest;
use enroll_tests::cluster::enrolld_with_clock_off;
use enroll_tests::etcd::Etcd;
use enroll_tests::openmetrics::Exposition;
use enroll_tests::poll::until_within;
use enroll_tests::process::{Home, PATIENCE, Process, run, run_refused};
use enroll_tests::skip::is_installed;
use nix::sys::signal::Signal;
use tokio::runtime::Runtime;

/// A host of a cluster.
struct Host {
    home: Home,
    daemon: Option<Process>,
}

impl Host {
    /// A host whose member has this name, with more keys of `[cluster]`.
    fn new(name: &str, etcd: &Etcd, more: &str) -> Self {
        let home = Home::make();
        home.configure(&format!(
            "store = \"etcd\"\n[etcd]\nendpoints = {:?}\ntimeout_ms = 1500\nquota_mib = 64\n[cluster]\nmember = \
             \"{name}\"\nlease_seconds = 2\n{more}",
            etcd.endpoints()
        ));
        Self { home, daemon: None }
    }

    /// The same with the secret key of another one.
    fn with_key_of(self, other: &Self) -> Self {
        std::fs::create_dir(self.home.state_dir()).expect("a directory");
        let key = |host: &Self| host.home.state_dir().join("enrolld.key");
        std::fs::copy(key(other), key(&self)).expect("the same key");
        self
    }

    fn start(mut self) -> Self {
        self.daemon = Some(self.home.spawn());
        self
    }

    fn call(&self, args: &[&str]) -> Option<i32> {
        run(&mut self.home.enrollctl(args), "").code
    }

    /// Waits until it leads.
    fn await_lead(&self) {
        until_within(PATIENCE, "a leader", || {
            let told = run(&mut self.home.enrollctl(&["cluster", "status", "--json"]), "");
            told.code == Some(0) && told.json()["leader"] == told.json()["member"]
        });
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.home.path("log")).unwrap_or_default()
    }

    fn kill9(&mut self) {
        self.daemon.take().expect("a daemon").kill9();
        let _ = std::fs::remove_file(self.home.socket());
    }
}

/// The value of a key of etcd.
fn value(runtime: &Runtime, etcd: &Etcd, key: &str) -> Option<String> {
    let range = RangeRequest { key: key.as_bytes().to_vec(), ..RangeRequest::default() };
    let found = runtime.block_on(async { etcd.client().range(range).await }).expect("answered");
    found.kvs.first().map(|kv| String::from_utf8_lossy(&kv.value).into_owned())
}

fn started(test: &str, flags: &[&str]) -> Option<(Runtime, Etcd)> {
    let etcd = Etcd::start(test, 3, flags)?;
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(etcd.await_ready());
    Some((runtime, etcd))
}

#[test]
fn a_second_daemon_of_a_name_is_refused_and_one_that_was_killed_is_not() {
    let Some((runtime, etcd)) = started("a_second_daemon_of_a_name_is_refused_and_one_that_was_killed_is_not", &[])
    else {
        return;
    };
    let mut a = Host::new("a", &etcd, "").start();
    a.await_lead();
    let told = value(&runtime, &etcd, "enrolld/m/a").expect("a record");
    assert!(told.contains("\"version\"") && told.contains("\"clock\""), "{told}");
    let again = Host::new("a", &etcd, "").with_key_of(&a);
    let refused = run_refused(&mut again.home.enrolld());
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("is the member \"a\" already; give this one a name"), "{refused:?}");
    a.kill9();
    let a = a.start();
    a.await_lead();
    let mut process = a.daemon.expect("a daemon");
    process.signal(Signal::SIGTERM);
    assert_eq!(process.ended(PATIENCE), Some(0));
    assert_eq!(value(&runtime, &etcd, "enrolld/m/a"), None, "the name is given back");
}

#[test]
fn a_leader_hands_over_and_its_status_tells_of_all_members() {
    let test = "a_leader_hands_over_and_its_status_tells_of_all_members";
    let Some((runtime, etcd)) = started(test, &[]) else { return };
    let mut a = Host::new("a", &etcd, "").start();
    a.await_lead();
    let b = Host::new("b", &etcd, "").with_key_of(&a);
    let config = std::fs::read_to_string(b.home.path("enrolld.toml")).expect("read");
    b.home.configure(&format!("code_size = 16\n{config}"));
    let (mut b, mut c) = (b.start(), Host::new("c", &etcd, "").with_key_of(&a).start());
    let status = |of: &Host| run(&mut of.home.enrollctl(&["cluster", "status", "--json"]), "").json();
    until_within(PATIENCE, "members that have caught up", || {
        let status = status(&a);
        let lags = status["members"].as_array().expect("members").iter().map(|member| member["lag_records"].as_u64());
        lags.eq([Some(0); 3])
    });
    let told = status(&a);
    assert_eq!((told["member"].as_str(), told["leader"].as_str()), (Some("a"), Some("a")), "{told}");
    assert!(told["term"].as_u64() > Some(0) && told["journal_bytes"].as_u64() > Some(0), "{told}");
    assert_eq!(told["etcd"]["quota_bytes"].as_u64(), Some(64 << 20), "{told}");
    assert_eq!(told["members"][1]["differing_settings"], serde_json::json!(["code_size"]), "{told}");
    assert_eq!(told["members"][2]["differing_settings"], serde_json::json!([]), "{told}");
    // Each member looks at the others by its own timer, so one sees a new member later than another does.
    for (host, leads) in [(&a, 1.0), (&b, 0.0)] {
        assert_eq!(host.call(&["person", "list"]), Some(0), "a look at etcd");
        let metrics = || Exposition::read(&run(&mut host.home.enrollctl(&["server", "metrics"]), "").stdout);
        until_within(PATIENCE, "three members without a lag", || {
            let told = metrics();
            let value = |name: &str| told.sum(&format!("enrolld_cluster_{name}"));
            (value("leads"), value("members_here"), value("lag_records")) == (leads, 3.0, 0.0)
        });
        let told = metrics();
        let value = |name: &str| told.sum(&format!("enrolld_cluster_{name}"));
        assert!(value("term") > 0.0 && value("look_seconds_count") > 0.0, "{told:?}");
    }
    let nobody = run(&mut a.home.enrollctl(&["--json", "cluster", "hand-over", "d"]), "");
    assert_eq!(nobody.json().pointer("/error/code").and_then(|code| code.as_str()), Some("not_found"), "{nobody:?}");
    let itself = run(&mut a.home.enrollctl(&["--json", "cluster", "hand-over", "a"]), "");
    assert_eq!((itself.code, itself.stdout.trim()), (Some(0), "null"), "it leads already");
    // The one that is named leads, and not the one that is faster.
    for (from, to) in [("a", "c"), ("c", "b")] {
        let host = if from == "a" { &mut a } else { &mut c };
        let handed = run(&mut host.home.enrollctl(&["--json", "cluster", "hand-over", to]), "");
        assert_eq!((handed.code, handed.stdout.trim()), (Some(0), &*format!("\"{from}\"")), "{handed:?}");
        let mut ended = host.daemon.take().expect("a daemon");
        assert_eq!(ended.ended(PATIENCE), Some(7));
        until_within(PATIENCE, "a leader", || {
            value(&runtime, &etcd, "enrolld/leader").is_some_and(|leader| leader != from)
        });
        assert_eq!(value(&runtime, &etcd, "enrolld/leader").as_deref(), Some(to));
    }
    b.await_lead();
    assert_eq!(b.call(&["person", "create", "CAT"]), Some(0));
    b.kill9();
}

#[test]
fn a_member_whose_clock_is_off_leads_only_where_no_other_can_and_records_the_step() {
    let test = "a_member_whose_clock_is_off_leads_only_where_no_other_can_and_records_the_step";
    if !is_installed(test, "faketime") {
        return;
    }
    let Some((runtime, etcd)) = started(test, &[]) else { return };
    let mut a = Host::new("a", &etcd, "").start();
    a.await_lead();
    assert_eq!(a.call(&["person", "create", "CAT"]), Some(0), "a time to compare with");
    let mut b = Host::new("b", &etcd, "").with_key_of(&a);
    b.daemon = Some(Process::start(&mut enrolld_with_clock_off(&b.home, -3600), &b.home.path("log")));
    until_within(PATIENCE, "b", || value(&runtime, &etcd, "enrolld/m/b").is_some());
    let mut c = Host::new("c", &etcd, "").with_key_of(&a).start();
    until_within(PATIENCE, "c", || value(&runtime, &etcd, "enrolld/m/c").is_some());
    until_within(PATIENCE, "b says why it does not lead", || {
        b.log().contains("this member does not lead: its clock is at least 35")
    });
    a.kill9();
    until_within(PATIENCE, "another leader", || {
        value(&runtime, &etcd, "enrolld/leader").is_some_and(|leader| leader != "a")
    });
    assert_eq!(value(&runtime, &etcd, "enrolld/leader").as_deref(), Some("c"));
    c.await_lead();
    c.kill9();
    b.await_lead();
    until_within(PATIENCE, "the step", || {
        let status = run(&mut b.home.enrollctl(&["server", "status", "--json"]), "").json();
        status["clock"]["last_step_seconds"].as_i64().is_some_and(|step| (-3700..-3500).contains(&step))
    });
    b.kill9();
}

#[test]
fn a_journal_is_trimmed_and_a_member_that_comes_too_late_is_told_so() {
    let Some((runtime, etcd)) = started("a_journal_is_trimmed_and_a_member_that_comes_too_late_is_told_so", &[]) else {
        return;
    };
    let mut a = Host::new("a", &etcd, "copies = 1\nlog_mib = 1\n").start();
    a.await_lead();
    let mut b = Host::new("b", &etcd, "").with_key_of(&a).start();
    until_within(PATIENCE, "b", || value(&runtime, &etcd, "enrolld/k/b").is_some());
    b.kill9();
    let extra = format!("{{\"text\":\"{}\"}}", "x".repeat(12_000));
    let mut made = 0;
    let oldest = || {
        let range = RangeRequest {
            key: b"enrolld/j/".to_vec(),
            range_end: b"enrolld/j0".to_vec(),
            limit: 1,
            ..RangeRequest::default()
        };
        let found = runtime.block_on(async { etcd.client().range(range).await }).expect("answered");
        String::from_utf8_lossy(&found.kvs.first().expect("a record").key).into_owned()
    };
    while made < 20 {
        assert_eq!(a.call(&["person", "create", &format!("CAT{made}"), "--extra", &extra]), Some(0));
        made += 1;
    }
    assert_eq!(oldest(), "enrolld/j/0000000000000001", "the journal is short, and b has not got it");
    until_within(PATIENCE, "a trimmed journal", || {
        assert_eq!(a.call(&["person", "create", &format!("CAT{made}"), "--extra", &extra]), Some(0));
        made += 1;
        *oldest() > *"enrolld/j/0000000000000009"
    });
    let late = run_refused(&mut b.home.enrolld());
    assert_eq!(late.code, Some(5), "{late:?}");
    assert!(late.stderr.contains("it was away for too long"), "{late:?}");
    // The leader goes on after a crash, and with a backup of it the late one follows and leads.
    a.kill9();
    a = a.start();
    a.await_lead();
    let file = a.home.path("backup").display().to_string();
    assert_eq!(a.call(&["server", "backup", &file]), Some(0));
    let mut join = b.home.enrolld_with(&["restore", "--join", &file, "--config"]);
    join.arg(b.home.path("enrolld.toml")).arg("--state-dir").arg(b.home.state_dir());
    let joined = run(&mut join, "");
    assert_eq!(joined.code, Some(0), "{joined:?}");
    assert_eq!(a.call(&["person", "create", "DOG"]), Some(0));
    let exported = |host: &Host| run(&mut host.home.enrollctl(&["server", "export", "--with-secrets"]), "").stdout;
    let records = |text: String| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let of_a = records(exported(&a));
    b = b.start();
    until_within(PATIENCE, "b, which joins again", || value(&runtime, &etcd, "enrolld/m/b").is_some());
    a.kill9();
    b.await_lead();
    let of_b = records(exported(&b));
    assert!(of_a.len() > made && of_a == of_b, "{} and {} lines", of_a.len(), of_b.len());
    b.kill9();
}

#[test]
fn a_nearly_full_etcd_refuses_writes_before_its_alarm_and_goes_on_when_there_is_space() {
    let test = "a_nearly_full_etcd_refuses_writes_before_its_alarm_and_goes_on_when_there_is_space";
    let Some((runtime, etcd)) = started(test, &["--quota-backend-bytes", "67108864"]) else { return };
    let mut a = Host::new("a", &etcd, "").start();
    a.await_lead();
    let part = vec![b'x'; 100 << 10];
    for ten in 0..53 {
        let txn = (0..10).fold(Txn::new(), |txn, at| txn.put(format!("other/{ten:03}{at}"), part.clone(), 0));
        runtime.block_on(async { etcd.client().txn(txn).await }).expect("put");
    }
    let mut made = 0;
    let refused = loop {
        let output = run(&mut a.home.enrollctl(&["--json", "person", "create", &format!("CAT{made}")]), "");
        if output.code != Some(0) {
            break output;
        }
        made += 1;
        assert!(made < 500, "etcd is never full");
    };
    let code = refused.json().pointer("/error/code").and_then(|code| code.as_str()).map(str::to_owned);
    assert_eq!(code.as_deref(), Some("storage"), "{refused:?} {}", a.log());
    assert!(refused.stdout.contains("etcd is nearly full"), "{refused:?}");
    assert_eq!(a.call(&["person", "list"]), Some(0), "reads go on");
    runtime.block_on(async {
        let client = etcd.client();
        client.delete_range("other/", "other0").await.expect("deleted");
        let now = client.range(RangeRequest { key: b"x".to_vec(), ..RangeRequest::default() }).await.expect("answered");
        client.compact(now.header.expect("a header").revision).await.expect("compacted");
    });
    until_within(PATIENCE, "space", || a.call(&["person", "create", "DOG"]) == Some(0));
    a.kill9();
}
