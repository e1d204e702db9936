//! The workload `enroll`: a new callsign each time, by the invite code of one pool.

use enroll_client::Client;
use enroll_client::protocol::enrollment::{self, Enrollment, State};
use enroll_client::protocol::{Callsign, Pk, Reference, person, pool};

use super::random::Random;

/// The pool, as whoever enrolls knows it, and as the answer must name it.
#[derive(Debug, Clone)]
pub(crate) struct Invitation {
    code: Reference,
    pool: Pk,
}

/// Makes an owner and a pool for any number of people.
pub(crate) async fn prepare(client: &Client) -> Result<Invitation, String> {
    let callsign = Random::new().callsign()?;
    let owner = client.call(person::Create::new(callsign)).await.map_err(|err| err.to_string())?;
    let owner = owner.pk.to_string().parse().map_err(|err| format!("{err}"))?;
    let create = pool::Create { owner: Some(owner), ..pool::Create::default() };
    let pool = client.call(create).await.map_err(|err| err.to_string())?;
    let code = pool.invitecode.ok_or("no invite code was answered")?;
    let code = Reference::by_code(code.as_str()).map_err(|err| err.to_string())?;
    Ok(Invitation { code, pool: pool.pk })
}

/// One operation.
pub(crate) async fn run_once(invitation: &Invitation, client: &Client, random: &mut Random) -> Result<(), String> {
    let callsign = random.callsign()?;
    let enrolled = client.call(invitation.request(callsign.clone())).await.map_err(|err| err.to_string())?;
    invitation.check(&callsign, &enrolled)
}

impl Invitation {
    /// To enroll by it.
    pub(crate) fn request(&self, callsign: Callsign) -> enrollment::Create {
        enrollment::Create { pool: Some(self.code.clone()), ..enrollment::Create::new(callsign) }
    }

    /// Whether this is the enrollment that was asked for.
    pub(crate) fn check(&self, callsign: &Callsign, enrolled: &Enrollment) -> Result<(), String> {
        if enrolled.callsign != *callsign || enrolled.pool != Some(self.pool) || enrolled.state != State::Pending {
            return Err("another enrollment was answered than the one that was asked for".to_owned());
        }
        enrolled.approvecode.as_ref().map(|_| ()).ok_or_else(|| "no approve code was answered".to_owned())
    }
}
