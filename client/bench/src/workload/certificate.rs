//! The workload `certificate`: creates a new person each time, with a key pair and a certificate made by the daemon.

use enroll_client::Client;
use enroll_client::protocol::person::{self, CertificateWanted};

use super::random::Random;

/// Does one operation and checks its reply.
pub(crate) async fn run_once(client: &Client, random: &mut Random) -> Result<(), String> {
    let callsign = random.callsign()?;
    let create = person::Create { certificate: CertificateWanted::Generate, ..person::Create::new(callsign.clone()) };
    let person = client.call(create).await.map_err(|err| err.to_string())?;
    match person.callsign == callsign && person.certificate {
        true => Ok(()),
        false => Err("the reply has another person than the request, or no certificate".to_owned()),
    }
}
