//! The workload `lookup`: finds a random one of many enrollments by its approve code.
//!
//! The enrollments are made first, because the daemon draws the codes.

use std::sync::Arc;

use enroll_client::Client;
use enroll_client::protocol::{ApproveCode, Callsign, enrollment};

use super::enroll;
use super::pipelined::call_all;
use super::random::Random;

/// The approve code and the callsign of each enrollment that was made.
pub(crate) type Known = Arc<[(ApproveCode, Callsign)]>;

/// Makes `records` enrollments by one pool.
pub(crate) async fn prepare(client: &Client, records: u64) -> Result<Known, String> {
    let invitation = enroll::prepare(client).await?;
    let (mut random, mut known) = (Random::new(), Vec::new());
    let requests = (0..records).map(|_| {
        let callsign = random.callsign()?;
        Ok((invitation.request(callsign.clone()), callsign))
    });
    call_all(client, requests, |enrolled, callsign| {
        invitation.check(&callsign, &enrolled)?;
        known.extend(enrolled.approvecode.map(|code| (code, callsign)));
        Ok(())
    })
    .await?;
    Ok(known.into())
}

/// Does one operation and checks its reply.
pub(crate) async fn run_once(known: &Known, client: &Client, random: &mut Random) -> Result<(), String> {
    let (code, callsign) = random.choose(known).ok_or("there is nothing to look up")?;
    let find = enrollment::Find { approvecode: code.clone() };
    let found = client.call(find).await.map_err(|err| err.to_string())?;
    if found.callsign != *callsign {
        return Err("the reply has another enrollment than the one of this approve code".to_owned());
    }
    Ok(())
}
