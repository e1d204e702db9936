//! The workload `certificate`: a new person each time, with a certificate for a key that the daemon makes.

use enroll_client::Client;
use enroll_client::protocol::person::{self, CertificateWanted};

use super::random::Random;

/// One operation.
pub(crate) async fn run_once(client: &Client, random: &mut Random) -> Result<(), String> {
    let callsign = random.callsign()?;
    let create = person::Create { certificate: CertificateWanted::Generate, ..person::Create::new(callsign.clone()) };
    let person = client.call(create).await.map_err(|err| err.to_string())?;
    match person.callsign == callsign && person.certificate {
        true => Ok(()),
        false => {
            Err("another person was answered than the one that was asked for, or without a certificate".to_owned())
        }
    }
}
