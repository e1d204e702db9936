//! Memory trimming: free memory goes back to the system after a burst of connections. The allocator keeps free memory that
//! lies between allocations still in use, and a burst leaves many such gaps.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::{process, sys};

/// Pause between the end of a connection and the look for a burst: others end with it.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Pause after memory was given back: connections that stay busy would only take it again.
const REST: Duration = Duration::from_secs(10);

/// Growth of the process since memory was last given back from which it is worth giving back.
const BURST_BYTES: u64 = 32 << 20;

/// Gives back what is free whenever connections have ended, and a burst with them.
pub(crate) async fn give_back(ended: Arc<Notify>) {
    let mut least = process::resident_bytes();
    loop {
        ended.notified().await;
        sleep(LOOK_PAUSE).await;
        let resident = process::resident_bytes();
        least = least.min(resident);
        if resident < least + BURST_BYTES {
            continue;
        }
        if spawn_blocking(sys::give_memory_back).await.is_err() {
            return;
        }
        least = process::resident_bytes();
        tracing::debug!(before = resident, after = least, "memory was given back");
        sleep(REST).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_what_is_in_use_is_given_back() {
        const PIECES: usize = 4000;
        let large: Vec<_> = (0..PIECES).map(|_| (vec![1_u8; 64 << 10], vec![1_u8; 100])).collect();
        let peak = process::resident_bytes();
        let small: Vec<_> = large.into_iter().map(|(_, small)| small).collect();
        sys::give_memory_back();
        let left = process::resident_bytes();
        assert_eq!(small.len(), PIECES);
        // Tests beside it take and give memory too.
        assert!(peak > left + (100 << 20), "{peak} bytes at the peak, and {left} are left");
    }
}
