//! The command `pool show`: an invite pool with its enrollments by state, from `pool.get` and `enrollment.list`.
//!
//! The oldest enrollments are read, up to a bound. `uses` counts them all, so the number that was not read is known.

use clap::Args;
use enroll_client::Client;
use enroll_client::protocol::enrollment::{self, Enrollment};
use enroll_client::protocol::limits::PAGE_ITEMS_MAX;
use enroll_client::protocol::pool::{self, Pool};
use enroll_client::protocol::{Invalid, PageLimit, Reference};
use enroll_picture::pool as picture;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::output::Summary;

/// Pages of enrollments that are read.
const PAGES_MAX: usize = 20;

/// Show an invite pool with its enrollments by state
///
/// Looks at the oldest 20000 enrollments at most; `uses` counts them all.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  enrollctl pool show K7QWM2XA")]
pub(super) struct Show {
    /// Invite code or pk
    pool: Reference,
}

/// Reads the pool and its enrollments. Returns the picture, and a note if not all enrollments were read.
pub(super) async fn ask(client: &Client, show: Show) -> Result<(Summary, Option<String>), Failure> {
    let pool = client.call(pool::Get { pool: show.pool, allow_deleted: true }).await?;
    let (enrollments, is_all) = enrollments(client, &pool).await?;
    let unseen = if is_all { 0 } else { (pool.uses as usize).saturating_sub(enrollments.len()) };
    let note = format!("{unseen} more enrollments were not looked at; see enrollctl enrollment list --pool");
    Ok((summary(&pool, &enrollments, unseen)?, (unseen > 0).then_some(note)))
}

/// The pool's enrollments, oldest first, and true if these are all.
async fn enrollments(client: &Client, pool: &Pool) -> Result<(Vec<Enrollment>, bool), Failure> {
    let unusable = |err: Invalid| Failure::Usage(err.0);
    let by = Reference::by_pk(pool.pk);
    let limit = PageLimit::new(u64::from(PAGE_ITEMS_MAX)).map_err(unusable)?;
    let mut list = enrollment::List { pool: Some(by), limit, ..enrollment::List::default() };
    let mut found = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = client.call(list.clone()).await?;
        found.extend(page.items);
        if page.next.is_none() {
            return Ok((found, true));
        }
        list.after = page.next;
    }
    Ok((found, false))
}

fn summary(pool: &Pool, enrollments: &[Enrollment], unseen: usize) -> Result<Summary, Failure> {
    let by_state = picture::by_state(enrollments);
    let fields = match serde_json::to_value(pool) {
        Ok(Value::Object(fields)) => fields,
        other => return Err(Failure::Usage(format!("the pool can not be shown: {other:?}"))),
    };
    let lists: Map<_, _> = by_state.iter().map(|(name, callsigns)| ((*name).to_owned(), json!(callsigns))).collect();
    Ok(Summary {
        json: json!({"pool": fields, "enrollments": lists}).to_string(),
        people: Value::Object(for_people(pool, &fields, &by_state, unseen)).to_string(),
        scripts: for_scripts(fields, &by_state),
    })
}

/// The picture for people.
fn for_people(
    pool: &Pool,
    fields: &Map<String, Value>,
    by_state: &[(&str, Vec<&str>)],
    unseen: usize,
) -> Map<String, Value> {
    let mut lines = Map::new();
    for name in ["invitecode", "pk", "owner", "usable"] {
        lines.insert(name.to_owned(), fields[name].clone());
    }
    lines.insert("uses".to_owned(), picture::uses(pool).into());
    lines.insert("expires".to_owned(), picture::expires(pool).into());
    for name in ["extra", "created", "deleted"] {
        if !matches!(&fields[name], Value::Null) && fields[name] != json!({}) {
            lines.insert(name.to_owned(), fields[name].clone());
        }
    }
    for (name, callsigns) in by_state {
        lines.insert((*name).to_owned(), picture::counted(callsigns, unseen > 0).into());
    }
    lines
}

/// Every field, then the counts, then a field for each enrollment. Built as text, because a name repeats.
fn for_scripts(fields: Map<String, Value>, by_state: &[(&str, Vec<&str>)]) -> String {
    let counts = by_state.iter().map(|(name, callsigns)| (format!("{name}_count"), json!(callsigns.len())));
    let each =
        by_state.iter().flat_map(|(name, callsigns)| callsigns.iter().map(|one| ((*name).to_owned(), json!(one))));
    let members = fields.into_iter().chain(counts).chain(each);
    let members: Vec<String> = members.map(|(name, value)| format!("{}:{value}", Value::String(name))).collect();
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_finds_each_enrollment_on_a_line_of_its_own() {
        let fields = Map::from_iter([("uses".to_owned(), json!(2))]);
        let by_state = [("pending", vec!["A", "B\""]), ("approved", vec![])];
        let expected = r#"{"uses":2,"pending_count":2,"approved_count":0,"pending":"A","pending":"B\""}"#;
        assert_eq!(for_scripts(fields, &by_state), expected);
    }
}
