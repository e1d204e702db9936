//! Candidates that name records: range reads of the daemon by the prefix that was typed, within a deadline.
//!
//! A candidate is a callsign, a name or a pk, and never a code. A name with characters that mean something to a shell
//! is not offered, because a line with it would do what its owner wants. A daemon that is away, refuses or takes too
//! long has no records.

use std::ffi::OsStr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use enroll_client::protocol::enrollment::{self, Enrollment, State};
use enroll_client::protocol::fold::fold;
use enroll_client::protocol::limits::PAGE_ITEMS_MAX;
use enroll_client::protocol::{
    Cursor, NamePrefix, Operation, Page, PageLimit, PkPrefix, RoleName, course, event, person, pool, role,
};
use enroll_client::{Client, Error};
use tokio::time::timeout_at;

use super::candidate;
use crate::options::Options;

/// Candidates that are offered at most.
const CANDIDATES_MAX: usize = 50;

/// The kind of record that an argument names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// People by callsign.
    People,
    /// Deleted people by callsign.
    Deleted,
    /// Enrollments in this state, or in any, by callsign.
    Enrollments(Option<State>),
    /// Invite pools by pk, because their codes are secrets.
    Pools,
    /// Events by pk.
    Events,
    /// Roles by name.
    Roles,
    /// Courses by key.
    Courses,
}

/// The access to the daemon of an unfinished command line.
#[derive(Clone)]
pub(super) struct Records {
    /// `None` if the line's options can not be read.
    options: Option<Arc<Options>>,
    until: Instant,
}

impl Source {
    /// The records that this argument of a verb names; `None` for other arguments.
    pub(super) fn of(area: &str, verb: &str, argument: &str) -> Option<Self> {
        Some(match (area, verb, argument) {
            ("person", "restore" | "erase", "person") => Self::Deleted,
            (_, _, "person" | "owner" | "supervisor" | "representative") => Self::People,
            ("enrollment", "reopen", "enrollment") => Self::Enrollments(Some(State::Rejected)),
            ("enrollment", "get", "enrollment") => Self::Enrollments(None),
            ("enrollment", _, "enrollment") => Self::Enrollments(Some(State::Pending)),
            // Who enrolls types the pool's code.
            ("enrollment", "create", "pool") => return None,
            ("pool" | "enrollment", _, "pool" | "decisions.pool") => Self::Pools,
            (_, _, "event") => Self::Events,
            (_, _, "role" | "roles") => Self::Roles,
            (_, _, "course") | ("course", "get" | "delete", "key") => Self::Courses,
            _ => return None,
        })
    }
}

impl Records {
    /// Access by the options among these words, until that time.
    pub(super) fn new(program: &str, words: &[String], until: Instant) -> Self {
        Self { options: Options::of_unfinished(program, words).map(Arc::new), until }
    }

    /// A completer for arguments that name such records.
    pub(super) fn completer(&self, source: Source) -> ArgValueCompleter {
        let records = self.clone();
        ArgValueCompleter::new(move |typed: &OsStr| records.candidates(source, typed).unwrap_or_default())
    }

    fn candidates(&self, source: Source, typed: &OsStr) -> Option<Vec<CompletionCandidate>> {
        let (options, typed) = (self.options.as_ref()?, typed.to_str()?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let found = runtime.block_on(async {
            let client = options.connect_briefly(self.until.saturating_duration_since(Instant::now()));
            let client = timeout_at(self.until.into(), client).await.ok()?.ok()?;
            Some(Search { client, until: self.until, found: Vec::new() }.run(source, typed).await)
        })?;
        let plain = found.into_iter().filter(|(name, _)| is_plain(name)).take(CANDIDATES_MAX);
        Some(plain.map(|(name, help)| candidate(name, help)).collect())
    }
}

/// A search that goes from page to page, and keeps what it has when the time is over.
struct Search {
    client: Client,
    until: Instant,
    /// Names, and a line about each for people.
    found: Vec<(String, String)>,
}

impl Search {
    async fn run(mut self, source: Source, typed: &str) -> Vec<(String, String)> {
        let limit = PageLimit::new(CANDIDATES_MAX as u64).unwrap_or_default();
        let Ok(name) = prefix::<NamePrefix>(typed) else { return self.found };
        match source {
            Source::People | Source::Deleted => {
                let deleted_only = source == Source::Deleted;
                let list =
                    |after| person::List { prefix: name.clone(), deleted_only, after, limit, ..Default::default() };
                let row = |person: person::Person| (person.callsign.to_string(), joined(&person.roles));
                self.pages(list, row).await;
            }
            Source::Enrollments(state) => {
                if state.is_none() || !self.few_enrollments(state, typed).await {
                    let list =
                        |after| enrollment::List { state, prefix: name.clone(), after, limit, ..Default::default() };
                    self.pages(list, row_of).await;
                }
            }
            Source::Pools => {
                let Ok(prefix) = prefix::<PkPrefix>(typed) else { return self.found };
                let list = |after| pool::List { prefix: prefix.clone(), after, limit, ..Default::default() };
                self.pages(list, |pool: pool::Pool| (pool.pk.to_string(), uses(&pool))).await;
            }
            Source::Events => {
                let Ok(prefix) = prefix::<PkPrefix>(typed) else { return self.found };
                let list = |after| event::List { prefix: prefix.clone(), after, limit, ..Default::default() };
                self.pages(list, |event: event::Event| (event.pk.to_string(), event.title.to_string())).await;
            }
            Source::Roles => {
                let list = role::List { prefix: name, ..role::List::default() };
                let roles = self.answer(list).await.unwrap_or_default();
                self.found.extend(roles.into_iter().map(|role| (role.to_string(), String::new())));
            }
            Source::Courses => {
                let list = |after| course::List { prefix: name.clone(), after, limit };
                self.pages(list, |course: course::Course| (course.key.to_string(), String::new())).await;
            }
        }
        self.found
    }

    /// Takes the enrollments of a state whose callsigns begin so, if there are so few of the state that one page has
    /// them all: among a million people they would be far between. `false` if there are more.
    async fn few_enrollments(&mut self, state: Option<State>, typed: &str) -> bool {
        let limit = PageLimit::new(u64::from(PAGE_ITEMS_MAX)).unwrap_or_default();
        let Some(page) = self.answer(enrollment::List { state, limit, ..Default::default() }).await else {
            return true;
        };
        let beginning = fold(typed);
        let is_all = page.next.is_none();
        if is_all || typed.is_empty() {
            let begins_so = |one: &Enrollment| fold(one.callsign.as_str()).starts_with(&beginning);
            self.found.extend(page.items.into_iter().filter(begins_so).map(row_of));
        }
        is_all || typed.is_empty()
    }

    /// Takes the items of a list, page by page, until there are enough.
    async fn pages<O: Operation<Reply = Page<T>>, T>(
        &mut self,
        list: impl Fn(Option<Cursor>) -> O,
        row: impl Fn(T) -> (String, String),
    ) {
        let mut after = None;
        while self.found.len() < CANDIDATES_MAX {
            let Some(page) = self.answer(list(after)).await else { return };
            self.found.extend(page.items.into_iter().map(&row));
            if page.next.is_none() {
                return;
            }
            after = page.next;
        }
    }

    /// The answer to a request; `None` if it is refused or the time is over.
    async fn answer<O: Operation>(&self, request: O) -> Option<O::Reply> {
        in_time(self.until, self.client.call(request)).await
    }
}

/// The prefix of a name, as typed; none if nothing was typed.
fn prefix<T: FromStr>(typed: &str) -> Result<Option<T>, T::Err> {
    if typed.is_empty() { Ok(None) } else { typed.parse().map(Some) }
}

async fn in_time<T>(until: Instant, answer: impl Future<Output = Result<T, Error>>) -> Option<T> {
    timeout_at(until.into(), answer).await.ok()?.ok()
}

fn row_of(enrollment: Enrollment) -> (String, String) {
    (enrollment.callsign.to_string(), format!("since {}", enrollment.created))
}

fn uses(pool: &pool::Pool) -> String {
    let of = pool.max_uses.map_or_else(String::new, |most| format!(" of {most}"));
    format!("{}{of} uses, made {}", pool.uses, pool.created)
}

fn joined(roles: &[RoleName]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ")
}

/// True for a name that means itself to every shell, wherever it stands.
fn is_plain(name: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || "_-.+:@%,/=".contains(c);
    name.chars().all(fits) && name.starts_with(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use enroll_client::protocol::operations::TABLE;

    use super::*;

    #[test]
    fn a_name_that_means_something_to_a_shell_is_not_offered() {
        for name in ["DOGGO01a", "Hiking+2027", "course-v1:School+Hiking+2027", "straße", "a.b@c"] {
            assert!(is_plain(name), "{name}");
        }
        for name in
            ["", "a b", "$(x)", "`x`", "a;b", "a'b", "a\"b", "-x", "~x", "=x", "a*", "a\\b", "a>b", "#a", "!a", "{a,b}"]
        {
            assert!(!is_plain(name), "{name}");
        }
    }

    #[test]
    fn arguments_that_name_records_have_their_source() {
        for (area, verb, argument, expected) in [
            ("person", "get", "person", Some(Source::People)),
            ("person", "restore", "person", Some(Source::Deleted)),
            ("person", "erase", "person", Some(Source::Deleted)),
            ("pool", "create", "owner", Some(Source::People)),
            ("pool", "show", "pool", Some(Source::Pools)),
            ("enrollment", "create", "pool", None),
            ("enrollment", "list", "pool", Some(Source::Pools)),
            ("enrollment", "approve", "enrollment", Some(Source::Enrollments(Some(State::Pending)))),
            ("enrollment", "approve", "approvecode", None),
            ("event", "update_pool", "pool", None),
            ("event", "add_pool", "roles", Some(Source::Roles)),
            ("registration", "create", "event", Some(Source::Events)),
            ("course", "create", "key", None),
            ("course", "get", "key", Some(Source::Courses)),
            ("person", "create", "callsign", None),
        ] {
            assert_eq!(Source::of(area, verb, argument), expected, "{area} {verb} {argument}");
        }
    }

    /// An argument that names a record says so in its help: by callsign, code, key or pk.
    #[test]
    fn every_argument_by_callsign_or_pk_has_a_source() {
        for row in TABLE {
            let command = row.command(clap::Command::new(row.verb()));
            for argument in command.get_arguments() {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                let id = argument.get_id().as_str();
                let is_name = help.to_lowercase().contains("callsign or pk") || help.contains("The event's pk");
                // A link in JSON names a person, too.
                if is_name && id != "links" {
                    assert!(Source::of(row.area(), row.verb(), id).is_some(), "{} {id}: {help}", row.name);
                }
            }
        }
    }
}
