//! Health under systemd, in a Debian that is booted for it: what `doctor` finds on a machine where something is wrong,
//! the log in the journal by its fields, and the timers that write metrics and heads of the chain of changes.

use enroll_tests::booted::{Booted, Missing};
use enroll_tests::process::Output;
use enroll_tests::skip::{skipped, unsupported};
use serde_json::Value;

/// Installs what was built, by hand, and starts it. Alice is in the group and was logged in before; mallory is not.
pub(super) const INSTALL: &str = "
    install target/release/enrolld target/release/enrollctl /usr/bin
    install -m 644 systemd/enrolld*.service systemd/enrolld*.socket systemd/enrolld*.timer \
        systemd/enrolld*.target /etc/systemd/system
    useradd --create-home alice; useradd mallory
    echo 'm alice enrolld' | systemd-sysusers $PWD/systemd/sysusers.d/enrolld.conf -
    mkdir -p /etc/enrolld
    printf '[grants]\\noperate = [\"group:enrolld\"]\\n' > /etc/enrolld/enrolld.toml
    sh -Cc 'umask 077; head -c 32 /dev/urandom | base64 > /etc/enrolld/enrolld.key'
    systemctl daemon-reload
    systemctl start enrolld.socket enrolld.service";

const AS_ALICE_BEFORE: &str = "setpriv --reuid=alice --regid=alice --clear-groups enrollctl doctor --json";
const AS_MALLORY: &str = "setpriv --reuid=mallory --regid=mallory --clear-groups enrollctl doctor --json";

/// Something that is wrong, how it is put right, and the topics that root's doctor finds meanwhile: causes alone.
const WRONG: &[(&str, &str, &[&str])] = &[
    (
        "sleep 1; echo '# a change' >> /etc/systemd/system/enrolld.service",
        "sed -i '/^# a change/d' /etc/systemd/system/enrolld.service; systemctl daemon-reload",
        &["changed_unit", "unread_unit"],
    ),
    (
        "mkdir -p /usr/lib/systemd/system; cp /etc/systemd/system/enrolld.service /usr/lib/systemd/system",
        "rm /usr/lib/systemd/system/enrolld.service",
        &["shadowed_unit"],
    ),
    ("chmod 640 /etc/enrolld/enrolld.key", "chmod 600 /etc/enrolld/enrolld.key", &["key_open"]),
    ("chmod 755 /var/lib/enrolld", "chmod 700 /var/lib/enrolld", &["state_directory"]),
    (
        "echo 'sokcet = 1' >> /etc/enrolld/enrolld.toml; systemctl restart enrolld 2>&1 || true",
        "sed -i '/sokcet/d' /etc/enrolld/enrolld.toml; systemctl reset-failed enrolld.socket enrolld.service; \
         systemctl reload-or-restart enrolld.service",
        &["configuration"],
    ),
    (
        "mv /etc/enrolld/enrolld.key /srv; systemctl restart enrolld 2>&1 || true",
        "mv /srv/enrolld.key /etc/enrolld; systemctl reset-failed enrolld.socket enrolld.service; \
         systemctl start enrolld.socket enrolld.service",
        &["key_missing"],
    ),
    (
        "systemctl stop enrolld.socket enrolld.service",
        "systemctl start enrolld.socket enrolld.service",
        &["socket_unit"],
    ),
];

/// Plays a script as root that must go well.
fn play(machine: &Booted, script: &str) -> String {
    let Output { stdout, stderr, code } = machine.play("root", script);
    if code != Some(0) {
        let log = machine.play("root", "journalctl --no-pager -n 40").stdout;
        panic!("{code:?} of\n{script}\n{stdout}\n{stderr}\n{log}");
    }
    stdout
}

/// The topics of the errors and warnings of a report, and the report.
fn wrong(machine: &Booted, doctor: &str) -> (Vec<String>, Value) {
    let report = machine.play("root", doctor);
    let json = report.json();
    let findings = json["findings"].as_array().expect("findings").iter();
    let wrong = findings.filter(|finding| finding["severity"] != "notice");
    let topics: Vec<String> = wrong.map(|finding| finding["topic"].as_str().expect("a topic").to_owned()).collect();
    assert_eq!(report.code, Some(i32::from(!topics.is_empty())), "{report:?}");
    (topics, json)
}

#[test]
fn the_doctor_finds_what_is_wrong_on_a_machine_with_systemd() {
    const TEST: &str = "the_doctor_finds_what_is_wrong_on_a_machine_with_systemd";
    let machine = match Booted::start() {
        Ok(machine) => machine,
        Err(Missing::Tool(needs)) => return skipped(TEST, &needs),
        Err(Missing::Host(why)) => return unsupported(TEST, &why),
    };
    play(&machine, INSTALL);
    assert_eq!(wrong(&machine, "enrollctl doctor --json").0, [""; 0], "{}", play(&machine, "enrollctl doctor --json"));
    for (breaking, mending, expected) in WRONG {
        play(&machine, breaking);
        let (topics, report) = wrong(&machine, "enrollctl doctor --json");
        assert_eq!(topics, *expected, "{breaking}: {report}");
        play(&machine, mending);
        let (topics, report) = wrong(&machine, "enrollctl doctor --json");
        assert_eq!(topics, [""; 0], "{mending}: {report}");
    }
    visitors(&machine);
    journal(&machine);
    heads(&machine);
    metrics(&machine);
}

fn visitors(machine: &Booted) {
    let (topics, report) = wrong(machine, AS_ALICE_BEFORE);
    assert_eq!(topics, ["group_login"], "{report}");
    let mend = report["findings"][0]["mend"].as_str().expect("a command");
    assert!(mend.ends_with("sg enrolld -c 'enrollctl doctor'"), "{mend}");
    let command = mend.split_once("sg ").expect("a command").1;
    let mended = machine.play("alice", &format!("sg {command}"));
    assert_eq!(mended.code, Some(0), "{mended:?}");
    let (topics, report) = wrong(machine, AS_MALLORY);
    assert_eq!(topics, ["socket_access"], "{report}");
    assert_eq!(report["findings"][0]["mend"], "sudo usermod -aG enrolld mallory, and log in again");
}

fn journal(machine: &Booted) {
    let lines = play(machine, "journalctl -u enrolld -o json --no-pager ENROLLD_SOCKET=/run/enrolld/enrolld.sock");
    let listening: Value = serde_json::from_str(lines.lines().last().expect("a line")).expect("JSON");
    for (field, expected) in [
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "enrolld"),
        ("_SYSTEMD_UNIT", "enrolld.service"),
        ("ENROLLD_DATABASE", "/var/lib/enrolld/enrolld.redb"),
    ] {
        assert_eq!(listening[field], expected, "{field}: {listening}");
    }
    let message = listening["MESSAGE"].as_str().expect("a text");
    assert!(message.starts_with("listening ") && message.contains("socket=/run/enrolld"), "{message}");
    let stopped = play(machine, "journalctl -u enrolld --no-pager -o cat | grep '^stopped in good order'");
    assert!(stopped.contains("uptime_seconds="), "{stopped}");
    let failed = play(machine, "journalctl -u enrolld -p err --no-pager -o cat");
    assert!(failed.contains("sokcet"), "an error before the log begins has its priority: {failed}");
}

/// Heads go into the journal by their timer and are compared later, as docs/security.md says. One that was made up is found.
fn heads(machine: &Booted) {
    play(machine, "systemctl enable --now enrolld-head.timer 2>&1; systemctl is-active enrolld-head.timer");
    let kept = "journalctl --identifier enrolld-head --output cat --no-pager >heads";
    for name in ["HEAD01a", "HEAD02b"] {
        play(machine, &format!("enrollctl person create {name}; systemctl start enrolld-head.service"));
    }
    let heads = play(machine, &format!("journalctl --sync; {kept}; cat heads"));
    let heads: Vec<Value> = heads.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let seq = |at: usize| heads[at]["seq"].as_u64().expect("a number");
    assert!(heads.len() == 2 && seq(1) > seq(0), "{heads:?}");
    play(machine, "enrollctl person create HEAD03c; enrollctl server check --head heads");
    play(machine, "sed -i 's/\"seq\":[0-9]*/\"seq\":1/' heads; ! enrollctl server check --head heads");
    play(machine, "systemctl disable --now enrolld-head.timer 2>&1");
}

fn metrics(machine: &Booted) {
    const FILE: &str = "/var/lib/prometheus/node-exporter/enrolld.prom";
    play(machine, "systemctl start enrolld-metrics.service");
    assert_eq!(machine.play("root", &format!("test -e {FILE}")).code, Some(1), "nobody reads it");
    // The directory may be another user's.
    play(machine, "mkdir -p /var/lib/prometheus/node-exporter && chown mallory /var/lib/prometheus/node-exporter");
    play(machine, "systemctl start enrolld-metrics.service && systemctl enable --now enrolld-metrics.timer 2>&1");
    play(machine, "systemctl is-active enrolld-metrics.timer");
    let text = play(machine, &format!("stat -c %a {FILE}; cat {FILE}"));
    assert!(text.starts_with("644\n") && text.contains("# TYPE enrolld_operations_total counter\n"), "{text}");
    play(machine, "systemctl stop enrolld.socket enrolld.service; systemctl start enrolld-metrics.service");
    let state = play(machine, "systemctl show -p ActiveState --value enrolld.service");
    assert_eq!(state, "inactive\n", "a daemon that was stopped stays down");
}
