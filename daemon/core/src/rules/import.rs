//! An import: an export read into an empty registry, piece by piece, and judged when it is whole.
//!
//! Each piece is a write of its own. The progress is a record in the registry; while it exists, all other writes are
//! refused. A new beginning, after a bad line or an interruption, first removes the records read so far, some of them
//! with each request. An empty piece ends the import. Before that all invariants are checked, off the writer thread,
//! because the check takes time in proportion to the records. An import emits no events: the change feed is the file's.
//! A piece whose answer was lost is answered again by its idempotency key, the last one too. The records of an older
//! file are migrated with its last line.

use std::ops::ControlFlow;

use enroll_protocol::export::{End, FORMAT, Header};
use enroll_protocol::server::{AcceptClock, Import, Imported};
use enroll_protocol::{Code, Key, Operation as _, Refusal, without_mark};

use super::bootstrap::{self, OLDEST_SCHEMA, RegistryError, SCHEMA};
use super::migration::Chain;
use super::{Call, WriteOp, authority};
use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::change::{CLOCK, ChainedChange, LISTED};
use crate::model::export_schema::{self, Importing, Keys, shapes};
use crate::model::key::{self, Due, Family};
use crate::model::record::{self, ChangesHead, Registry};
use crate::model::{certificate, hex};
use crate::needs::{Made, Needed};
use crate::state::{ReadTxn, SCAN_CHUNK, StoreError, walk};

/// Entries of an earlier import that are removed with one request.
const REMOVED_MAX: usize = 10_000;

/// The operation number of the change that accepts a clock.
const ACCEPTED: u16 = AcceptClock::ROW.number;

/// Bytes of a line at most, more than any record takes.
const LINE_BYTES_MAX: usize = 4 << 20;

impl WriteOp for Import {
    fn may_need(&self) -> bool {
        self.text.is_empty() && self.at > 0
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Imported, Fault> {
        call.permit(txn.as_read(), false)?;
        if call.ctx.envelope.dry_run {
            let why = "an import can not be tried piece by piece; to try a file, import it into another daemon";
            return Err(Refusal::new(Code::INVALID_ARGUMENT, why).into());
        }
        let latest = call.ctx.envelope.key.map(|key| (call.ctx.peer.uid, key));
        if let Some(answered) = answered(txn.as_read(), latest)? {
            return Ok(answered);
        }
        let before = record::get::<Importing>(txn.as_read(), &key::importing())?;
        let (mut importing, text) = match (before, self.at) {
            (before, 0) => match begin(txn, call, &self.text, before)? {
                Some(begun) => begun,
                None => return Ok(Imported::default()),
            },
            (Some(before), at) if before.bytes == at && self.text.is_empty() => {
                return finish(txn, call, before, latest);
            }
            (Some(before), at) if before.bytes == at => {
                let text = [before.open.as_str(), &self.text].concat();
                (before, text)
            }
            (Some(before), at) => {
                let why =
                    format!("at: the import has come to {}, and this piece is of {at}; begin it again", before.bytes);
                return Err(conflict(why));
            }
            (None, _) => return Err(conflict("no import is under way; begin one with the first piece of a file")),
        };
        (importing.bytes, importing.latest) = (self.at + self.text.len() as u64, latest);
        take(txn, &mut importing, &text)?;
        record::put(txn, key::importing(), &importing);
        Ok(Imported { at: importing.bytes, records: None })
    }
}

/// The answer to a piece that was taken before and is sent again, because its answer was lost.
fn answered(txn: &dyn ReadTxn, latest: Option<(u32, Key)>) -> Result<Option<Imported>, StoreError> {
    for (key, is_finished) in [(key::importing(), false), (key::imported(), true)] {
        let found = record::get::<Importing>(txn, &key)?;
        if let Some(found) = found.filter(|found| latest.is_some() && found.latest == latest) {
            return Ok(Some(Imported { at: found.bytes, records: is_finished.then_some(found.records) }));
        }
    }
    Ok(None)
}

/// Checks the first line and removes existing records; for a file with secrets also the registry's own. Returns the
/// progress and the text after the line, or `None` if more records are to be removed. Refuses another format or secret
/// key, a schema that is not migrated, and a registry that is not empty.
fn begin(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    text: &str,
    before: Option<Importing>,
) -> Result<Option<(Importing, String)>, Fault> {
    let foreign = || bad_line(1, "this is no export of enrolld");
    let (line, text) = text.split_once('\n').ok_or_else(foreign)?;
    let header = serde_json::from_str::<Header>(without_mark(line)).map_err(|_| foreign())?;
    let registry = record::get::<Registry>(txn.as_read(), &key::registry())?;
    let registry = registry.ok_or_else(|| StoreError::Corrupt("there is no registry".to_owned()))?;
    expect_readable(&header)?;
    let has_other_hashes = header.with_secrets && txn.get(&key::hashing_key())?.is_some() && before.is_none();
    if header.with_secrets && (header.proof != Some(hex::encode(&registry.proof)) || has_other_hashes) {
        return Err(conflict(
            "this export was made under another secret key; start a new registry with the key of the one that was \
             exported, or export it without secrets",
        ));
    }
    let is_brought = match &before {
        Some(before) => before.is_brought,
        None => {
            require_empty(txn.as_read())?;
            let own = record::get::<certificate::Authority>(txn.as_read(), &key::authority())?;
            own.is_some_and(|own| own.sealed.is_none())
        }
    };
    let Header { with_secrets, schema, .. } = header;
    let mut importing = Importing { is_brought, with_secrets, schema, lines: 1, ..Importing::default() };
    if !clear(txn)? {
        record::put(txn, key::importing(), &importing);
        return Ok(None);
    }
    record::put(txn, key::registry(), &Registry { created: header.created, ..registry });
    record::put(txn, key::changes_head(), &ChangesHead { at: call.ctx.now, ..ChangesHead::default() });
    if importing.with_secrets {
        for family in [Family::SigningKeys, Family::Dues] {
            let (from, to) = family.bounds();
            for (key, _) in txn.as_read().range(&from, &to, usize::MAX)? {
                txn.delete(key);
            }
        }
        [key::authority(), key::list_head(), key::hashing_key()].into_iter().for_each(|key| txn.delete(key));
    }
    importing.records.clear();
    Ok(Some((importing, text.to_owned())))
}

/// Refuses a file that this version can not read, and names the one that can.
fn expect_readable(header: &Header) -> Result<(), Fault> {
    let Header { enrolld_export: format, schema, version, .. } = header;
    if *format == FORMAT && (OLDEST_SCHEMA..=SCHEMA).contains(schema) {
        return Ok(());
    }
    let way_out = if *schema < OLDEST_SCHEMA { "that version, then update" } else { "that version or a later one" };
    Err(conflict(format!(
        "enrolld {version} wrote this export with format {format} and schema {schema}, and this version reads format \
         {FORMAT} and schemas {OLDEST_SCHEMA} to {SCHEMA}; import it with {way_out}"
    )))
}

/// Refuses a registry with more than the records of its first start. Kept answers, counted guesses, renewals of the
/// revocation list and steps of the clock are allowed: they occur without any write that succeeded.
fn require_empty(txn: &dyn ReadTxn) -> Result<(), Fault> {
    let not_empty = |what: &str| {
        conflict(format!(
            "an import needs an empty registry, and this one has a {what}; start a daemon with another state directory"
        ))
    };
    for shape in shapes() {
        let Keys::Many(family, _) = shape.keys else { continue };
        let (from, to) = family.bounds();
        match family {
            Family::Roles | Family::SigningKeys | Family::Kept | Family::KeptParts | Family::Guesses | Family::Dues => {
            }
            Family::Changes => {
                walk(txn, (&from, &to), SCAN_CHUNK, |_, value| {
                    match record::decode::<ChainedChange>(value)?.change.what {
                        LISTED | CLOCK | ACCEPTED => Ok(ControlFlow::Continue(())),
                        _ => Err(not_empty(shape.name)),
                    }
                })?
            }
            _ if !txn.range(&from, &to, 1)?.is_empty() => return Err(not_empty(shape.name)),
            _ => {}
        }
    }
    Ok(())
}

/// Removes a bounded number of records, except those that every registry has. Returns true if none are left.
fn clear(txn: &mut dyn Txn) -> Result<bool, Fault> {
    let list = record::get::<certificate::ListHead>(txn.as_read(), &key::list_head())?;
    let list_due = list.map(|list| key::due(list.due, &Due::List));
    let stays =
        |key: &[u8]| key::is_of_registry(key) || Family::SigningKeys.holds(key) || list_due.as_deref() == Some(key);
    let mut keys = Vec::new();
    let (from, to) = key::everything();
    walk(txn.as_read(), (&from, &to), SCAN_CHUNK, |key, _| {
        if !stays(key) {
            keys.push(key.to_owned());
        }
        Ok::<_, StoreError>(if keys.len() < REMOVED_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    let is_all = keys.len() < REMOVED_MAX;
    keys.into_iter().for_each(|key| txn.delete(key));
    Ok(is_all)
}

/// Writes the records of whole lines and keeps the incomplete last one. Refuses a bad line by its number.
fn take(txn: &mut dyn Txn, importing: &mut Importing, text: &str) -> Result<(), Fault> {
    let mut rest = text;
    while let Some((line, following)) = rest.split_once('\n') {
        rest = following;
        importing.lines += 1;
        let number = importing.lines;
        let bad = |why: &str| bad_line(number, why);
        if importing.is_read {
            return Err(bad("something follows the last line"));
        }
        if let Ok(End { enrolld_export_end: written }) = serde_json::from_str(line) {
            let count: u64 = importing.records.values().sum();
            if count != written {
                return Err(bad(&format!("{written} records were written, and {count} are here")));
            }
            Chain::PRESENT.finish(txn, importing.schema, &mut |_, _| ())?;
            importing.is_read = true;
            continue;
        }
        let (shape, key, value) = export_schema::entry(line).map_err(|why| bad(&why))?;
        if shape.is_secret && !importing.with_secrets {
            return Err(bad(&format!("a {} in an export without secrets", shape.name)));
        }
        let count = importing.records.entry(shape.name.to_owned()).or_default();
        let is_twice = match shape.keys {
            Keys::One(_) => *count > 0,
            Keys::Many(..) => txn.get(&key)?.is_some(),
        };
        if is_twice {
            return Err(bad(&format!("this {} stands there twice", shape.name)));
        }
        *count += 1;
        if key == key::list_head() {
            // A start in the middle of the import may have begun a list.
            authority::unplan_list(txn)?;
        }
        txn.put(key, value);
    }
    if rest.len() > LINE_BYTES_MAX {
        return Err(bad_line(importing.lines + 1, "the line is too long"));
    }
    importing.open = rest.to_owned();
    Ok(())
}

/// Ends the import. Refuses a file that is not whole, violates an invariant, or has keys that can not be used here.
fn finish(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    importing: Importing,
    latest: Option<(u32, Key)>,
) -> Result<Imported, Fault> {
    if !importing.is_read || !importing.open.is_empty() {
        return Err(bad_line(importing.lines + 1, "the file is cut off here, or continues after its last line"));
    }
    let judgement = match &call.ctx.made {
        Some(Made::ImportCheck(judgement)) if judgement.importing == importing => judgement,
        _ => return Err(Fault::Needs(Needed::ImportCheck)),
    };
    if let [first, rest @ ..] = judgement.violations.as_slice() {
        return Err(conflict(format!(
            "this export does not hold: {} {}: {}, and {} more; begin again with a file that does",
            first.invariant,
            first.subject,
            first.message,
            rest.len()
        )));
    }
    let identity = &call.ctx.identity;
    let unusable = |err: RegistryError| conflict(format!("this export can not be used here: {err}"));
    let secrets = bootstrap::hashes(txn.as_read(), (*identity.secrets).clone()).map_err(unusable)?;
    bootstrap::key_ring(txn.as_read(), &secrets).map_err(unusable)?;
    if importing.is_brought {
        let since = (call.ctx.now, call.ctx.settings.list_seconds);
        authority::adopt(txn, &identity.authority, since).map_err(unusable)?;
    } else if authority::open(txn.as_read(), &secrets).map_err(unusable)?.is_none() {
        return Err(conflict(
            "the authority of this export was brought along; start the daemon with that one, then begin again",
        ));
    }
    txn.delete(key::importing());
    record::put(txn, key::imported(), &Importing { latest, ..importing.clone() });
    Ok(Imported { at: importing.bytes, records: Some(importing.records) })
}

fn bad_line(line: u64, why: &str) -> Fault {
    Refusal::new(Code::INVALID_ARGUMENT, format!("line {line}: {why}")).into()
}

fn conflict(why: impl Into<String>) -> Fault {
    Refusal::new(Code::CONFLICT, why.into()).into()
}
