//! A simulated disk in memory, under the real store, with faults and power losses. It keeps apart what a sync has made
//! durable and what was only written, and does what disks do at the worst moment: it fails at a call, loses its power
//! at a call, or says that it synced and did not. Disks of one machine share their power, and the count of their calls.
//!
//! The image after a power loss is drawn: of every write that was not synced some pieces are there and others are
//! not, so later ones may be there without the earlier, whole ones or torn.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use enrolld::storage::disk::{Disk, Space};
use rand::RngExt as _;
use rand::rngs::SmallRng;

/// Bytes at the front that the database writes with every commit, and where its commits are decided.
const HEADER: u64 = 320;

/// The fault to inject into a disk, or into one of several that share their power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    None,
    /// The power is lost at the write, cut or sync of this number, counted from 0; reads before it do not count.
    PowerLoss(u64),
    /// The call of this number fails, reads too, and all later ones are fine.
    FailsOnce(u64),
    /// The call of this number fails, reads included, and all calls after it.
    FailsFrom(u64),
}

/// State that the disks of one machine share.
#[derive(Debug)]
pub(crate) struct Power {
    count: Mutex<Count>,
    /// Free bytes of the disks.
    free: AtomicU64,
}

#[derive(Debug)]
struct Count {
    fate: Fate,
    calls: u64,
    has_met_its_fate: bool,
    /// Somebody looks who is no part of the machine.
    is_watched: bool,
    /// The process is gone, and calls nothing any more.
    has_crashed: bool,
}

/// A disk in memory.
#[derive(Debug)]
pub struct SimulatedDisk {
    power: Arc<Power>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Bytes that a sync has made durable.
    durable: Vec<u8>,
    /// Bytes that a read sees.
    live: Vec<u8>,
    /// Calls since the last sync, in order.
    pending: Vec<Pending>,
    /// Syncs return, and nothing is durable.
    lies: bool,
    /// Offset of the latest write.
    written_at: Option<u64>,
    /// The power was lost at a call of this disk.
    is_where_power_was_lost: bool,
}

/// Dirty pages of a disk in the system's page cache. A later process sees them, and a sync makes them durable.
#[derive(Debug, Clone)]
pub(crate) struct Unsynced {
    durable: Vec<u8>,
    pending: Vec<Pending>,
}

#[derive(Debug, Clone)]
enum Pending {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Look,
    Change,
}

impl Power {
    /// Nothing was called yet.
    pub(crate) fn with(fate: Fate) -> Arc<Self> {
        let count =
            Mutex::new(Count { fate, calls: 0, has_met_its_fate: false, is_watched: false, has_crashed: false });
        Arc::new(Self { count, free: AtomicU64::new(u64::MAX) })
    }

    /// The fault to inject.
    pub(crate) fn fate(&self) -> Fate {
        self.count().fate
    }

    /// True once the fault was injected.
    pub(crate) fn has_met_its_fate(&self) -> bool {
        self.count().has_met_its_fate
    }

    /// Counts a call. `Ok(false)`: it is done as far as the power lasts, and fails.
    pub(crate) fn call(&self, call: Call) -> io::Result<bool> {
        let mut count = self.count();
        if count.has_crashed {
            return Err(failure("the process is gone"));
        }
        if count.is_watched {
            return Ok(true);
        }
        let counts = call == Call::Change || !matches!(count.fate, Fate::PowerLoss(_));
        let number = count.calls;
        count.calls += u64::from(counts);
        let comes = match count.fate {
            Fate::None => return Ok(true),
            Fate::PowerLoss(at) if count.has_met_its_fate || (counts && number >= at) => {
                let was_on = !std::mem::replace(&mut count.has_met_its_fate, true);
                return if was_on { Ok(false) } else { Err(failure("the power is off")) };
            }
            Fate::PowerLoss(_) => false,
            Fate::FailsOnce(at) => number == at,
            Fate::FailsFrom(at) => number >= at,
        };
        count.has_met_its_fate |= comes;
        if comes { Err(failure("input/output error")) } else { Ok(true) }
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets calls be done without a fault and without being counted, or no longer.
    pub(crate) fn watch(&self, is_watched: bool) {
        self.count().is_watched = is_watched;
    }

    /// Does nothing of what is called from now on: it comes from what is left of a process that has crashed.
    pub(crate) fn crash(&self) {
        self.count().has_crashed = true;
    }

    /// Sets the free bytes of the disks.
    pub(crate) fn set_free_bytes(&self, bytes: u64) {
        self.free.store(bytes, Ordering::Relaxed);
    }
}

impl SimulatedDisk {
    /// A disk that holds this, by itself; nothing befalls it.
    pub fn holding(image: Vec<u8>) -> Self {
        Self::sharing(&Power::with(Fate::None), image, false)
    }

    /// A disk of a machine. One that lies says that it synced and did not.
    pub(crate) fn sharing(power: &Arc<Power>, image: Vec<u8>, lies: bool) -> Self {
        let state = State {
            durable: image.clone(),
            live: image,
            pending: Vec::new(),
            lies,
            written_at: None,
            is_where_power_was_lost: false,
        };
        Self { power: Arc::clone(power), state: Mutex::new(state) }
    }

    /// The same disk for another process, with what the one before has not synced.
    pub(crate) fn with_unsynced(self, unsynced: Option<Unsynced>) -> Self {
        if let Some(Unsynced { durable, pending }) = unsynced {
            let mut state = self.state();
            (state.durable, state.pending) = (durable, pending);
        }
        self
    }

    /// Its dirty pages, if there are any.
    pub(crate) fn unsynced(&self) -> Option<Unsynced> {
        let state = self.state();
        let unsynced = || Unsynced { durable: state.durable.clone(), pending: state.pending.clone() };
        (!state.pending.is_empty()).then(unsynced)
    }

    /// Offset of the latest write, if there was one.
    pub(crate) fn written_at(&self) -> Option<u64> {
        self.state().written_at
    }

    /// True if the power was lost at a call of this disk.
    pub(crate) fn is_where_power_was_lost(&self) -> bool {
        self.state().is_where_power_was_lost
    }

    /// The image after a process has ended: the power stays on.
    pub fn live(&self) -> Vec<u8> {
        self.state().live.clone()
    }

    /// An image that a power loss now may leave, drawn at random.
    pub fn after_power_loss(&self, random: &mut SmallRng) -> Vec<u8> {
        let state = self.state();
        let chance = [0.0, 0.05, 0.5, 0.9, 0.99, 1.0][random.random_range(0..6)];
        let piece = [None, Some(64), Some(512), Some(4096)][random.random_range(0..4)];
        let (is_torn, is_cut) = (random.random_bool(0.25), random.random_bool(0.5));
        let header = [None, None, Some(true), Some(false)][random.random_range(0..4)];
        let mut image = state.durable.clone();
        for pending in &state.pending {
            match pending {
                Pending::SetLen(bytes) => {
                    if random.random_bool(chance) {
                        image.resize(length(*bytes), 0);
                    }
                }
                Pending::Write(offset, bytes) => {
                    let range = if is_torn { torn(bytes.len(), random) } else { 0..bytes.len() };
                    let mut at = range.start;
                    while at < range.end {
                        let place = offset + at as u64;
                        // Pieces lie where a disk's sectors lie, whatever a write's own beginning.
                        let end = piece.map_or(range.end, |piece| at + piece - length(place) % piece).min(range.end);
                        let is_kept = match header {
                            Some(kept) if place < HEADER => kept,
                            _ => random.random_bool(chance),
                        };
                        if is_kept {
                            put(&mut image, place, &bytes[at..end], is_cut);
                        }
                        at = end;
                    }
                }
            }
        }
        image
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts a call that changes something. `Ok(false)`: the power was lost at it.
    fn change(&mut self, power: &Power) -> io::Result<bool> {
        let is_on = power.call(Call::Change)?;
        self.is_where_power_was_lost |= !is_on;
        Ok(is_on)
    }

    fn put(&mut self, power: &Power, pending: Pending) -> io::Result<()> {
        let is_on = self.change(power)?;
        match &pending {
            Pending::Write(offset, bytes) => {
                put(&mut self.live, *offset, bytes, false);
                self.written_at = Some(*offset);
            }
            Pending::SetLen(bytes) => self.live.resize(length(*bytes), 0),
        }
        self.pending.push(pending);
        if is_on { Ok(()) } else { Err(failure("the power was lost")) }
    }
}

impl Space for SimulatedDisk {
    fn bytes(&self) -> io::Result<u64> {
        self.power.call(Call::Look)?;
        Ok(self.state().live.len() as u64)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.power.free.load(Ordering::Relaxed))
    }
}

impl Disk for SimulatedDisk {
    fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.power.call(Call::Look)?;
        let state = self.state();
        let from = length(offset);
        let found = state.live.get(from..from + bytes.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        bytes.copy_from_slice(found);
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.state().put(&self.power, Pending::Write(offset, bytes.to_vec()))
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.state().put(&self.power, Pending::SetLen(bytes))
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state();
        let state = &mut *state;
        if !state.change(&self.power)? {
            return Err(failure("the power was lost"));
        }
        if !state.lies {
            for pending in state.pending.drain(..) {
                match pending {
                    Pending::Write(offset, bytes) => put(&mut state.durable, offset, &bytes, false),
                    Pending::SetLen(bytes) => state.durable.resize(length(bytes), 0),
                }
            }
        }
        Ok(())
    }
}

/// Puts bytes into an image. Bytes after its end extend it, or are lost.
fn put(image: &mut Vec<u8>, offset: u64, bytes: &[u8], is_cut: bool) {
    let from = length(offset);
    let mut to = from + bytes.len();
    if is_cut {
        to = to.min(image.len());
    } else if image.len() < to {
        image.resize(to, 0);
    }
    if from < to {
        image[from..to].copy_from_slice(&bytes[..to - from]);
    }
}

/// The front or the back of a write.
fn torn(bytes: usize, random: &mut SmallRng) -> std::ops::Range<usize> {
    let at = random.random_range(0..=bytes);
    if random.random_bool(0.5) { 0..at } else { at..bytes }
}

pub(crate) fn failure(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
