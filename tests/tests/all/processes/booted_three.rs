//! Three booted Debians of one network that become a cluster by the commands of its page, as printed. Then the machine
//! that leads is gone whole, and a caller on another one waits for a new leader.

use std::path::Path;

use enroll_tests::booted::{Booted, Missing, USER};
use enroll_tests::pages;
use enroll_tests::poll::until_within;
use enroll_tests::process::{Output, PATIENCE};
use enroll_tests::skip::{skipped, unsupported};

use super::booted_health::INSTALL;

/// The beginning of the mark of a block that is played here; the hosts behind it play it, all where none is named.
const MARK: &str = "sh three-hosts";

/// The hosts of the page.
const HOSTS: [&str; 3] = ["a", "b", "c"];

/// The files of etcd's packages, which the machines can not fetch.
const ETCD: [&str; 3] = ["/usr/bin/etcd", "/usr/bin/etcdctl", "/lib/systemd/system/etcd.service"];

/// The set-up of a host before the page begins: an address, names, root over ssh, and the package.
const BEFORE: &str = r#"
    echo $NAME > /etc/hostname
    hostname $NAME
    echo 'alice ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/user
    printf '[Match]\nName=host0\n[Network]\nAddress=10.77.0.%s/24\n' $ADDRESS > /etc/systemd/network/10-host0.network
    printf '127.0.0.1 localhost\n10.77.0.1 a\n10.77.0.2 b\n10.77.0.3 c\n' > /etc/hosts
    systemctl start systemd-networkd
    /lib/systemd/systemd-networkd-wait-online --interface=host0 --ipv4 --timeout=30
    for home in /root /home/alice; do
        mkdir -p -m 700 $home/.ssh
        install -m 600 ssh-key $home/.ssh/id_ed25519
        install -m 600 ssh-key.pub $home/.ssh/authorized_keys
        echo 'StrictHostKeyChecking accept-new' > $home/.ssh/config
    done
    chown -R alice: /home/alice/.ssh
    mkdir -p /usr/share/doc/enrolld/examples
    cp systemd/enrolld-cluster.conf /usr/share/doc/enrolld/examples/"#;

/// In the place of the block that installs etcd.
const INSTALL_ETCD: &str = "
    useradd --system --home-dir /var/lib/etcd --create-home etcd
    install etcd etcdctl /usr/bin
    install -m 644 etcd.service /etc/systemd/system
    systemctl daemon-reload";

/// Plays a script that must go well.
fn play(machine: &Booted, user: &str, script: &str) -> String {
    let Output { stdout, stderr, code } = machine.play(user, script);
    if code != Some(0) {
        let log = machine.play("root", "hostname; journalctl --no-pager -n 40 -u 'enrolld*' -u 'etcd*'").stdout;
        panic!("{code:?} of\n{script}\n{stdout}\n{stderr}\n{log}");
    }
    stdout
}

#[test]
fn three_hosts_become_a_cluster_as_the_page_prints_it_and_one_is_lost() {
    const TEST: &str = "three_hosts_become_a_cluster_as_the_page_prints_it_and_one_is_lost";
    for file in ETCD {
        if !Path::new(file).exists() {
            return skipped(TEST, &format!("needs {file}"));
        }
    }
    let mut machines = match Booted::start_all(&HOSTS) {
        Ok(machines) => machines,
        Err(Missing::Tool(needs)) => return skipped(TEST, &needs),
        Err(Missing::Host(why)) => return unsupported(TEST, &why),
    };
    let key = play(&machines[0], "root", "ssh-keygen -q -t ed25519 -N '' -f ssh-key; cat ssh-key ssh-key.pub");
    let (key, public) = key.split_at(key.find("ssh-ed25519").expect("a public key"));
    for ((address, name), machine) in (1..).zip(HOSTS).zip(&machines) {
        ETCD.iter().for_each(|file| machine.put(Path::new(file)));
        play(machine, "root", &format!("cat > ssh-key <<END\n{key}END\ncat > ssh-key.pub <<END\n{public}END\n"));
        play(machine, "root", INSTALL);
        play(machine, "root", &format!("ADDRESS={address} NAME={name}{BEFORE}"));
    }

    let page = pages::page("docs/cluster.md");
    let blocks = page.blocks();
    let blocks = blocks.iter().filter_map(|block| Some((block.info.strip_prefix(MARK)?, block.code)));
    let (mut seen, mut count) = (String::new(), 0);
    for (hosts, code) in blocks {
        count += 1;
        for (name, machine) in HOSTS.iter().zip(&machines) {
            if !hosts.is_empty() && !hosts.split_whitespace().any(|host| host == *name) {
                continue;
            }
            let code = format!("export HOME=/home/{USER}; cd\n{code}");
            if code.contains("etcdctl endpoint health") {
                until_within(PATIENCE, "three etcds", || machine.play(USER, &code).code == Some(0));
            }
            seen = match code.contains("apt-get") {
                true => play(machine, "root", INSTALL_ETCD),
                false => play(machine, USER, &code),
            };
        }
    }
    assert_eq!(count, 9, "the page has other steps");
    assert!(HOSTS.iter().all(|host| seen.contains(&format!(r#""name":"{host}""#))), "{seen}");
    for (name, machine) in HOSTS.iter().zip(&machines) {
        play(machine, "root", &format!("printf nonce-{name} | enrollctl token use"));
    }
    assert!(play(&machines[1], "root", "enrollctl cluster status --json").contains(r#""leader":"a""#));

    // The first one is gone with its etcd. A caller on the second does not notice more than a wait.
    drop(machines.remove(0));
    play(&machines[0], "root", "printf nonce-after | enrollctl token use");
    for nonce in ["nonce-a", "nonce-b", "nonce-c", "nonce-after"] {
        let again = machines[1].play("root", &format!("printf {nonce} | enrollctl token use"));
        assert!(again.stderr.contains("token_reuse"), "{nonce}: {again:?}");
    }
}
