//! The hooks of the system, which `enrolld-changes@.service` runs: those that are stuck or far behind, by their position
//! files, and those that are enabled and do not run.

use std::io::ErrorKind;

use enroll_client::protocol::finding::{Finding, Topic};

use super::{Machine, Outcome, systemd};
use crate::hooks::{Record, Stuck};

/// The directory with one directory for each hook.
const HOOKS: &str = "/var/lib/enrolld-changes";

/// Changes that a hook may be behind: as many as the alert on followers has. A hook that was away for a night catches up
/// with fewer in minutes.
const BEHIND: u64 = 10_000;

/// A command that has failed less often may succeed in a moment.
const TRIES: u32 = 3;

/// Reads the position of every hook. `head` is the number of the latest change, where the daemon has told it.
pub(super) fn look(machine: &Machine, head: Option<u64>) -> Outcome {
    let entries = match std::fs::read_dir(machine.path(HOOKS)) {
        Ok(entries) => entries,
        Err(err) if err.kind() == ErrorKind::NotFound => return Outcome::Fine("none".to_owned()),
        Err(err) => return Outcome::Unseen(err.to_string()),
    };
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let (mut found, mut seen) = (Vec::new(), Vec::new());
    for name in names {
        found.extend(systemd::stopped_hook(machine, &name).map(|state| {
            Finding::of(Topic::HookStopped, &name, &[("name", name.as_str()), ("state", state.as_str())])
        }));
        let path = format!("{HOOKS}/{name}/position");
        match Record::read(&machine.path(&path)) {
            Ok(Some(record)) => {
                let behind = head.map(|head| head.saturating_sub(record.passed.upto));
                found.extend(match record.stuck.iter().find(|stuck| stuck.tries >= TRIES) {
                    Some(stuck) => Some(of_stuck(&name, &path, record.passed.upto, behind, stuck)),
                    None => behind.filter(|behind| *behind > BEHIND).map(|of| of_slow(&name, record.passed.upto, of)),
                });
                seen.push(format!("{name} at {}", record.passed.upto));
            }
            // It has not begun yet.
            Ok(None) => {}
            Err(failure) => return Outcome::Unseen(failure.line()),
        }
    }
    Outcome::of(found, if seen.is_empty() { "none".to_owned() } else { seen.join(", ") })
}

fn of_slow(name: &str, upto: u64, behind: u64) -> Finding {
    let [upto, behind] = [upto, behind].map(|number| number.to_string());
    Finding::of(Topic::HookBehind, name, &[("name", name), ("upto", upto.as_str()), ("behind", behind.as_str())])
}

fn of_stuck(name: &str, path: &str, upto: u64, behind: Option<u64>, stuck: &Stuck) -> Finding {
    let lag = behind.map_or_else(String::new, |behind| format!(", {behind} behind the latest"));
    let [seq, tries, upto] = [stuck.seq, u64::from(stuck.tries), upto].map(|number| number.to_string());
    let arguments = [
        ("name", name),
        ("seq", seq.as_str()),
        ("tries", tries.as_str()),
        ("since", stuck.since.as_str()),
        ("why", stuck.why.as_str()),
        ("upto", upto.as_str()),
        ("lag", lag.as_str()),
        ("path", path),
    ];
    Finding::of(Topic::Hooks, name, &arguments)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_hook_that_fails_again_and_again_is_told_with_its_lag_and_the_way_past_it() {
        let root = tempfile::tempdir().expect("a directory");
        let machine = Machine { root: root.path().to_owned(), socket: PathBuf::new() };
        assert!(matches!(look(&machine, None), Outcome::Fine(seen) if seen == "none"));
        let position = |name: &str, text: &str| {
            let path = machine.path(&format!("{HOOKS}/{name}"));
            std::fs::create_dir_all(&path).expect("a directory");
            std::fs::write(path.join("position"), text).expect("written");
        };
        position("fine", r#"{"position":90,"stuck":[{"seq":91,"last":91,"tries":2,"since":"a","why":"b"}]}"#);
        assert!(matches!(look(&machine, Some(91)), Outcome::Fine(seen) if seen == "fine at 90"));
        position(
            "mail",
            r#"{"position":7,"stuck":[{"seq":8,"last":8,"tries":3,"since":"then","why":"exit status: 1"}]}"#,
        );
        let Outcome::Found(found) = look(&machine, Some(91)) else { panic!("it is stuck") };
        assert_eq!((found.len(), found[0].subject.as_str()), (1, "mail"));
        assert_eq!(
            found[0].message,
            "the hook mail fails at the change 8, after 3 tries since then (exit status: 1); it has passed every change \
             up to 7, 84 behind the latest"
        );
        assert!(found[0].mend.ends_with("changes skip 8 --position /var/lib/enrolld-changes/mail/position"));
        position("mail", r#"{"position":7}"#);
        assert!(matches!(look(&machine, Some(10_007)), Outcome::Fine(_)));
        let Outcome::Found(found) = look(&machine, Some(10_091)) else { panic!("it is far behind") };
        let told: Vec<_> = found.iter().map(|one| (one.topic.as_str(), one.subject.as_str())).collect();
        assert_eq!(told, [("hook_behind", "fine"), ("hook_behind", "mail")]);
        position("odd", "no position");
        assert!(matches!(look(&machine, None), Outcome::Unseen(_)));
    }
}
