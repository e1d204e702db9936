//! Nothing in clear outside the hosts: etcd's keys and values, the files of its members, and every byte that went over the
//! network to them and between them hold no name, code, token, key or reason that was written.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use enroll_etcd::messages::RangeRequest;
use enroll_tests::cluster::Cluster;
use enroll_tests::poll::until_within;
use enroll_tests::process::PATIENCE;
use enroll_tests::proxy::Proxy;
use serde_json::Value;

/// Keys of etcd below the prefix, as the page on clusters lists them.
const KEYS: &[&str] = &["about", "head", "low", "leader", "next", "j/", "m/", "k/"];

/// What a member tells of itself.
const MEMBER: &[&str] = &["version", "host", "settings", "instance", "clock", "applied", "address"];

/// Bytes of a text that is looked for, at least: shorter ones are there by chance.
const LEAST: usize = 7;

/// Lines of a private key that are looked for; the first ones of all keys are the same.
const KEY_LINES: std::ops::Range<usize> = 2..4;

/// What of these patterns, one a line, a file or the files of a directory hold. The files are large, and `grep` is quick.
fn found(place: &Path, patterns: &Path) -> Vec<u8> {
    let mut grep = Command::new("grep");
    grep.env("LC_ALL", "C").args(["--recursive", "--text", "--only-matching", "--fixed-strings", "--file"]);
    let output = grep.arg(patterns).arg(place).output().expect("grep");
    assert!(output.status.code().is_some_and(|code| code < 2), "{output:?}");
    output.stdout
}

/// Writes down everything that the network and etcd have; files and directories.
fn places(cluster: &Cluster, directory: &Path) -> Vec<PathBuf> {
    let mut places = Vec::new();
    let mut place = |name: &str, bytes: &[u8]| {
        places.push(directory.join(name));
        std::fs::write(directory.join(name), bytes).expect("written");
    };
    place("between-etcds", &cluster.etcd.seen_between_members());
    for host in &cluster.hosts {
        place(host.name, &host.proxies.iter().chain([&host.peers]).flat_map(Proxy::seen).collect::<Vec<_>>());
    }
    let endpoint = cluster.etcd.endpoints().remove(0);
    let mut etcdctl = Command::new("etcdctl");
    etcdctl.env("ETCDCTL_API", "3").args(["--endpoints", &endpoint, "get", "--prefix", ""]);
    place("etcdctl", &etcdctl.output().expect("etcdctl").stdout);
    places.extend((0..3).map(|member| cluster.etcd.data_of(member)));
    places
}

/// The forms in which a text might lie somewhere.
fn forms(text: &str) -> Vec<Vec<u8>> {
    // Of base64 the part that does not depend on what is before and behind it; it begins at any of three places.
    let encoded = (0..3).map(|skip| {
        let encoded = STANDARD.encode([&vec![0; skip], text.as_bytes()].concat());
        encoded.as_bytes()[4..encoded.len() - 4].to_vec()
    });
    let plain = [text.to_owned(), text.to_lowercase(), text.to_uppercase()].map(String::into_bytes);
    plain.into_iter().chain(encoded).collect()
}

#[test]
fn etcd_and_the_network_hold_no_name_code_token_key_or_reason() {
    let test = "etcd_and_the_network_hold_no_name_code_token_key_or_reason";
    let Some(mut cluster) = Cluster::start(test, &["north-member", "south-member"]) else { return };
    let a = &cluster.hosts[0];
    let mut written: Vec<String> = [
        "HEDGEHOG77",
        "roleofkeepers",
        "Midsummer gathering",
        "gathering-kind",
        "poolofelders",
        "token-of-the-day",
        "auditedwhere",
        "extrafieldvalue",
        "claimsubject42",
        "originofcalls9",
        "reasonforrefusal",
    ]
    .map(str::to_owned)
    .to_vec();
    a.done(
        &["person", "create", "HEDGEHOG77", "--extra", "{\"note\":\"extrafieldvalue\"}", "--certificate", "generate"],
        "",
    );
    let key = a.done(&["certificate", "key", "HEDGEHOG77"], "");
    a.done(&["role", "assign", "HEDGEHOG77", "roleofkeepers"], "");
    let audit = "{\"from\":\"auditedwhere\"}";
    let idempotency = "01a22736-5238-7702-b745-20eb446a007e";
    a.done(&["--key", idempotency, "--origin", "originofcalls9", "token", "use", "--audit", audit], "token-of-the-day");
    let code = a.done(&["--field", "code", "code", "create", "{\"sub\":\"claimsubject42\"}"], "");
    a.done(
        &[
            "event",
            "create",
            "Midsummer gathering",
            "--kind",
            "gathering-kind",
            "--owner",
            "HEDGEHOG77",
            "--start",
            "2100-01-01T00:00:00Z",
            "--duration-minutes",
            "60",
            "--pool",
            "{\"name\":\"poolofelders\",\"capacity\":3,\"roles\":[\"roleofkeepers\"]}",
            "--extra",
            "{\"why\":\"reasonforrefusal\"}",
        ],
        "",
    );
    written.extend([code, idempotency.to_owned()]);
    written.extend(key.lines().skip(KEY_LINES.start).take(KEY_LINES.len()).map(str::to_owned));
    let secret = std::fs::read_to_string(a.home.state_dir().join("enrolld.key")).expect("a key");
    written.push(secret.trim().to_owned());
    let raw = STANDARD.decode(secret.trim()).expect("base64");
    let bytes: Vec<u8> = (0..16)
        .map(|at| u8::from_str_radix(&idempotency.replace('-', "")[2 * at..2 * at + 2], 16))
        .map(|byte| byte.expect("digits"))
        .collect();
    // It comes by the other host too, which forwards it.
    let sent = cluster.hosts[1].run(&["--json", "token", "use"], "token-of-the-day");
    assert!(sent.stdout.contains("token_reuse") && !cluster.hosts[0].peers.seen().is_empty(), "{sent:?}");
    // The other one leads too, and reads what is there.
    cluster.hosts[0].kill9();
    assert_eq!(cluster.await_leader(Some(0)), 1);
    cluster.hosts[1].done(&["person", "get", "HEDGEHOG77"], "");
    cluster.hosts[1].done(&["token", "use"], "another");
    cluster.start_all();
    cluster.expect_same_everywhere();

    let directory = tempfile::tempdir().expect("a directory");
    let places = places(&cluster, directory.path());
    let patterns = directory.path().join("patterns");
    let mut forms: Vec<Vec<u8>> = written.iter().flat_map(|text| forms(text)).collect();
    forms.extend([&raw[..], &bytes].iter().flat_map(|key| key.split(|byte| *byte == b'\n')).map(<[u8]>::to_vec));
    forms.retain(|form| form.len() >= LEAST);
    assert!(forms.len() > 5 * written.len(), "{}", forms.len());
    std::fs::write(&patterns, forms.join(&b'\n')).expect("written");
    for place in &places {
        let found = found(place, &patterns);
        assert!(found.is_empty(), "{}: {}", place.display(), String::from_utf8_lossy(&found));
    }
    // The search sees: keys and names of members are in clear in every one of these places.
    for shown in ["enrolld/j/0000000000000001", "north-member"] {
        std::fs::write(&patterns, shown).expect("written");
        let blind: Vec<_> = places.iter().filter(|place| found(place, &patterns).is_empty()).collect();
        assert!(blind.is_empty(), "{blind:?} hold no {shown}");
    }

    // What can be learnt is what the page on clusters lists.
    until_within(PATIENCE, "a trimmed journal", || cluster.value("enrolld/low").is_some());
    let all = RangeRequest { key: vec![0], range_end: vec![0], ..RangeRequest::default() };
    let all = cluster.runtime.block_on(async { cluster.etcd.client().range(all).await }).expect("answered");
    assert!(all.kvs.len() > 6, "{}", all.kvs.len());
    for kv in all.kvs {
        let key = String::from_utf8(kv.key).expect("text");
        let name = key.strip_prefix("enrolld/").expect("the prefix");
        assert!(KEYS.iter().any(|known| name == *known || known.ends_with('/') && name.starts_with(known)), "{key}");
        if name.starts_with("m/") {
            let member: Value = serde_json::from_slice(&kv.value).expect("JSON");
            let fields = member.as_object().expect("an object").keys();
            assert!(fields.clone().all(|field| MEMBER.contains(&field.as_str())), "{:?}", fields.collect::<Vec<_>>());
            let settings = member["settings"].as_object().expect("digests");
            assert!(
                settings.values().all(|digest| digest.as_str().is_some_and(|digest| digest.len() == 16)),
                "{member}"
            );
        }
    }
}
