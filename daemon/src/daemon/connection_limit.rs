//! The connection limit: so many connections at once, so many of one user, and some more that are only for administrators.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use enroll_protocol::server::UidConnections;

use crate::config::Limits;

/// Uids whose connections are shown; those of the others are one sum.
const SHOWN_MAX: usize = 16;

/// The connections that are open.
#[derive(Debug, Default)]
pub struct ConnectionLimit(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    /// Without the reserved ones.
    connections: usize,
    of_uid: BTreeMap<u32, usize>,
    /// Open connections among those that are only for administrators.
    reserved: usize,
    reserved_of_uid: BTreeMap<u32, usize>,
}

/// One open connection, counted until this is dropped.
#[derive(Debug)]
pub struct Slot {
    limit: Arc<ConnectionLimit>,
    uid: u32,
    /// True for one of those that are only for administrators, which does not count for its user.
    is_reserved: bool,
}

/// The limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The limit of all connections.
    All,
    /// The limit of this user.
    Uid,
}

impl ConnectionLimit {
    /// Counts a connection of this user, if the limits of this moment leave room for it. An administrator who finds none
    /// has one of the reserved connections.
    pub fn take(self: &Arc<Self>, uid: u32, is_admin: bool, limits: &Limits) -> Result<Slot, Full> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_uid = taken.of_uid.get(&uid).copied().unwrap_or(0);
        let full = match () {
            () if taken.connections >= limits.connections => Full::All,
            () if of_uid >= limits.connections_per_uid => Full::Uid,
            () => {
                taken.connections += 1;
                taken.of_uid.insert(uid, of_uid + 1);
                return Ok(Slot { limit: Arc::clone(self), uid, is_reserved: false });
            }
        };
        if !is_admin || taken.reserved >= limits.admin_connections {
            return Err(full);
        }
        taken.reserved += 1;
        *taken.reserved_of_uid.entry(uid).or_default() += 1;
        Ok(Slot { limit: Arc::clone(self), uid, is_reserved: true })
    }

    /// The open connections by uid, most first: 16 uids, and the others as one.
    pub fn by_uid(&self) -> Vec<UidConnections> {
        let mut all = {
            let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let mut all = taken.of_uid.clone();
            taken.reserved_of_uid.iter().for_each(|(uid, count)| *all.entry(*uid).or_default() += count);
            Vec::from_iter(all)
        };
        all.sort_by_key(|(uid, count)| (Reverse(*count), *uid));
        let others = all.split_off(all.len().min(SHOWN_MAX)).into_iter().map(|(_, count)| count).sum::<usize>();
        let shown = all.into_iter().map(|(uid, count)| (Some(uid), count));
        shown
            .chain((others > 0).then_some((None, others)))
            .map(|(uid, count)| UidConnections { uid, connections: count as u64 })
            .collect()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.limit.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Taken { connections, of_uid, reserved, reserved_of_uid } = &mut *taken;
        let (all, by_uid) = if self.is_reserved { (reserved, reserved_of_uid) } else { (connections, of_uid) };
        *all -= 1;
        if let Some(count) = by_uid.get_mut(&self.uid) {
            *count -= 1;
            if *count == 0 {
                by_uid.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn one_user_can_not_take_the_room_of_the_others_and_nobody_that_of_administrators() {
        let limits =
            Limits { connections: 3, connections_per_uid: 2, admin_connections: 1, ..Config::default().limits() };
        let room = Arc::new(ConnectionLimit::default());
        let mut slots: Vec<Slot> = (0..2).map(|_| room.take(7, false, &limits).expect("room")).collect();
        assert_eq!(room.take(7, false, &limits).err(), Some(Full::Uid));
        slots.push(room.take(8, false, &limits).expect("room"));
        assert_eq!(room.take(9, false, &limits).err(), Some(Full::All));
        let admin = room.take(0, true, &limits).expect("a reserved one");
        assert_eq!(room.take(0, true, &limits).err(), Some(Full::All));
        drop(admin);
        slots.push(room.take(7, true, &limits).expect("a reserved one, past the limit of its uid"));
        let shown = |uid, connections| UidConnections { uid: Some(uid), connections };
        assert_eq!(room.by_uid(), [shown(7, 3), shown(8, 1)]);
        drop(slots.swap_remove(0));
        slots.push(room.take(7, false, &limits).expect("room again"));
        slots.clear();
        let taken = room.0.lock().expect("not poisoned");
        let counts = (taken.connections, taken.of_uid.len(), taken.reserved, taken.reserved_of_uid.len());
        assert_eq!(counts, (0, 0, 0, 0), "nothing is remembered of who is gone");
    }

    #[test]
    fn the_uids_with_the_fewest_connections_are_shown_as_one() {
        let (limits, room) = (Config::default().limits(), Arc::new(ConnectionLimit::default()));
        let uids = (0..20).chain([19]);
        let _slots: Vec<Slot> = uids.map(|uid| room.take(uid, false, &limits).expect("room")).collect();
        let shown = room.by_uid();
        assert_eq!((shown.len(), shown[0].uid, shown[0].connections), (SHOWN_MAX + 1, Some(19), 2));
        assert_eq!(shown[SHOWN_MAX], UidConnections { uid: None, connections: 4 });
    }
}
