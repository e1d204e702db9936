//! The workload `enroll`: enrolls a new callsign each time, by the invite code of one pool.

use enroll_client::Client;
use enroll_client::protocol::enrollment::{self, Enrollment, State};
use enroll_client::protocol::{Callsign, Pk, Reference, person, pool};

use super::random::Random;

/// The pool: its code, which requests carry, and its pk, which replies must name.
#[derive(Debug, Clone)]
pub(crate) struct Invitation {
    code: Reference,
    pool: Pk,
}

/// Makes an owner, and a pool without a limit.
pub(crate) async fn prepare(client: &Client) -> Result<Invitation, String> {
    let callsign = Random::new().callsign()?;
    let owner = client.call(person::Create::new(callsign)).await.map_err(|err| err.to_string())?;
    let owner = owner.pk.to_string().parse().map_err(|err| format!("{err}"))?;
    let create = pool::Create { owner: Some(owner), ..pool::Create::default() };
    let pool = client.call(create).await.map_err(|err| err.to_string())?;
    let code = pool.invitecode.ok_or("the reply has no invite code")?;
    let code = Reference::by_code(code.as_str()).map_err(|err| err.to_string())?;
    Ok(Invitation { code, pool: pool.pk })
}

/// Does one operation and checks its reply.
pub(crate) async fn run_once(invitation: &Invitation, client: &Client, random: &mut Random) -> Result<(), String> {
    let callsign = random.callsign()?;
    let enrolled = client.call(invitation.request(callsign.clone())).await.map_err(|err| err.to_string())?;
    invitation.check(&callsign, &enrolled)
}

impl Invitation {
    /// The request to enroll this callsign.
    pub(crate) fn request(&self, callsign: Callsign) -> enrollment::Create {
        enrollment::Create { pool: Some(self.code.clone()), ..enrollment::Create::new(callsign) }
    }

    /// Checks that the reply is the enrollment of this callsign, pending and with an approve code.
    pub(crate) fn check(&self, callsign: &Callsign, enrolled: &Enrollment) -> Result<(), String> {
        if enrolled.callsign != *callsign || enrolled.pool != Some(self.pool) || enrolled.state != State::Pending {
            return Err("the reply has another enrollment than the request".to_owned());
        }
        enrolled.approvecode.as_ref().map(|_| ()).ok_or_else(|| "the reply has no approve code".to_owned())
    }
}
