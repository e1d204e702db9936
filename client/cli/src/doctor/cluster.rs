//! The cluster, where the registry is shared: what its unit needs, whether etcd answers, and the other members as this one
//! sees them.

use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use enroll_client::protocol::cluster::{ClusterStatus, Status};
use enroll_client::protocol::finding::{Finding, Topic};
use tokio::time::timeout;

use super::{Machine, Outcome, files, systemd};
use crate::options::Options;

/// The time that an etcd has to accept a connection, and the daemon to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The difference of clocks at which a member does not lead, unless the configuration says otherwise.
const SKEW_SECONDS: i64 = 2;

/// True where the configuration says that the registry is shared.
pub(super) fn is_shared(machine: &Machine) -> bool {
    files::setting(machine, "", "store").is_some_and(|store| store.as_str() == Some("etcd"))
}

/// Asks systemd if the unit lets its daemon reach etcd.
pub(super) fn unit(machine: &Machine) -> Outcome {
    match systemd::has_network(machine) {
        Ok(true) => Outcome::Fine("it may reach etcd".to_owned()),
        Ok(false) => Outcome::Found(vec![Finding::of(Topic::ClusterUnit, "", &[])]),
        Err(why) => Outcome::Unseen(why),
    }
}

/// Connects to every etcd of the configuration.
pub(super) fn etcd(machine: &Machine) -> Outcome {
    let endpoints = files::setting(machine, "etcd", "endpoints").and_then(|value| value.as_array().cloned());
    let endpoints: Vec<String> =
        endpoints.iter().flatten().filter_map(|endpoint| endpoint.as_str().map(str::to_owned)).collect();
    let silent: Vec<String> = endpoints
        .iter()
        .filter_map(|endpoint| reach(endpoint).err().map(|err| format!("{endpoint} ({err})")))
        .collect();
    if silent.is_empty() {
        return Outcome::Fine(format!("{} of {} accept connections", endpoints.len(), endpoints.len()));
    }
    let (silent, count, all) = (silent.join(", "), silent.len().to_string(), endpoints.len().to_string());
    let arguments = [("count", count.as_str()), ("all", all.as_str()), ("endpoints", silent.as_str())];
    Outcome::Found(vec![Finding::of(Topic::EtcdUnreachable, "", &arguments)])
}

/// Connects to the address of a URL.
fn reach(endpoint: &str) -> io::Result<()> {
    let address = endpoint.split_once("://").map_or(endpoint, |(_, address)| address).trim_end_matches('/');
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no such host");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => return Ok(()),
            Err(err) => last = err,
        }
    }
    Err(last)
}

/// Asks the daemon for the members that it sees.
pub(super) async fn members(machine: &Machine, options: &Options) -> Outcome {
    let asked = timeout(PATIENCE, async { options.connect_to(&machine.socket).await?.call(Status {}).await }).await;
    let status = match asked {
        Ok(Ok(status)) => status,
        Ok(Err(err)) => return Outcome::Unseen(err.to_string()),
        Err(_) => return Outcome::Unseen("the daemon does not tell of the cluster".to_owned()),
    };
    let skew = files::setting(machine, "cluster", "skew_seconds_max").and_then(|value| value.as_integer());
    of_members(&status, skew.unwrap_or(SKEW_SECONDS))
}

fn of_members(status: &ClusterStatus, skew_seconds_max: i64) -> Outcome {
    let Some(own) = &status.member else {
        let what = "the configuration says store = \"etcd\", and the daemon that runs has a registry of its own";
        return Outcome::Found(vec![Finding::told(Topic::Cluster, "", what)]);
    };
    let mut found = Vec::new();
    let mut tell = |subject: &str, what: String| found.push(Finding::told(Topic::Cluster, subject, &what));
    if status.leader.is_none() {
        tell("", "nobody leads, so writes wait".to_owned());
    }
    for member in &status.members {
        let (name, host) = (&member.name, &member.host);
        if !member.is_here {
            tell(name, format!("the member {name} on {host} is away"));
            continue;
        }
        let off = member.clock_ahead_millis.filter(|millis| millis.abs() > skew_seconds_max.saturating_mul(1000));
        if let Some(millis) = off {
            let (seconds, way) = (millis.abs() / 1000, if millis > 0 { "ahead of" } else { "behind" });
            tell(name, format!("the clock of {name} on {host} is {seconds} s {way} that of {own}"));
        }
        if !member.differing_settings.is_empty() {
            let settings = member.differing_settings.join(", ");
            tell(name, format!("{name} on {host} has other settings than {own}: {settings}"));
        }
    }
    let leader = status.leader.clone().unwrap_or_default();
    // A member reads what the leader sealed, so it has the same secret key.
    Outcome::of(found, format!("{own}, of {}; {leader} leads; one secret key", status.members.len()))
}

#[cfg(test)]
mod tests {
    use enroll_client::protocol::cluster::Member;

    use super::*;

    fn member(name: &str, is_here: bool, ahead: i64, differing: &[&str]) -> Member {
        Member {
            name: name.to_owned(),
            host: format!("host-{name}"),
            is_here,
            clock_ahead_millis: Some(ahead),
            differing_settings: differing.iter().map(|key| (*key).to_owned()).collect(),
            ..Member::default()
        }
    }

    #[test]
    fn a_member_that_is_away_or_differs_is_found_and_others_are_not() {
        let status = |members: &[Member], leader: Option<&str>| ClusterStatus {
            member: Some("a".to_owned()),
            leader: leader.map(str::to_owned),
            members: members.to_vec(),
            ..ClusterStatus::default()
        };
        let told = |status: &ClusterStatus| match of_members(status, 2) {
            Outcome::Found(found) => found.iter().map(|finding| finding.message.clone()).collect::<Vec<_>>().join("; "),
            Outcome::Fine(seen) | Outcome::Unseen(seen) => seen,
        };
        let fine = [member("a", true, 0, &[]), member("b", true, -1999, &[])];
        assert_eq!(told(&status(&fine, Some("b"))), "a, of 2; b leads; one secret key");
        let wrong = [
            member("a", true, 0, &[]),
            member("b", false, 9000, &[]),
            member("c", true, -3000, &[]),
            member("d", true, 3000, &["code_size"]),
        ];
        assert_eq!(
            told(&status(&wrong, None)),
            "nobody leads, so writes wait; the member b on host-b is away; the clock of c on host-c is 3 s behind that of \
             a; the clock of d on host-d is 3 s ahead of that of a; d on host-d has other settings than a: code_size"
        );
        assert!(told(&ClusterStatus::default()).contains("a registry of its own"));
    }

    #[test]
    fn an_etcd_that_does_not_accept_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        assert!(reach(&format!("http://{address}")).is_ok());
        drop(listener);
        assert!(reach(&format!("https://{address}/")).is_err());
        assert!(reach("http://no.such.host.invalid:2379").is_err());
    }
}
