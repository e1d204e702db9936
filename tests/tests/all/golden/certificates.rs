//! Golden samples of certificates.

use enroll_protocol::certificate;
use enroll_protocol::person::RevocationReason;

use super::{Samples, name};

pub(super) fn certificates(samples: &mut Samples) {
    let named = || name("DOGGO01a");
    let pem = || "PEM\n".to_owned();
    samples.operation(&certificate::Get { person: named(), allow_deleted: true }, &pem());
    samples.operation(&certificate::Key { person: named() }, &Some("PEM\n".parse().expect("a key")));
    let password = "hunter2".parse().expect("a password");
    let pfx = certificate::Pfx { person: named(), password, legacy: true };
    samples.operation(&pfx, &Some("AAAA".parse().expect("a file")));
    samples.operation(&certificate::Renew { person: named(), csr: Some(pem()), keep: true }, &Some(pem()));
    samples.operation(&certificate::Ca {}, &pem());
    samples.operation(&certificate::Crl { der: true }, &pem());
    let serial = || Some("40:0A".parse().expect("a serial number"));
    let name = || Some("portal".parse().expect("a name"));
    let reason = RevocationReason::Superseded;
    let revoke = certificate::Revoke { person: Some(named()), name: name(), reason, serial: serial() };
    samples.operation(&revoke, &vec!["40:0A".to_owned()]);
    let issue = certificate::Issue { name: "portal".parse().expect("a name"), csr: Some(pem()) };
    let key = Some("PEM\n".parse().expect("a key"));
    samples.operation(&issue, &certificate::Issued { certificate: Some(pem()), serial: serial(), key });
}
