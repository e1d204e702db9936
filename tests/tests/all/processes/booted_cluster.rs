//! A cluster of units, in a Debian that is booted for it: three etcds over TLS, a registry of one host that becomes a cluster,
//! a second daemon that joins it and forwards its writes, and what systemd does when one is killed or hands over.

use std::path::Path;

use enroll_tests::booted::{Booted, Missing};
use enroll_tests::openssl::OpenSsl;
use enroll_tests::poll::until_within;
use enroll_tests::process::{Output, PATIENCE};
use enroll_tests::skip::{skipped, unsupported};
use serde_json::Value;

use super::booted_health::INSTALL;

/// The programs of etcd.
const PROGRAMS: [&str; 2] = ["/usr/bin/etcd", "/usr/bin/etcdctl"];

/// The files of TLS that etcds and members have.
const TLS: [&str; 5] = ["ca.pem", "etcd.pem", "etcd.key", "member.pem", "member.key"];

/// Three etcds as units, of which each client needs a certificate, and a name with a password.
const ETCDS: &str = r#"
    cluster=m1=http://127.0.0.1:23801,m2=http://127.0.0.1:23802,m3=http://127.0.0.1:23803
    for n in 1 2 3; do
        systemd-run --quiet --unit=etcd-$n $PWD/etcd --name m$n --data-dir /srv/etcd-$n --snapshot-count 5000 \
            --listen-client-urls https://127.0.0.1:2379$n --advertise-client-urls https://127.0.0.1:2379$n \
            --cert-file $PWD/etcd.pem --key-file $PWD/etcd.key --client-cert-auth --trusted-ca-file $PWD/ca.pem \
            --listen-peer-urls http://127.0.0.1:2380$n --initial-advertise-peer-urls http://127.0.0.1:2380$n \
            --initial-cluster $cluster
    done
    export ETCDCTL_API=3 ETCDCTL_ENDPOINTS=https://127.0.0.1:23791,https://127.0.0.1:23792,https://127.0.0.1:23793
    export ETCDCTL_CACERT=$PWD/ca.pem ETCDCTL_CERT=$PWD/member.pem ETCDCTL_KEY=$PWD/member.key
    for n in 1 2 3 4 5 6 7 8 9; do ./etcdctl endpoint health && break; sleep 1; done
    ./etcdctl role add enrolld
    ./etcdctl role grant-permission enrolld --prefix=true readwrite enrolld/
    ./etcdctl user add enrolld:secret-of-etcd
    ./etcdctl user grant-role enrolld enrolld
    ./etcdctl user add root:root
    ./etcdctl auth enable
    install -m 644 ca.pem member.pem /etc/enrolld/
    install -m 640 -g enrolld member.key /etc/enrolld/
    (umask 077; echo secret-of-etcd > /etc/enrolld/etcd.password)"#;

/// The configuration and the drop-in of the first member, whose registry was its own. It may reach this machine alone.
const FIRST: &str = r#"
    enrollctl person create CAT02b
    printf nonce-before | enrollctl token use
    cat - /etc/enrolld/enrolld.toml > /etc/enrolld/new <<END
store = "etcd"
[etcd]
endpoints = ["https://127.0.0.1:23791", "https://127.0.0.1:23792", "https://127.0.0.1:23793"]
ca = "/etc/enrolld/ca.pem"
cert = "/etc/enrolld/member.pem"
key = "/etc/enrolld/member.key"
user = "enrolld"
[cluster]
member = "a"
listen = "127.0.0.1:7411"
lease_seconds = 2
END
    mv /etc/enrolld/new /etc/enrolld/enrolld.toml
    mkdir -p /usr/share/doc/enrolld/examples
    sed -e 's/^#LoadCredential/LoadCredential/; s/^IPAddressAllow=any/IPAddressAllow=localhost/' systemd/enrolld-cluster.conf > /usr/share/doc/enrolld/examples/enrolld-cluster.conf"#;

/// The second member on the same machine: a unit, a socket and a state directory of its own, made of the first one's.
const SECOND: &str = r#"
    sed 's/"a"/"b"/; s/7411/7412/' /etc/enrolld/enrolld.toml > /etc/enrolld/b.toml
    cd /etc/systemd/system
    for unit in service socket; do
        sed -e 's#/run/enrolld/#/run/enrolld-b/#; s#/var/lib/enrolld#/var/lib/enrolld-b#; s#enrolld.toml#b.toml#' \
            -e 's#enrolld\.socket#enrolld-b.socket#; s#^StateDirectory=enrolld#StateDirectory=enrolld-b#' \
            enrolld.$unit > enrolld-b.$unit
    done
    cp -r enrolld.service.d enrolld-b.service.d
    install -d -m 755 /run/enrolld-b
    install -d -m 700 -o enrolld -g enrolld /var/lib/enrolld-b
    systemctl daemon-reload
    enrollctl server backup - | enrolld restore --join - --config /etc/enrolld/b.toml --state-dir /var/lib/enrolld-b \
        --key-file /etc/enrolld/enrolld.key
    systemctl start enrolld-b.socket enrolld-b.service"#;

/// Begins the cluster.
const BEGIN: &str = "enrolld cluster begin --config /etc/enrolld/enrolld.toml --state-dir /var/lib/enrolld";

/// Plays a script as root that must go well.
fn play(machine: &Booted, script: &str) -> String {
    let Output { stdout, stderr, code } = machine.play("root", script);
    if code != Some(0) {
        let log = machine.play("root", "journalctl --no-pager -n 60 -u 'enrolld*' -u 'etcd*' -p 6").stdout;
        panic!("{code:?} of\n{script}\n{stdout}\n{stderr}\n{log}");
    }
    stdout
}

/// The topics of what doctor finds wrong.
fn found(machine: &Booted) -> Vec<String> {
    let told = machine.play("root", "enrollctl doctor --json").stdout;
    let report: Value = serde_json::from_str(&told).expect("a report");
    let found = report["findings"].as_array().expect("findings").iter();
    let wrong = found.filter(|finding| finding["severity"] != "notice");
    wrong.map(|finding| finding["topic"].as_str().expect("a topic").to_owned()).collect()
}

/// The member that leads, as this socket's daemon tells it.
fn leader(machine: &Booted, host: &str) -> String {
    let asked = format!("enrollctl --socket /run/{host}/enrolld.sock cluster status --json");
    let status: Value = serde_json::from_str(&machine.play("root", &asked).stdout).unwrap_or_default();
    status["leader"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn members_are_units_that_systemd_keeps_running() {
    const TEST: &str = "members_are_units_that_systemd_keeps_running";
    for program in PROGRAMS {
        if !Path::new(program).exists() {
            return skipped(TEST, &format!("needs {program}"));
        }
    }
    let Some(openssl) = OpenSsl::find(TEST) else { return };
    let machine = match Booted::start() {
        Ok(machine) => machine,
        Err(Missing::Tool(needs)) => return skipped(TEST, &needs),
        Err(Missing::Host(why)) => return unsupported(TEST, &why),
    };
    for program in PROGRAMS {
        machine.put(Path::new(program));
    }
    openssl.authority("ca");
    openssl.certify("etcd", "ca");
    openssl.certify("member", "ca");
    for file in TLS {
        machine.put(&openssl.path(file));
    }
    play(&machine, INSTALL);
    play(&machine, ETCDS);
    play(&machine, FIRST);

    // The unit as it is keeps the daemon from every network, and doctor says what mends it.
    play(&machine, "systemctl stop enrolld.socket enrolld.service");
    // Passwords are slow to verify, so etcds on a busy machine may not answer in time.
    let mut begun = machine.play("root", BEGIN);
    until_within(PATIENCE, "etcd answers", || {
        let is_answered = !begun.stderr.contains("does not answer");
        if !is_answered {
            begun = machine.play("root", BEGIN);
        }
        is_answered
    });
    assert!(begun.stdout.contains("begins a journal under \"enrolld/\""), "{begun:?}");
    play(&machine, "systemctl start enrolld.socket; systemctl --no-block start enrolld.service");
    assert!(found(&machine).contains(&"cluster_unit".to_owned()), "{:?}", found(&machine));
    play(
        &machine,
        "install -D -m 644 /usr/share/doc/enrolld/examples/enrolld-cluster.conf \
         /etc/systemd/system/enrolld.service.d/cluster.conf; systemctl daemon-reload; systemctl restart enrolld.service",
    );
    assert_eq!(found(&machine), Vec::<String>::new());
    let seen = play(&machine, "enrollctl doctor --json");
    assert!(seen.contains("it may reach etcd") && seen.contains("3 of 3 accept connections"), "{seen}");

    play(&machine, SECOND);
    let of_b = "export ENROLLD_SOCKET=/run/enrolld-b/enrolld.sock";
    play(&machine, &format!("{of_b}; enrollctl person get CAT02b"));
    play(&machine, "printf nonce-1 | enrollctl token use");
    play(&machine, &format!("{of_b}; printf nonce-b | enrollctl token use"));

    // Killed: the other one leads, and systemd starts this one again, which follows.
    play(&machine, "systemctl kill -s KILL enrolld.service");
    until_within(PATIENCE, "b leads", || leader(&machine, "enrolld-b") == "b");
    for nonce in ["nonce-before", "nonce-1", "nonce-b"] {
        let again = machine.play("root", &format!("{of_b}; printf {nonce} | enrollctl token use"));
        assert!(again.stderr.contains("token_reuse"), "{again:?}");
    }
    until_within(PATIENCE, "a follows", || leader(&machine, "enrolld") == "b");

    // Handed over: it ends with 7, and is started again.
    until_within(PATIENCE, "b knows a, and lets it lead", || {
        let handed = machine.play("root", &format!("{of_b}; enrollctl cluster hand-over a"));
        handed.code == Some(0) && handed.stdout.contains('b')
    });
    until_within(PATIENCE, "a leads", || leader(&machine, "enrolld") == "a");
    until_within(PATIENCE, "b follows", || leader(&machine, "enrolld-b") == "a");
    for unit in ["enrolld.service", "enrolld-b.service"] {
        // On a busy machine a leader may lose its lease once more, and is started again then too.
        let restarts = play(&machine, &format!("systemctl show -p NRestarts --value {unit}"));
        assert!(restarts.trim().parse().is_ok_and(|times: u32| times >= 1), "{unit}: {restarts}");
    }
    play(&machine, "systemctl is-active enrolld.service enrolld-b.service enrolld.socket enrolld-b.socket");
    for host in ["enrolld", "enrolld-b"] {
        assert_eq!(play(&machine, &format!("enrollctl --socket /run/{host}/enrolld.sock server check")), "");
    }

    // Without etcds nothing is answered from the past, and doctor says which are silent.
    play(&machine, "systemctl kill -s KILL etcd-2.service; systemctl stop etcd-2.service || true");
    assert_eq!(found(&machine), ["etcd_unreachable"]);
    play(&machine, "printf nonce-2 | enrollctl token use");
}
