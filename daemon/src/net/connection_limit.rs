//! The connection limit: so many connections at once, and so many of one user.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Limits;

/// The connections that are open.
#[derive(Debug, Default)]
pub(super) struct ConnectionLimit(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    connections: usize,
    of_uid: BTreeMap<u32, usize>,
}

/// One open connection, counted until this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    limit: Arc<ConnectionLimit>,
    uid: u32,
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
    /// Counts a connection of this user, if the limits of this moment leave room for it.
    pub(super) fn take(self: &Arc<Self>, uid: u32, limits: &Limits) -> Result<Slot, Full> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.connections >= limits.connections {
            return Err(Full::All);
        }
        let of_uid = taken.of_uid.entry(uid).or_default();
        if *of_uid >= limits.connections_per_uid {
            return Err(Full::Uid);
        }
        *of_uid += 1;
        taken.connections += 1;
        Ok(Slot { limit: Arc::clone(self), uid })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.limit.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.connections -= 1;
        if let Some(of_uid) = taken.of_uid.get_mut(&self.uid) {
            *of_uid -= 1;
            if *of_uid == 0 {
                taken.of_uid.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn one_user_can_not_take_the_room_of_the_others() {
        let limits = Limits { connections: 3, connections_per_uid: 2, ..Config::default().limits() };
        let room = Arc::new(ConnectionLimit::default());
        let mut slots: Vec<Slot> = (0..2).map(|_| room.take(7, &limits).expect("room")).collect();
        assert_eq!(room.take(7, &limits).err(), Some(Full::Uid));
        slots.push(room.take(8, &limits).expect("room"));
        assert_eq!(room.take(9, &limits).err(), Some(Full::All));
        drop(slots.swap_remove(0));
        slots.push(room.take(7, &limits).expect("room again"));
        slots.clear();
        let taken = room.0.lock().expect("not poisoned");
        assert_eq!((taken.connections, taken.of_uid.len()), (0, 0), "nothing is remembered of who is gone");
    }
}
