//! Certificates of services: names that the configuration reserves, and that are nobody's callsign.
//!
//! A service is known by the certificates that were issued to it. From the first one on its name is taken, also if the
//! configuration reserves it no longer: a person of that name would be found by the service's certificate.

use enroll_protocol::certificate::{Issue, Issued};
use enroll_protocol::fold::fold;
use enroll_protocol::{Callsign, CertificateSerial, Code, Pk, PrivateKey, Refusal};

use super::{Holder, PRIVATE_KEY, issue, require_name, require_request_of, written};
use crate::context::Purpose;
use crate::draft::Txn;
use crate::fault::Fault;
use crate::identity::authority::{CERTIFICATE, Wanted};
use crate::identity::pem;
use crate::model::certificate::Service;
use crate::model::key;
use crate::model::record::{self, CallsignHolder};
use crate::rules::{Call, WriteOp, person};
use crate::state::ReadTxn;

impl WriteOp for Issue {
    const REDACT: Option<fn(&mut Issued)> = Some(|reply| *reply = Issued::default());

    fn check(&self) -> Result<(), Refusal> {
        match &self.csr {
            Some(csr) => require_request_of(&self.name, csr),
            None => require_name(&self.name),
        }
    }

    fn may_need(&self) -> bool {
        true
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Issued, Fault> {
        call.permit(txn.as_read(), false)?;
        let folded = fold(self.name.as_str());
        if !call.ctx.settings.reserved_callsigns.contains(&folded) {
            let why = format!("name: \"{}\" is not reserved; add it to reserved_callsigns first", self.name);
            return Err(Fault::Refused(Refusal::new(Code::INVALID_ARGUMENT, why)));
        }
        let pk = service_of(txn, call, &self.name, &folded)?;
        let wanted = self.csr.clone().map_or(Wanted::NewKey, Wanted::Request);
        let issued = issue(txn, call, Holder { pk, name: &self.name, keeps_key: false }, &wanted)?;
        call.emit(txn, vec![pk], None);
        let Some(issued) = issued else { return Ok(Issued::default()) };
        let key = issued.private.as_ref().map(|private| PrivateKey::new(pem::write(PRIVATE_KEY, private)));
        Ok(Issued {
            certificate: Some(pem::write(CERTIFICATE, &issued.certificate)),
            serial: Some(CertificateSerial::new(written(&issued.serial))?),
            key: key.transpose()?,
        })
    }
}

/// The pk of this service, which is made for its first certificate and takes the name. Refuses a name that a person or
/// an enrollment has.
fn service_of(txn: &mut dyn Txn, call: &Call<'_>, name: &Callsign, folded: &str) -> Result<Pk, Fault> {
    if let Some(service) = record::get::<Service>(txn.as_read(), &key::service(folded))? {
        return Ok(service.pk);
    }
    let is_erased = person::is_erased(txn.as_read(), &call.ctx.identity.secrets, name.as_str())?;
    if is_erased || txn.as_read().get(&key::callsign(folded))?.is_some() {
        let why = format!(
            "a person, perhaps a deleted or erased one, or an enrollment has the name \"{name}\"; choose another"
        );
        return Err(Fault::Refused(Refusal::new(Code::CONFLICT, why)));
    }
    let pk = call.ctx.new_pk(&mut call.ctx.random(Purpose::Rule));
    record::put(txn, key::service(folded), &Service { pk });
    record::put(txn, key::callsign(folded), &CallsignHolder::default());
    Ok(pk)
}

/// The pk of a service that has been issued a certificate.
pub(super) fn require(txn: &dyn ReadTxn, name: &Callsign) -> Result<Pk, Fault> {
    let none = || Refusal::new(Code::NOT_FOUND, format!("no certificate was issued to a service \"{name}\""));
    Ok(record::get::<Service>(txn, &key::service(&fold(name.as_str())))?.ok_or_else(none)?.pk)
}
