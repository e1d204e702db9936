//! The connection limit: so many connections at once, so many of one user, and some more that are only for administrators.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Limits;

/// The connections that are open.
#[derive(Debug, Default)]
pub(super) struct ConnectionLimit(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    /// Without the reserved ones.
    connections: usize,
    of_uid: BTreeMap<u32, usize>,
    /// Open connections among those that are only for administrators.
    reserved: usize,
}

/// One open connection, counted until this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    limit: Arc<ConnectionLimit>,
    /// The user it counts for; `None` for a reserved one.
    uid: Option<u32>,
}

/// The limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// That of all connections.
    All,
    /// That of this user.
    Uid,
}

impl ConnectionLimit {
    /// Counts a connection of this user, if the limits of this moment leave room for it. An administrator who finds none
    /// has one of the reserved connections.
    pub(super) fn take(self: &Arc<Self>, uid: u32, is_admin: bool, limits: &Limits) -> Result<Slot, Full> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_uid = taken.of_uid.get(&uid).copied().unwrap_or(0);
        let full = match () {
            () if taken.connections >= limits.connections => Full::All,
            () if of_uid >= limits.connections_per_uid => Full::Uid,
            () => {
                taken.connections += 1;
                taken.of_uid.insert(uid, of_uid + 1);
                return Ok(Slot { limit: Arc::clone(self), uid: Some(uid) });
            }
        };
        if !is_admin || taken.reserved >= limits.admin_connections {
            return Err(full);
        }
        taken.reserved += 1;
        Ok(Slot { limit: Arc::clone(self), uid: None })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.limit.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(uid) = self.uid else {
            taken.reserved -= 1;
            return;
        };
        taken.connections -= 1;
        if let Some(of_uid) = taken.of_uid.get_mut(&uid) {
            *of_uid -= 1;
            if *of_uid == 0 {
                taken.of_uid.remove(&uid);
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
        drop(slots.swap_remove(0));
        slots.push(room.take(7, false, &limits).expect("room again"));
        slots.clear();
        let taken = room.0.lock().expect("not poisoned");
        let counts = (taken.connections, taken.of_uid.len(), taken.reserved);
        assert_eq!(counts, (0, 0, 0), "nothing is remembered of who is gone");
    }
}
