//! The bulk form of `enrollment approve` and `enrollment reject`: a pipeline of decisions, each a write of its own
//! under an idempotency key of its own, whose results are printed in their order.
//!
//! With `--pool` the enrollments that wait in an invite pool are listed first. One that comes later is not decided.

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use enroll_client::protocol::enrollment::{Approve, List, Reject, State};
use enroll_client::protocol::limits::PAGE_ITEMS_MAX;
use enroll_client::protocol::person::CertificateWanted;
use enroll_client::protocol::{
    ApproveCode, Envelope, Invalid, Operation as _, OperationRow, PageLimit, Reason, Reference, codec,
};
use enroll_client::{Client, Error};
use serde_json::Value;

use crate::call::{self, Ask, Question, Window};
use crate::failure::Failure;
use crate::options::Options;
use crate::output::{Output, escaped};
use crate::request;

/// The id of the operation's own argument.
const ENROLLMENT: &str = "enrollment";

/// The id of the added option.
const POOL: &str = "decisions.pool";

/// An enrollment to decide: its name for people, and for the daemon.
struct Named {
    name: String,
    enrollment: Reference,
}

/// True for the operations that decide.
pub(crate) fn handles(row: &OperationRow) -> bool {
    [Approve::ROW, Reject::ROW].iter().any(|one| one.number == row.number)
}

/// Lets the command have several enrollments, or a pool of them.
pub(crate) fn command(command: Command) -> Command {
    let pool = "Decide all that wait in this pool: invite code or pk; - reads the code from standard input";
    let pool = Arg::new(POOL).long("pool").value_name("POOL").value_parser(value_parser!(Reference)).help(pool);
    let several = |own: Arg| {
        let own = own.required(false).required_unless_present(POOL).num_args(1..).action(ArgAction::Append);
        own.help("Callsign or pk; of several each is decided by itself, with a line for its result")
    };
    command.mut_arg(ENROLLMENT, several).arg(pool.conflicts_with(ENROLLMENT))
}

/// True for the command line of several enrollments.
pub(crate) fn are_several(matches: &ArgMatches) -> bool {
    matches.contains_id(POOL) || matches.get_many::<Reference>(ENROLLMENT).is_some_and(|named| named.len() > 1)
}

/// Decides each enrollment and prints its result. The exit code is 1 if a decision was refused. Ends at the first that
/// has no answer.
pub(crate) async fn run(
    row: &'static OperationRow,
    matches: &ArgMatches,
    envelope: Envelope,
    options: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    if envelope.key.is_some() {
        return Err(usage("--key is for one decision, and each of these has a key of its own"));
    }
    if row.number == Approve::ROW.number && matches.get_one::<ApproveCode>("approvecode").is_some() {
        return Err(usage("--approvecode is for one enrollment, whose code it is"));
    }
    output.expect_fields(row)?;
    let pool = matches.get_one::<Reference>(POOL);
    let list = pool.map(|pool| list_of(pool, output)).transpose()?;
    let client = options.connect().await?;
    let enrollments = match list {
        Some(list) => waiting(&client, list).await?,
        None => matches.get_many::<Reference>(ENROLLMENT).into_iter().flatten().map(Named::as_given).collect(),
    };
    let requests = enrollments.into_iter().map(|Named { name, enrollment }| {
        let ask = Ask { row, envelope: envelope.clone(), request: request_for(row, matches, enrollment) };
        Question { id: Value::String(name).to_string(), ask: Ok(ask) }
    });
    let refused = decide(&client, requests, row, output).await?;
    Ok(if refused > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// Sends the requests, up to a window ahead of their answers. Returns the number of refusals.
async fn decide(
    client: &Client,
    mut requests: impl ExactSizeIterator<Item = Question>,
    row: &OperationRow,
    output: &Output,
) -> Result<usize, Failure> {
    let (mut window, mut refused, mut decided, all) = (Window::default(), 0, 0, requests.len());
    loop {
        while window.has_room()
            && let Some(request) = requests.next()
        {
            window.ask(client, request);
        }
        if window.is_empty() {
            return Ok(refused);
        }
        let (id, answer) = window.first_answer().await;
        match &answer {
            Ok(_) => {}
            Err(Error::Refused(_)) => refused += 1,
            Err(Error::Unavailable(why)) => {
                let why = format!("{why}; {decided} of {all} have a result, and the others can be decided again");
                return Err(Failure::Client(Error::Unavailable(why)));
            }
            Err(error) => return Err(Failure::Client(error.clone())),
        }
        decided += 1;
        show(row, &id, answer, output)?;
    }
}

/// Prints the result of one decision on one line.
fn show(row: &OperationRow, id: &str, answer: Result<String, Error>, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        let mut line = Vec::new();
        call::append(&mut line, id, answer);
        return output.json(&line);
    }
    let name: String = serde_json::from_str(id).unwrap_or_default();
    let name = escaped(&name);
    let line = match answer {
        Ok(reply) if output.has_fields() => return output.item(&reply),
        Ok(_) if output.is_for_people() => format!("{name}: {}", decision(row)),
        Ok(_) => format!("{name}\t{}", decision(row)),
        Err(Error::Refused(refusal)) if !output.is_for_people() && !output.has_fields() => {
            format!("{name}\t{}\t{}", refusal.code, escaped(&refusal.message))
        }
        Err(error) => {
            let line = format!("{name}: {}", escaped(&Failure::Client(error).line()));
            if output.has_fields() {
                output.note(&line);
                return Ok(());
            }
            line
        }
    };
    output.lines(&(line + "\n"))
}

/// The word for a decision that was made.
fn decision(row: &OperationRow) -> &'static str {
    if row.number == Approve::ROW.number { "approved" } else { "rejected" }
}

/// The request for the list of those that wait in this pool, whose code may come from standard input.
fn list_of(pool: &Reference, output: &Output) -> Result<List, Failure> {
    let limit = PageLimit::new(u64::from(PAGE_ITEMS_MAX)).map_err(|err: Invalid| Failure::Usage(err.0))?;
    let list = List { pool: Some(pool.clone()), state: Some(State::Pending), limit, ..List::default() };
    let list = serde_json::to_string(&list).map_err(|err| Failure::Usage(err.to_string()))?;
    codec::decode(&request::filled(List::ROW, &list, output)?).map_err(|err| Failure::Usage(err.0))
}

/// All enrollments of a list, oldest first.
async fn waiting(client: &Client, mut list: List) -> Result<Vec<Named>, Failure> {
    let mut all = Vec::new();
    loop {
        let page = client.call(list.clone()).await?;
        all.extend(page.items.into_iter().map(|enrollment| Named {
            name: enrollment.callsign.to_string(),
            enrollment: Reference::by_pk(enrollment.pk),
        }));
        if page.next.is_none() {
            return Ok(all);
        }
        list.after = page.next;
    }
}

/// The request for one enrollment, with what the command line says of all.
fn request_for(row: &OperationRow, matches: &ArgMatches, enrollment: Reference) -> Vec<u8> {
    if row.number == Approve::ROW.number {
        let certificate = matches.get_one::<CertificateWanted>("certificate").cloned().unwrap_or_default();
        return codec::encode(&Approve { enrollment, approvecode: None, certificate });
    }
    codec::encode(&Reject { enrollment, reason: matches.get_one::<Reason>("reason").cloned() })
}

fn usage(why: &str) -> Failure {
    Failure::Usage(why.to_owned())
}

impl Named {
    fn as_given(enrollment: &Reference) -> Self {
        Self { name: enrollment.to_string(), enrollment: enrollment.clone() }
    }
}
