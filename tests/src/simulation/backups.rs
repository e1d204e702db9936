//! Backups in a simulation: taken by the daemon's own walk over a snapshot while others write, and restored by the code of
//! `enrolld restore` in place of disks. What came after a backup's number is forgotten with them.

use std::io::Cursor;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use enroll_core::context::{Context, Peer};
use enroll_core::fault::Fault;
use enroll_protocol::backup::{Header, Part, Position, Reader};
use enroll_protocol::encoding::Encoding;
use enroll_protocol::frame::{Frame, FrameKind};
use enroll_protocol::server::{Backup as BackUp, Piece};
use enroll_protocol::{Envelope, Operation, Time, codec};
use enrolld::dispatch::{self, Items, Job, Look};
use enrolld::offline::restore_into;
use enrolld::storage::journal::Mark;
use enrolld::storage::redb::{RedbOptions, RedbStore};
use serde::de::DeserializeOwned;

use super::core::Core;
use super::model::Model;
use crate::disk::SimulatedDisk;
use crate::machine::Platters;
use crate::oracle::{Map, everything};
use crate::registry::foundation::secrets;

/// A backup, and the model as it was then.
pub(super) struct Backup {
    /// The number of the latest change in it.
    pub(super) seq: u64,
    pub(super) model: Rc<Model>,
    bytes: Vec<u8>,
}

impl Backup {
    /// Keeps these bytes, which must be those of a backup up to this change.
    pub(super) fn of(bytes: Vec<u8>, seq: u64, model: Rc<Model>) -> Result<Self, String> {
        let mut reader = Reader::new();
        reader.push(&bytes);
        match reader.next_part().map_err(|err| err.to_string())? {
            Some(Part::Header(header)) if header.changes_head == seq => Ok(Self { seq, model, bytes }),
            Some(Part::Header(header)) => {
                Err(format!("a backup up to {}, and the latest is {seq}", header.changes_head))
            }
            _ => Err("a backup without a header".to_owned()),
        }
    }

    /// New disks with what is in it, and that.
    pub(super) fn restored(&self) -> Result<(Platters, Map), String> {
        let (store, disk, _) = filled(&self.bytes)?;
        let there = everything(&store).map_err(|err| err.to_string())?;
        drop(store);
        Ok((Platters::of(disk.live()), there))
    }
}

/// New disks with what is in this backup of a member of a cluster, for another one that joins; and its place in the journal.
pub(super) fn joining(bytes: &[u8]) -> Result<(Platters, Position), String> {
    let (store, disk, header) = filled(bytes)?;
    let position = header.journal.ok_or("a backup of a member that has no place in the journal")?;
    store.set_mark(&Mark::at(&position)).map_err(|err| err.to_string())?;
    drop(store);
    Ok((Platters::of(disk.live()), position))
}

/// A database with what is in a backup, its disk, and the backup's header.
fn filled(bytes: &[u8]) -> Result<(RedbStore, Arc<SimulatedDisk>, Header), String> {
    let disk = Arc::new(SimulatedDisk::holding(Vec::new()));
    let options = RedbOptions { cache_bytes: 1 << 20, verify: true };
    let store = RedbStore::open_on(disk.clone(), options).map_err(|err| err.to_string())?;
    let bytes = Box::new(Cursor::new(bytes.to_vec()));
    let header = restore_into(&store, bytes, &secrets()).map_err(|err| format!("a backup is not restored: {err}"))?;
    Ok((store, disk, header))
}

impl Core {
    /// The bytes of a backup of this moment.
    pub(super) fn back_up(&self, peer: Peer, now: Time, seed: [u8; 32]) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        self.walk(&BackUp {}, peer, (now, seed), |piece: Piece| bytes.extend(piece.0))?;
        Ok(bytes)
    }

    /// Walks over what the registry holds now, as this operation does, and gives each item.
    pub(super) fn walk<O: Operation, I: DeserializeOwned>(
        &self,
        operation: &O,
        peer: Peer,
        (now, seed): (Time, [u8; 32]),
        mut give: impl FnMut(I),
    ) -> Result<(), Fault> {
        let body = [codec::encode(&Envelope::default()), codec::encode(operation)].concat();
        let frame = Frame { kind: FrameKind::Request, operation: O::ROW.number, id: 1, body: &body };
        let (_, envelope, job) = dispatch::request(&frame, Encoding::Binary, &peer)?;
        let Job::Look(Look::Items(Items::Walk(job))) = job else {
            return Err(Fault::Broken(format!("{} is no walk", O::ROW.name)));
        };
        let ctx: Context = self.shared.daemon.context(now, seed, peer, envelope)?;
        let (view, mut unread) = (self.seen.view()?, None);
        dispatch::run_walk(&*job, &self.shared.daemon, &*view, ctx, &mut |item| match codec::decode::<I>(&item) {
            Ok(item) => {
                give(item);
                ControlFlow::Continue(())
            }
            Err(err) => {
                unread = Some(err.to_string());
                ControlFlow::Break(())
            }
        })?;
        unread.map_or(Ok(()), |why| Err(Fault::Broken(why)))
    }
}
