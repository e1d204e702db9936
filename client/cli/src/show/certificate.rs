//! The command `certificate show`: a person's certificate and its state, from `person.get`, `certificate.get` and,
//! because a certificate may be revoked without its person, `certificate.crl`.

use clap::Args;
use der::oid::AssociatedOid as _;
use der::{Decode as _, DecodePem as _, Encode as _};
use enroll_client::Client;
use enroll_client::protocol::person::{self, Person, Revocation, RevocationReason};
use enroll_client::protocol::{Reference, Time, certificate};
use jiff::Timestamp;
use serde_json::{Value, json};
use x509_cert::Certificate;
use x509_cert::certificate::Rfc5280;
use x509_cert::crl::{CertificateList, RevokedCert};
use x509_cert::ext::pkix::CrlReason;

use crate::failure::Failure;
use crate::output::{Summary, time};

/// Show a person's certificate: whose it is, since when and until when it is valid, and whether it was revoked
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  enrollctl certificate show DOGGO01a")]
pub(super) struct Show {
    /// Callsign or pk, of a deleted person too
    person: Reference,
}

/// The fields of a certificate that are shown.
struct Picture {
    person: Person,
    subject: String,
    issuer: String,
    serial: String,
    serial_bytes: Vec<u8>,
    key: &'static str,
    begins: Timestamp,
    ends: Timestamp,
    now: Timestamp,
}

/// Reads the person, the certificate and, if needed, the revocation list, and returns the picture.
pub(super) async fn ask(client: &Client, show: Show) -> Result<Summary, Failure> {
    let person = client.call(person::Get { person: show.person.clone(), allow_deleted: true }).await?;
    let pem = client.call(certificate::Get { person: show.person, allow_deleted: true }).await?;
    let mut picture = Picture::of(person, &pem)?;
    if picture.person.revocation.is_none() {
        picture.person.revocation = picture.revoked_by(&revocation_list(client).await?)?;
    }
    Ok(picture.summary())
}

/// The fields of this person's certificate as `certificate show --json` prints them.
pub async fn fields(client: &Client, person: Reference) -> Result<Value, Failure> {
    let summary = ask(client, Show { person }).await?;
    serde_json::from_str(&summary.json).map_err(|err| Failure::Own(format!("the certificate can not be shown: {err}")))
}

/// The certificate revocation list (CRL) as PEM.
async fn revocation_list(client: &Client) -> Result<String, Failure> {
    let (mut stream, mut list) = (client.stream(certificate::Crl::default()).await?, String::new());
    while let Some(piece) = stream.next().await {
        list.push_str(&piece?);
    }
    Ok(list)
}

impl Picture {
    /// The entry of the revocation list (CRL) for this certificate, if it has one.
    fn revoked_by(&self, list: &str) -> Result<Option<Revocation>, Failure> {
        let broken = || Failure::Own("the list of revoked certificates can not be read".to_owned());
        let (_, list) = der::Document::from_pem(list).map_err(|_| broken())?;
        let list: CertificateList<Rfc5280> = list.decode_msg().map_err(|_| broken())?;
        let is_this = |entry: &&RevokedCert<Rfc5280>| entry.serial_number.as_bytes() == self.serial_bytes;
        let entries = list.tbs_cert_list.revoked_certificates.unwrap_or_default();
        let Some(entry) = entries.iter().find(is_this) else { return Ok(None) };
        let micros = i64::try_from(entry.revocation_date.to_unix_duration().as_micros()).map_err(|_| broken())?;
        let at = Time::from_micros(micros).map_err(|_| broken())?;
        let said = entry.crl_entry_extensions.iter().flatten().find(|said| said.extn_id == CrlReason::OID);
        let reason = match said.map(|said| CrlReason::from_der(said.extn_value.as_bytes())).transpose() {
            Ok(Some(CrlReason::KeyCompromise)) => RevocationReason::KeyCompromise,
            Ok(Some(CrlReason::AffiliationChanged)) => RevocationReason::AffiliationChanged,
            Ok(Some(CrlReason::Superseded)) => RevocationReason::Superseded,
            Ok(Some(CrlReason::CessationOfOperation)) => RevocationReason::CessationOfOperation,
            Ok(Some(CrlReason::PrivilegeWithdrawn)) => RevocationReason::PrivilegeWithdrawn,
            _ => RevocationReason::Unspecified,
        };
        Ok(Some(Revocation { reason, at }))
    }

    fn of(person: Person, text: &str) -> Result<Self, Failure> {
        let broken = || Failure::Own("the certificate can not be read".to_owned());
        let certificate = Certificate::from_pem(text).map_err(|_| broken())?;
        let inside = certificate.tbs_certificate();
        let validity = inside.validity();
        let instant = |time: &x509_cert::time::Time| {
            let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
            Timestamp::from_second(seconds).map_err(|_| broken())
        };
        let serial: Vec<String> = inside.serial_number().as_bytes().iter().map(|byte| format!("{byte:02X}")).collect();
        let key = inside.subject_public_key_info();
        let curve = key.algorithm.parameters.as_ref().and_then(|curve| curve.to_der().ok());
        Ok(Self {
            subject: inside.subject().to_string(),
            issuer: inside.issuer().to_string(),
            serial: serial.join(":"),
            serial_bytes: inside.serial_number().as_bytes().to_vec(),
            key: named(&key.algorithm.oid.to_string(), curve.as_deref()),
            begins: instant(&validity.not_before)?,
            ends: instant(&validity.not_after)?,
            now: Timestamp::now(),
            person,
        })
    }

    fn summary(&self) -> Summary {
        let fields = json!({
            "person": self.person.pk,
            "callsign": self.person.callsign,
            "subject": self.subject,
            "issuer": self.issuer,
            "serial": self.serial,
            "key": self.key,
            "begins": self.begins.to_string(),
            "ends": self.ends.to_string(),
            "state": self.state(),
            "revocation": self.person.revocation,
        });
        let people = Value::String(self.drawn()).to_string();
        Summary { json: fields.to_string(), scripts: fields.to_string(), people }
    }

    fn state(&self) -> &'static str {
        match () {
            () if self.person.revocation.is_some() => "revoked",
            () if self.ends <= self.now => "ended",
            () if self.begins > self.now => "to come",
            () => "valid",
        }
    }

    /// The picture for people.
    fn drawn(&self) -> String {
        let at = |at: Timestamp| format!("{} ({})", time::absolute(at), time::relative(at, self.now));
        let mut lines = vec![
            format!("{}  {}", self.subject, self.state()),
            String::new(),
            format!("issuer  {}", self.issuer),
            format!("serial  {}", self.serial),
            format!("key     {}", self.key),
            format!("from    {}", at(self.begins)),
            format!("until   {}", at(self.ends)),
        ];
        if let Some(Revocation { reason, at: since }) = &self.person.revocation {
            let since = time::instant(&since.to_string()).map_or_else(|| since.to_string(), at);
            let reason = json!(reason).as_str().unwrap_or_default().replace('_', " ");
            lines.push(format!("revoked {since}: {reason}"));
        }
        lines.join("\n")
    }
}

/// The usual name of a key algorithm, with its DER encoded curve.
fn named(algorithm: &str, curve: Option<&[u8]>) -> &'static str {
    const P384: &[u8] = &[6, 5, 0x2b, 0x81, 4, 0, 0x22];
    const P521: &[u8] = &[6, 5, 0x2b, 0x81, 4, 0, 0x23];
    match algorithm {
        "1.2.840.10045.2.1" if curve == Some(P521) => "EC P-521",
        "1.2.840.10045.2.1" if curve == Some(P384) => "EC P-384",
        "1.2.840.10045.2.1" => "EC P-256",
        "1.3.101.112" => "Ed25519",
        _ => "RSA",
    }
}
