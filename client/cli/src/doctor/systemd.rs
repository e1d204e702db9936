//! The units of systemd: the files beside those that this version brings, what systemd says of the service and its
//! socket, and whether it keeps the clock right.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use enroll_client::protocol::finding::{Finding, Topic};

use super::{Machine, Outcome};

const SERVICE: &str = "enrolld.service";
const SOCKET: &str = "enrolld.socket";

/// The units of this version.
const SHIPPED: [(&str, &str); 11] = [
    (SERVICE, include_str!("../../../../systemd/enrolld.service")),
    (SOCKET, include_str!("../../../../systemd/enrolld.socket")),
    ("enrolld-failed.target", include_str!("../../../../systemd/enrolld-failed.target")),
    ("enrolld-key.service", include_str!("../../../../systemd/enrolld-key.service")),
    ("enrolld-backup.service", include_str!("../../../../systemd/enrolld-backup.service")),
    ("enrolld-backup.timer", include_str!("../../../../systemd/enrolld-backup.timer")),
    ("enrolld-metrics.service", include_str!("../../../../systemd/enrolld-metrics.service")),
    ("enrolld-metrics.timer", include_str!("../../../../systemd/enrolld-metrics.timer")),
    ("enrolld-head.service", include_str!("../../../../systemd/enrolld-head.service")),
    ("enrolld-head.timer", include_str!("../../../../systemd/enrolld-head.timer")),
    ("enrolld-changes@.service", include_str!("../../../../systemd/enrolld-changes@.service")),
];

/// The administrator's directory of units, which wins over the package's.
const OF_ADMINISTRATOR: &str = "/etc/systemd/system";
const OF_PACKAGE: &str = "/usr/lib/systemd/system";

/// The properties that systemd is asked for.
const PROPERTIES: &str = "--property=LoadState,UnitFileState,ActiveState,SubState,Result,ExecMainStatus,NeedDaemonReload,StatusText,DropInPaths,PrivateNetwork,RestrictAddressFamilies";

/// The state of a service that systemd starts again in a moment.
const RESTARTS: &str = "auto-restart";

/// The properties of a unit.
type Properties = BTreeMap<String, String>;

/// Compares the unit files with those that this version brings, and finds those that take the package's place.
pub(super) fn unit_files(machine: &Machine) -> Outcome {
    let (mut found, mut seen) = (Vec::new(), Vec::new());
    for (unit, shipped) in SHIPPED {
        let [own, packaged] = [OF_ADMINISTRATOR, OF_PACKAGE].map(|directory| format!("{directory}/{unit}"));
        // A link is a mask or an alias, and somebody's decision.
        let is_there = |path: &str| machine.path(path).symlink_metadata().is_ok_and(|file| file.is_file());
        let path = match (is_there(&own), is_there(&packaged)) {
            (true, true) => {
                let arguments = [("path", own.as_str()), ("shipped", packaged.as_str()), ("unit", unit)];
                found.push(Finding::of(Topic::ShadowedUnit, unit, &arguments));
                own
            }
            (true, false) => own,
            (false, true) => packaged,
            (false, false) => continue,
        };
        let text = std::fs::read_to_string(machine.path(&path)).unwrap_or_default();
        if text.trim_end() != shipped.trim_end() {
            let arguments = [("path", path.as_str()), ("unit", unit), ("version", env!("CARGO_PKG_VERSION"))];
            found.push(Finding::of(Topic::ChangedUnit, unit, &arguments));
        }
        seen.push(path);
    }
    match seen.is_empty() {
        true => Outcome::Unseen("no unit is installed".to_owned()),
        false => Outcome::of(found, format!("as this version has them ({})", seen.len())),
    }
}

/// Asks systemd for the state of the service. One that does not run is fine: a connection starts it.
pub(super) fn service(machine: &Machine) -> Outcome {
    match properties(machine, SERVICE) {
        Ok(properties) => Outcome::of(of_service(&properties), state(&properties)),
        Err(why) => Outcome::Unseen(why),
    }
}

/// Asks systemd for the state of the socket, which it must hold.
pub(super) fn socket(machine: &Machine) -> Outcome {
    match properties(machine, SOCKET) {
        Ok(socket) => {
            let service = properties(machine, SERVICE).unwrap_or_default();
            Outcome::of(of_socket(&socket, &service), state(&socket))
        }
        Err(why) => Outcome::Unseen(why),
    }
}

/// The state of a hook that is enabled and does not run; `None` for any other, and where systemd does not say.
pub(super) fn stopped_hook(machine: &Machine, name: &str) -> Option<String> {
    let hook = properties(machine, &format!("enrolld-changes@{name}.service")).ok()?;
    does_not_run(&hook).then(|| format!("{}, {}", state(&hook), value(&hook, "Result")))
}

/// True for a unit that is enabled and neither runs nor is about to.
fn does_not_run(unit: &Properties) -> bool {
    value(unit, "UnitFileState") == "enabled" && matches!(value(unit, "ActiveState"), "inactive" | "failed")
}

/// The words of a service that is starting, such as how far a migration is; `None` if it is not.
pub(super) fn starting(machine: &Machine) -> Option<String> {
    let service = properties(machine, SERVICE).ok()?;
    let is_starting = value(&service, "ActiveState") == "activating" && value(&service, "SubState") != RESTARTS;
    is_starting.then(|| value(&service, "StatusText").to_owned())
}

/// True if drop-ins change the service, so that its secret key may be elsewhere.
pub(super) fn has_drop_in(machine: &Machine) -> bool {
    properties(machine, SERVICE).is_ok_and(|service| !value(&service, "DropInPaths").is_empty())
}

/// True if the service has the machine's network; an error where systemd does not say.
pub(super) fn has_network(machine: &Machine) -> Result<bool, String> {
    let service = properties(machine, SERVICE)?;
    Ok(value(&service, "PrivateNetwork") != "yes" && value(&service, "RestrictAddressFamilies").contains("AF_INET"))
}

/// True if there are units of the daemon, or its directory in `/etc`.
pub(super) fn is_installed(machine: &Machine) -> bool {
    let units = [OF_ADMINISTRATOR, OF_PACKAGE].map(|directory| format!("{directory}/{SOCKET}"));
    units.iter().any(|path| machine.path(path).exists()) || machine.path("/etc/enrolld").exists()
}

/// Asks systemd whether the clock is synchronised.
pub(super) fn clock() -> Outcome {
    let asked = Command::new("timedatectl").args(["show", "--property=NTPSynchronized", "--value"]).output();
    match asked.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).as_deref() {
        Ok("yes") => Outcome::Fine("synchronised".to_owned()),
        Ok("no") => Outcome::Found(vec![Finding::of(Topic::ClockUnsynchronised, "", &[])]),
        Ok(_) | Err(_) => Outcome::Unseen("timedatectl does not say".to_owned()),
    }
}

fn properties(machine: &Machine, unit: &str) -> Result<Properties, String> {
    if !machine.path("/run/systemd/system").is_dir() || machine.root != Path::new("/") {
        return Err("systemd does not run here".to_owned());
    }
    let asked = Command::new("systemctl").args(["show", PROPERTIES, unit]).output();
    let output = asked.map_err(|err| format!("systemctl can not be run: {err}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let properties: Properties = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    match value(&properties, "LoadState") {
        "" => Err("systemd does not answer".to_owned()),
        "not-found" => Err("no unit is installed".to_owned()),
        _ => Ok(properties),
    }
}

fn of_service(properties: &Properties) -> Vec<Finding> {
    let mut found = of_unit(SERVICE, properties);
    if value(properties, "Result") == "start-limit-hit" {
        found.push(too_many_starts(properties));
    }
    let is_restarting = value(properties, "SubState") == RESTARTS;
    if value(properties, "ActiveState") == "failed" || is_restarting {
        let (state, why) = (state(properties), meaning(properties));
        found.push(Finding::of(Topic::Service, "", &[("state", state.as_str()), ("why", why.as_str())]));
    }
    found
}

fn of_socket(properties: &Properties, service: &Properties) -> Vec<Finding> {
    let mut found = of_unit(SOCKET, properties);
    if value(properties, "Result") == "service-start-limit-hit" {
        found.push(too_many_starts(service));
    }
    if value(properties, "ActiveState") != "active" {
        found.push(Finding::of(Topic::SocketUnit, "", &[("state", state(properties).as_str())]));
    }
    found
}

/// The findings that any unit may have: it is masked, or systemd has not read its change.
fn of_unit(unit: &str, properties: &Properties) -> Vec<Finding> {
    let is_masked = value(properties, "LoadState") == "masked";
    let is_unread = value(properties, "NeedDaemonReload") == "yes" && !is_masked;
    let topics = [(Topic::MaskedUnit, is_masked), (Topic::UnreadUnit, is_unread)];
    let found = topics.into_iter().filter(|(_, is_so)| *is_so);
    found.map(|(topic, _)| Finding::of(topic, unit, &[("unit", unit)])).collect()
}

fn too_many_starts(service: &Properties) -> Finding {
    Finding::of(Topic::StartLimit, "", &[("unit", SERVICE), ("why", &meaning(service))])
}

fn state(properties: &Properties) -> String {
    format!("{} ({})", value(properties, "ActiveState"), value(properties, "SubState"))
}

/// The meaning of how the service ended, as its page of exit codes has it.
fn meaning(properties: &Properties) -> String {
    let why = match value(properties, "ExecMainStatus") {
        "2" => "its arguments or its configuration are wrong",
        "3" => "another enrolld uses the state directory",
        "4" => "the secret key is missing or another one",
        "5" => "the database can not be used or is not sound",
        "6" => "the disk is full or failed",
        "8" => "the database of an older version could not be migrated, and is as it was",
        "243" => "its credentials could not be read; is the secret key at /etc/enrolld/enrolld.key?",
        _ => return format!("it ended with {} ({})", value(properties, "ExecMainStatus"), value(properties, "Result")),
    };
    format!("it ended with {}: {why}", value(properties, "ExecMainStatus"))
}

fn value<'a>(properties: &'a Properties, name: &str) -> &'a str {
    properties.get(name).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn topics(found: &[Finding]) -> Vec<&str> {
        found.iter().map(|finding| finding.topic.as_str()).collect()
    }

    fn properties_of(words: &[(&str, &str)]) -> Properties {
        words.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_service_and_its_socket_are_judged_by_what_systemd_says() {
        let active = ("ActiveState", "active");
        for (words, service, socket) in [
            (&[active, ("SubState", "running")][..], &[][..], &[][..]),
            (&[("ActiveState", "inactive"), ("SubState", "dead")], &[], &["socket_unit"]),
            (&[active, ("NeedDaemonReload", "yes")], &["unread_unit"], &["unread_unit"]),
            (&[("ActiveState", "failed"), ("ExecMainStatus", "4")], &["service"], &["socket_unit"]),
            (&[("ActiveState", "activating"), ("SubState", "auto-restart")], &["service"], &["socket_unit"]),
            (
                &[("ActiveState", "failed"), ("Result", "start-limit-hit")],
                &["start_limit", "service"],
                &["socket_unit"],
            ),
            (
                &[("ActiveState", "failed"), ("Result", "service-start-limit-hit")],
                &["service"],
                &["start_limit", "socket_unit"],
            ),
            (
                &[("ActiveState", "inactive"), ("LoadState", "masked"), ("NeedDaemonReload", "yes")],
                &["masked_unit"],
                &["masked_unit", "socket_unit"],
            ),
        ] {
            let properties = properties_of(words);
            assert_eq!(topics(&of_service(&properties)), service, "{words:?}");
            assert_eq!(topics(&of_socket(&properties, &properties)), socket, "{words:?}");
        }
        let failed = properties_of(&[("ActiveState", "failed"), ("SubState", "failed"), ("ExecMainStatus", "4")]);
        let message = &of_service(&failed)[0].message;
        assert!(message.contains("failed (failed): it ended with 4: the secret key is missing"), "{message}");
        let socket = properties_of(&[("Result", "service-start-limit-hit")]);
        let service = properties_of(&[("ExecMainStatus", "8")]);
        let message = &of_socket(&socket, &service)[0].message;
        assert!(message.contains("no more: it ended with 8: the database of an older version"), "{message}");
    }

    #[test]
    fn unit_files_are_the_shipped_ones_and_shadow_no_package() {
        let (own, packaged) = (format!("{OF_ADMINISTRATOR}/{SERVICE}"), format!("{OF_PACKAGE}/{SERVICE}"));
        let shipped = SHIPPED[0].1;
        for (files, expected) in [
            (&[(&packaged, shipped)][..], &[][..]),
            (&[(&own, shipped)], &[]),
            (&[(&own, shipped), (&packaged, shipped)], &["shadowed_unit"]),
            (&[(&packaged, "[Service]\n")], &["changed_unit"]),
        ] {
            let root = tempfile::tempdir().expect("a directory");
            let machine = Machine { root: root.path().to_owned(), socket: PathBuf::new() };
            for (path, text) in files {
                let path = machine.path(path);
                fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
                fs::write(path, text).expect("written");
            }
            match unit_files(&machine) {
                Outcome::Found(found) => assert_eq!(topics(&found), expected),
                Outcome::Fine(seen) => assert!(expected.is_empty() && seen.contains("(1)"), "{seen}"),
                Outcome::Unseen(why) => panic!("{why}"),
            }
        }
        let empty = tempfile::tempdir().expect("a directory");
        let outcome = unit_files(&Machine { root: empty.path().to_owned(), socket: PathBuf::new() });
        assert!(matches!(outcome, Outcome::Unseen(_)));
    }
}
