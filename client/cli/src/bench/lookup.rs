//! The workload `lookup`: a random one of many enrollments, found by its approve code.
//!
//! The enrollments are made before, because codes are drawn by the daemon and must be known.

use std::collections::VecDeque;
use std::sync::Arc;

use enroll_client::Client;
use enroll_client::protocol::{ApproveCode, Callsign, enrollment};

use super::enroll;
use super::random::Random;

/// Enrollments asked for ahead of their answers: more than the daemon commits at once.
const AHEAD: usize = 2048;

/// What is known of the enrollments that were made.
pub(crate) type Known = Arc<[(ApproveCode, Callsign)]>;

/// Makes so many enrollments by one pool.
pub(crate) async fn prepare(client: &Client, records: u64) -> Result<Known, String> {
    let invitation = enroll::prepare(client).await?;
    let mut random = Random::new();
    let (mut open, mut known) = (VecDeque::with_capacity(AHEAD), Vec::new());
    for asked in 0.. {
        if asked < records {
            let callsign = random.callsign()?;
            open.push_back((client.call(invitation.request(callsign.clone())), callsign));
            if open.len() < AHEAD {
                continue;
            }
        }
        let Some((answer, callsign)) = open.pop_front() else { break };
        let enrolled = answer.await.map_err(|err| err.to_string())?;
        invitation.check(&callsign, &enrolled)?;
        known.extend(enrolled.approvecode.map(|code| (code, callsign)));
    }
    Ok(known.into())
}

/// One operation.
pub(crate) async fn run_once(known: &Known, client: &Client, random: &mut Random) -> Result<(), String> {
    let (code, callsign) = random.choose(known).ok_or("there is nothing to look up")?;
    let find = enrollment::Find { approvecode: code.clone() };
    let found = client.call(find).await.map_err(|err| err.to_string())?;
    if found.callsign != *callsign {
        return Err("another enrollment was answered than the one of this approve code".to_owned());
    }
    Ok(())
}
