//! The workload `lookup`: a random one of many enrollments, found by its approve code.
//!
//! The enrollments are made before, because codes are drawn by the daemon and must be known.

use std::sync::Arc;

use enroll_client::Client;
use enroll_client::protocol::{ApproveCode, Callsign, enrollment};

use super::ahead::ask_all;
use super::enroll;
use super::random::Random;

/// What is known of the enrollments that were made.
pub(crate) type Known = Arc<[(ApproveCode, Callsign)]>;

/// Makes so many enrollments by one pool.
pub(crate) async fn prepare(client: &Client, records: u64) -> Result<Known, String> {
    let invitation = enroll::prepare(client).await?;
    let (mut random, mut known) = (Random::new(), Vec::new());
    let requests = (0..records).map(|_| {
        let callsign = random.callsign()?;
        Ok((invitation.request(callsign.clone()), callsign))
    });
    ask_all(client, requests, |enrolled, callsign| {
        invitation.check(&callsign, &enrolled)?;
        known.extend(enrolled.approvecode.map(|code| (code, callsign)));
        Ok(())
    })
    .await?;
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
