//! The certificate of a person: what `certificate show` prints, its files, and its renewal and revocation.
//!
//! Files are made by POST alone, so that no address leads to one, and their names hold nothing but what every file
//! system takes.

use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use enroll_client::Error;
use enroll_client::protocol::certificate::{Get, Pfx, Renew, Revoke};
use enroll_client::protocol::person::RevocationReason;
use enroll_client::protocol::{Password, Person, Reference};
use enrollctl::failure::Failure;
use maud::{Markup, html};
use serde_json::Value;

use super::person::{self, found};
use crate::address;
use crate::context::Context;
use crate::form::{Problem, Sent};
use crate::outcome::Outcome;
use crate::refusal::{self, Told};
use crate::shown::shown;
use crate::visit::{Answer, Visit};
use crate::when;

/// The fields that are shown, each with its label.
const FIELDS: [(&str, &str); 7] = [
    ("State", "state"),
    ("Subject", "subject"),
    ("Issuer", "issuer"),
    ("Serial", "serial"),
    ("Key", "key"),
    ("Begins", "begins"),
    ("Ends", "ends"),
];

/// The reasons of a revocation.
const REASONS: [RevocationReason; 6] = [
    RevocationReason::Unspecified,
    RevocationReason::KeyCompromise,
    RevocationReason::AffiliationChanged,
    RevocationReason::Superseded,
    RevocationReason::CessationOfOperation,
    RevocationReason::PrivilegeWithdrawn,
];

/// The certificate of a person, as it is shown.
#[derive(Debug)]
pub(super) enum Certificate {
    /// The person has none.
    None,
    /// The fields that `certificate show` prints.
    Fields(Value),
    /// It can not be shown.
    Refused(Told),
}

/// Reads it.
pub(super) async fn read(visit: &Visit, person: &Person) -> Certificate {
    if !person.certificate {
        return Certificate::None;
    }
    match enrollctl::certificate_fields(visit.client(), Reference::by_pk(person.pk)).await {
        Ok(fields) => Certificate::Fields(fields),
        Err(Failure::Client(error)) => Certificate::Refused(Told::of(&error)),
        Err(other) => Certificate::Refused(Told { code: None, message: other.line() }),
    }
}

/// The certificate as a PEM file.
pub(super) async fn download(Path(person): Path<String>, sent: Sent) -> Answer {
    let person = found(&sent.visit, &person).await?;
    let pem = sent.visit.client().call(Get::new(Reference::by_pk(person.pk))).await;
    let pem = pem.map_err(|error| sent.visit.failed(error))?;
    Ok(file(person.callsign.as_str(), "pem", "application/x-pem-file", pem.into_bytes()))
}

/// Key, certificate and chain as a PKCS#12 file under the password that was typed.
pub(super) async fn pfx(Path(person): Path<String>, sent: Sent) -> Answer {
    let person = found(&sent.visit, &person).await?;
    let password = match sent.value::<Password>("password") {
        Ok(password) => password,
        Err(problem) => return person::again(&sent.visit, &person, problem).await,
    };
    let made = sent.visit.client().call(Pfx::new(Reference::by_pk(person.pk), password)).await;
    let made = made.map_err(|error| sent.visit.failed(error))?;
    let bytes = made.and_then(|made| STANDARD.decode(made.as_str()).ok());
    let broken = || sent.visit.failed(Error::Protocol("the daemon's PKCS#12 file can not be read".to_owned()));
    Ok(file(person.callsign.as_str(), "p12", "application/x-pkcs12", bytes.ok_or_else(broken)?))
}

/// Issues another one.
pub(super) async fn renew(Path(person): Path<String>, sent: Sent) -> Answer {
    let person = found(&sent.visit, &person).await?;
    let request = Renew { person: Reference::by_pk(person.pk), csr: None, keep: !sent.text("keep").is_empty() };
    let reply = sent.visit.client().request(request).key(sent.key).send().await;
    let at = Some(address::person(person.pk));
    Ok(sent.done(vec![Outcome::of(person.callsign.as_str(), at, "has another certificate", reply)]))
}

/// Revokes those that are valid, for a reason.
pub(super) async fn revoke(Path(person): Path<String>, sent: Sent) -> Answer {
    let person = found(&sent.visit, &person).await?;
    let reason = match sent.value::<RevocationReason>("revocation") {
        Ok(reason) => reason,
        Err(problem) => return person::again(&sent.visit, &person, problem).await,
    };
    let request = Revoke::of(Reference::by_pk(person.pk), reason);
    let reply = sent.visit.client().request(request).key(sent.key).send().await;
    let done = match &reply {
        Ok(serials) if serials.len() == 1 => "1 certificate is revoked".to_owned(),
        Ok(serials) => format!("{} certificates are revoked", serials.len()),
        Err(_) => String::new(),
    };
    Ok(sent.done(vec![Outcome::of(person.callsign.as_str(), Some(address::person(person.pk)), &done, reply)]))
}

/// A file to keep. Its name is that of the person, with a hyphen for what a file name should not have.
fn file(name: &str, extension: &str, kind: &'static str, bytes: Vec<u8>) -> Response {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = name.chars().take(64).map(safe).collect();
    let disposition = format!("attachment; filename=\"{name}.{extension}\"");
    let disposition = HeaderValue::from_str(&disposition).unwrap_or(HeaderValue::from_static("attachment"));
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind)), (header::CONTENT_DISPOSITION, disposition)], bytes)
        .into_response()
}

impl Certificate {
    /// The section of the person's page.
    pub(super) fn markup(&self, person: &Person, problems: &[Problem], context: &Context) -> Markup {
        html! {
            h2 { "Certificate" }
            @match self {
                Self::None => p .faint { "none" },
                Self::Refused(told) => p { (refusal::sentence(told, context)) },
                Self::Fields(fields) => {
                    dl {
                        @for (label, field) in FIELDS {
                            @if let Some(value) = fields[field].as_str() {
                                dt { (label) } dd { (time_or_text(value)) }
                            }
                        }
                        @if let Some(reason) = fields["revocation"]["reason"].as_str() {
                            dt { "Revoked" }
                            dd {
                                (shown(&reason.replace('_', " ")))
                                @if let Some(at) = fields["revocation"]["at"].as_str() { ", " (time_or_text(at)) }
                            }
                        }
                    }
                    @if person.deleted.is_none() { (forms(person, problems, context)) }
                },
            }
        }
    }
}

/// A value of `certificate show`: a time as every page has it, another text as it is.
fn time_or_text(value: &str) -> Markup {
    value.parse().map_or_else(|_| shown(value), when::exact)
}

fn forms(person: &Person, problems: &[Problem], context: &Context) -> Markup {
    let at = |verb: &str| format!("{}/{verb}", address::person(person.pk));
    let wrong = problems.iter().find(|problem| problem.field == "password");
    html! {
        (context.form(&at("certificate"), html! { button { "Download the certificate" } }))
        (context.form(&at("pfx"), html! {
            h3 { "Key and certificate in one file" }
            div .field {
                label for="password" { "Password of the file" }
                p .hint #password-hint {
                    "A PKCS#12 file for a browser or a mail program. It takes a console with the grant admin; a key "
                    "that the person brought is not in it."
                }
                @if let Some(wrong) = wrong {
                    p .problem #password-problem { "Error: " (refusal::sentence(&wrong.told, context)) }
                }
                input type="password" id="password" name="password" autocomplete="new-password"
                    aria-describedby={ "password-hint" @if wrong.is_some() { " password-problem" } }
                    aria-invalid=[wrong.map(|_| "true")];
            }
            button { "Download the PKCS#12 file" }
        }))
        (context.form(&at("renew"), html! {
            h3 { "Renew" }
            label .choice { input type="checkbox" name="keep" value="yes"; "leave the one before valid" }
            p { button { "Renew" } }
            p .hint { "The daemon makes a new key, or certifies again the one that the person brought." }
        }))
        (context.form(&at("revoke"), html! {
            h3 { "Revoke" }
            div .field {
                label for="revocation" { "Reason of the revocation" }
                select id="revocation" name="revocation" {
                    @for reason in REASONS { option value=(reason.name()) { (reason.name().replace('_', " ")) } }
                }
            }
            button .danger { "Revoke the certificate" }
            p .hint { "The person stays. A revocation can not be undone." }
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::person;
    use super::*;

    #[test]
    fn a_file_has_a_name_that_every_file_system_takes() {
        for (name, expected) in [
            ("DOGGO01a", "DOGGO01a.pem"),
            ("../<script>\"\r\n", "----script----.pem"),
            ("\u{202e}gnp.exe", "-gnp-exe.pem"),
        ] {
            let response = file(name, "pem", "application/x-pem-file", Vec::new());
            let expected = format!("attachment; filename=\"{expected}\"");
            assert_eq!(response.headers()[header::CONTENT_DISPOSITION], expected);
        }
    }

    #[test]
    fn a_certificate_has_its_fields_and_forms_and_a_deleted_person_no_forms() {
        let context = Context::for_tests();
        let fields = json!({"state": "revoked", "subject": "CN=<b>", "serial": "0A:0B",
            "revocation": {"reason": "key_compromise", "at": "2026-01-01T10:00:00.000000Z"}});
        let shown = Certificate::Fields(fields);
        let drawn = shown.markup(&person(), &[], &context).into_string();
        for part in ["CN=&lt;b&gt;", "0A:0B", "key compromise", "/renew\"", "/revoke\"", "/pfx\"", "type=\"password\""]
        {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        let deleted = Person { deleted: Some(context.now), ..person() };
        assert!(!shown.markup(&deleted, &[], &context).into_string().contains("<form"));
    }
}
