//! Room for connections: so many at once, and so many of one user, whatever they say or do not say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Limits;

/// Who takes how much room.
#[derive(Debug, Default)]
pub(crate) struct Room(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    connections: usize,
    of_uid: BTreeMap<u32, usize>,
}

/// One connection's place, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    room: Arc<Room>,
    uid: u32,
}

/// What there is no more room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// Connections.
    Room,
    /// Connections of this user.
    Uid,
}

impl Room {
    /// A place for a connection of this user, within what the limits of this moment leave.
    pub(crate) fn take(self: &Arc<Self>, uid: u32, limits: &Limits) -> Result<Place, Full> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.connections >= limits.connections {
            return Err(Full::Room);
        }
        let of_uid = taken.of_uid.entry(uid).or_default();
        if *of_uid >= limits.connections_per_uid {
            return Err(Full::Uid);
        }
        *of_uid += 1;
        taken.connections += 1;
        Ok(Place { room: Arc::clone(self), uid })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.0.lock().unwrap_or_else(PoisonError::into_inner);
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
        let room = Arc::new(Room::default());
        let mut places: Vec<Place> = (0..2).map(|_| room.take(7, &limits).expect("room")).collect();
        assert_eq!(room.take(7, &limits).err(), Some(Full::Uid));
        places.push(room.take(8, &limits).expect("room"));
        assert_eq!(room.take(9, &limits).err(), Some(Full::Room));
        drop(places.swap_remove(0));
        places.push(room.take(7, &limits).expect("room again"));
        places.clear();
        let taken = room.0.lock().expect("not poisoned");
        assert_eq!((taken.connections, taken.of_uid.len()), (0, 0), "nothing is remembered of who is gone");
    }
}
