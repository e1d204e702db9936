//! The memory of a session: what it holds, what its requests reserve of the memory budget, and when it waits for room.

use std::sync::{Mutex, PoisonError};

use super::Session;
use crate::net::memory_budget::Charge;
use crate::net::request_memory::{SMALL_FRAME_BYTES, request_bytes};
use crate::net::socket::Socket;

/// One step of a stream.
const STEP_BYTES: usize = 128 << 10;

/// Bytes written to a socket after which the kernel is asked how many of them the peer has not read.
const LOOK_BYTES: usize = 16 << 10;

/// Keeps what the requests in flight have reserved, until the last of them is answered: also where their connection has
/// ended, and the writer has them still.
#[derive(Debug, Default)]
pub(super) struct InFlight(Mutex<Option<Charge>>);

impl<S: Socket> Session<S> {
    /// Reserves what the frame at the front will take from its first byte to its answer; the reservation of its request.
    /// `None` if the session waits for room. A frame that is not whole has its reservation before more of it is read.
    pub(super) fn reserve_frame(&mut self) -> Option<usize> {
        let front = self.frames.announced().filter(|front| front.is_whole || !self.input_ended);
        let Some((front, operation)) = front.and_then(|front| Some((front, front.operation?))) else {
            self.frame_reserved = 0;
            return Some(0);
        };
        if !front.is_whole && front.bytes <= SMALL_FRAME_BYTES {
            return Some(0);
        }
        let request = request_bytes(self.encoding, operation, front.bytes, self.limits.frame_bytes_max);
        let all = front.bytes.max(self.frames.capacity()) + request;
        if !self.memory.reserve(self.held() - self.frame_bytes(), all) {
            return None;
        }
        self.frame_reserved = if front.is_whole { 0 } else { all };
        Some(request)
    }

    /// True if a stream may take a step; waits for memory otherwise. A walk has reserved what it takes.
    pub(super) fn may_make_step(&mut self) -> bool {
        self.memory.may_answer(self.held() - self.subscriptions.reserved(), STEP_BYTES)
    }

    /// Gives up memory that is not needed and counts the rest.
    pub(super) fn settle_memory(&mut self) {
        self.frames.trim();
        if self.outbox.unread() > LOOK_BYTES {
            // Where the kernel does not say, it holds what was written.
            let unread = self.socket.unread_bytes().unwrap_or_else(|_| self.outbox.unread());
            self.outbox.note_unread(unread);
            self.deadlines.note_look(unread > LOOK_BYTES);
        }
        self.memory.settle(self.held());
    }

    /// The bytes that this connection makes the daemon hold.
    pub(super) fn held(&self) -> usize {
        self.frame_bytes() + self.outbox.capacity() + self.reserved + self.subscriptions.reserved()
    }

    fn frame_bytes(&self) -> usize {
        self.frames.capacity().max(self.frame_reserved)
    }
}

impl<S: Socket> Drop for Session<S> {
    fn drop(&mut self) {
        if self.reserved > 0 {
            let charge = self.memory.split_off(self.reserved);
            *self.in_flight_memory.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(charge);
        }
    }
}
