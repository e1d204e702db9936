//! The command `changes of`: the history of one record, an audit trail in sentences, read from the change feed.

mod phrase;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use enroll_client::Client;
use enroll_client::protocol::changes::{Change, List};
use enroll_client::protocol::{Code, PageLimit, Pk, Reference, enrollment, event, person};
use nix::unistd::{Uid, User};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::options::Options;
use crate::output::{Output, Summary};

/// Changes in one answer.
const PAGE: u64 = 1000;

/// Tell everything that happened to a person, an enrollment, a pool or an event
///
/// Each line is a change: its number, its time, what happened, on whose behalf, and by which process. It goes back as far as
/// the changes are kept. In a pipe and with --json each change has its fields too. Needs the permission /changes/ of the
/// actor, if there is one.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  enrollctl changes of DOGGO01a")]
struct Of {
    /// A callsign, or the pk of a person, an enrollment, a pool or an event
    record: Reference,
}

/// Names of records, looked up once each.
struct Names<'a> {
    client: &'a Client,
    known: BTreeMap<Pk, String>,
}

/// The command line.
pub(crate) fn command() -> Command {
    Of::augment_args(Command::new("of"))
}

/// Reads the feed and tells.
pub(crate) async fn run(matches: &ArgMatches, options: &Options, output: &Output) -> Result<ExitCode, Failure> {
    options.expect_no_request("changes of")?;
    options.expect_no_field("changes of")?;
    let of = Of::from_arg_matches(matches).map_err(|err| Failure::Usage(err.to_string()))?;
    let client = options.connect().await?;
    let mut names = Names { client: &client, known: BTreeMap::new() };
    let pk = names.find(&of.record).await?;
    let (mut changes, mut begins) = read(&client, &[pk]).await?;
    // A person's history begins with the enrollment that they came by.
    let is_approval = |change: &&Change| {
        (change.area.as_str(), change.verb.as_str()) == ("enrollment", "approve") && change.subjects.get(1) == Some(&pk)
    };
    let enrollment = changes.iter().find(is_approval).and_then(|change| change.subjects.first().copied());
    if let Some(enrollment) = enrollment {
        (changes, begins) = read(&client, &[pk, enrollment]).await?;
    }
    let mut rows = Vec::new();
    let mut told = String::new();
    for change in &changes {
        let mut of_subjects = Vec::new();
        for subject in &change.subjects {
            of_subjects.push(names.of(*subject).await);
        }
        let happened = phrase::of(change, &of_subjects);
        let by = match change.actor {
            Some(actor) => Some(names.of(actor).await),
            None => None,
        };
        let through = through(change);
        let by_whom = by.as_ref().map(|by| format!(", for {by}")).unwrap_or_default();
        let _ = writeln!(told, "{:>8}  {}  {happened}{by_whom}; {through}", change.seq, change.at);
        rows.push(json!({
            "seq": change.seq, "at": change.at, "what": format!("{}.{}", change.area, change.verb), "happened": happened,
            "actor": by, "uid": change.peer.uid, "pid": change.peer.pid, "member": change.peer.member, "origin": change.origin,
            "cause": change.cause, "refused": change.refused,
        }));
    }
    let name = names.of(pk).await;
    let notes: Vec<_> = begins
        .map(|seq| format!("the changes before number {seq} are no longer kept"))
        .into_iter()
        .chain(changes.is_empty().then(|| format!("no change of {name} is kept")))
        .collect();
    let summary = Summary {
        json: json!({"pk": pk, "name": name, "changes": rows, "notes": notes}).to_string(),
        people: Value::String(format!("{name} ({pk})\n\n{told}")).to_string(),
        scripts: Value::Array(rows).to_string(),
    };
    output.summary("changes.of", &summary)?;
    notes.iter().for_each(|note| output.note(note));
    Ok(ExitCode::SUCCESS)
}

/// The changes of these records, and the number of the first change that is kept, where there were others before it.
async fn read(client: &Client, pks: &[Pk]) -> Result<(Vec<Change>, Option<u64>), Failure> {
    let limit = PageLimit::new(PAGE).map_err(|err| Failure::Own(err.0))?;
    let (mut found, mut since, mut begins) = (Vec::new(), None, None);
    loop {
        let page = client.call(List { since, limit, after: None }).await?;
        let Some(last) = page.items.last() else { return Ok((found, begins)) };
        if since.is_none() {
            begins = page.items.first().map(|first| first.seq).filter(|first| *first > 1);
        }
        since = Some(last.seq);
        found.extend(
            page.items.into_iter().filter(|change| change.subjects.iter().any(|subject| pks.contains(subject))),
        );
    }
}

/// The process that called, and the source that it named.
fn through(change: &Change) -> String {
    if change.peer.pid == 0 {
        return "by itself".to_owned();
    }
    let uid = change.peer.uid;
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten().map_or_else(|| format!("uid {uid}"), |user| user.name);
    let host = change.peer.member.as_ref().map(|member| format!(" at {member}")).unwrap_or_default();
    let origin = change.origin.as_ref().map(|origin| format!(", from {origin}")).unwrap_or_default();
    let cause = change.cause.map(|cause| format!(", because of change {cause}")).unwrap_or_default();
    format!("by {user}, process {}{host}{origin}{cause}", change.peer.pid)
}

impl Names<'_> {
    /// The record that a reference names. Refuses a name that nothing has.
    async fn find(&mut self, record: &Reference) -> Result<Pk, Failure> {
        let get = person::Get { person: record.clone(), allow_deleted: true };
        let first = match self.client.call(get).await {
            Ok(person) => {
                self.known.insert(person.pk, person.callsign.to_string());
                return Ok(person.pk);
            }
            Err(err) => Failure::Client(err),
        };
        if first.refusal().is_none_or(|refusal| refusal.code != Code::NOT_FOUND) {
            return Err(first);
        }
        if let Ok(enrollment) = self.client.call(enrollment::Get { enrollment: record.clone() }).await {
            self.known.insert(enrollment.pk, enrollment.callsign.to_string());
            return Ok(enrollment.pk);
        }
        Pk::parse(&record.to_string()).ok_or(first)
    }

    /// The name of a record, or the short form of its pk where it has none that can be seen.
    async fn of(&mut self, pk: Pk) -> String {
        if let Some(name) = self.known.get(&pk) {
            return name.clone();
        }
        let name = self.look_up(pk).await.unwrap_or_else(|| pk.short());
        self.known.entry(pk).or_insert(name).clone()
    }

    async fn look_up(&mut self, pk: Pk) -> Option<String> {
        let reference: Reference = pk.to_string().parse().ok()?;
        let person = person::Get { person: reference.clone(), allow_deleted: true };
        if let Ok(person) = self.client.call(person).await {
            return Some(person.callsign.to_string());
        }
        if let Ok(event) = self.client.call(event::Get { event: reference.clone() }).await {
            self.known.extend(event.pools.into_iter().map(|pool| (pool.pk, pool.name.to_string())));
            return Some(event.title.to_string());
        }
        let enrollment = self.client.call(enrollment::Get { enrollment: reference }).await.ok()?;
        Some(enrollment.callsign.to_string())
    }
}
