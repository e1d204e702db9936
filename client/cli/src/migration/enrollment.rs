//! Enrollments, as an import carries them: each is made and decided on in one transaction, and known again by its
//! callsign. A pending one gets a new approve code. A later file may bring the decision.

use enroll_client::protocol::enrollment::{self, State};
use enroll_client::protocol::{Callsign, Code, Json, Reason, Reference, person};
use enroll_client::{Error, Transaction, by_code};

use super::fields::{Fields, json};
use super::kind::Shape;
use super::outcome::{Caller, Outcome};

/// An enrollment to carry.
#[derive(Debug)]
pub(super) struct Enrollment {
    callsign: Callsign,
    pool: Option<Reference>,
    state: State,
    reason: Option<Reason>,
    csr: Option<String>,
    extra: Json,
}

impl Enrollment {
    pub(super) fn read(fields: &Fields, shape: &Shape) -> Result<Self, String> {
        let pool = fields.text("pool")?.map(|code| by_code(code).map_err(|err| format!("pool: {}", err.0)));
        let state = match fields.text("state")? {
            None => State::Pending,
            Some(text) => state(&text).ok_or("state: expected pending, approved or rejected, or 0, 1 or 2")?,
        };
        let enrollment = Self {
            callsign: fields.required("callsign")?,
            pool: pool.transpose()?,
            state,
            reason: fields.parsed("reason")?,
            csr: fields.text("csr")?,
            extra: json("extra", &fields.object("extra", shape.kept)?)?,
        };
        if enrollment.csr.is_some() && state == State::Approved {
            return Err(
                "csr: a certificate is made by an approval of its own; carry it as pending and approve it".into()
            );
        }
        Ok(enrollment)
    }

    pub(super) fn name(&self) -> String {
        self.callsign.to_string()
    }

    pub(super) async fn carry(self, caller: &Caller) -> Result<Outcome, Error> {
        let mut create = enrollment::Create::new(self.callsign.clone());
        create.pool.clone_from(&self.pool);
        create.extra.clone_from(&self.extra);
        create.csr.clone_from(&self.csr);
        let mut transaction = Transaction::new();
        let _ = transaction.add(&create);
        let done = match self.state {
            State::Pending => {
                let code = |created: enrollment::Enrollment| created.approvecode.map(|code| code.as_str().to_owned());
                caller.ask(&create).await?.map(code)
            }
            State::Approved => {
                let _ = transaction.add(&self.approval());
                caller.run(transaction).await?.map(|()| None)
            }
            State::Rejected => {
                let _ = transaction.add(&self.rejection());
                caller.run(transaction).await?.map(|()| None)
            }
        };
        match done {
            Ok(approvecode) => Ok(Outcome::Carried(approvecode)),
            Err(refusal) if refusal.code == Code::CALLSIGN_RESERVED => {
                match caller.ask(&enrollment::Get { enrollment: self.reference() }).await? {
                    Ok(there) => self.compare(caller, there.state).await,
                    Err(missing) if missing.code == Code::NOT_FOUND => {
                        let person = person::Get { person: self.reference(), allow_deleted: true };
                        Ok(match caller.ask(&person).await? {
                            Ok(_) if self.state == State::Approved => Outcome::NotCarried(
                                "its person is there; an enrollment is written before its person or not at all".into(),
                            ),
                            _ => Outcome::Refused(refusal),
                        })
                    }
                    Err(other) => Ok(Outcome::Refused(other)),
                }
            }
            Err(refusal) => Ok(Outcome::Refused(refusal)),
        }
    }

    /// Compares its state with the one that is there, and decides on that if it waits.
    async fn compare(&self, caller: &Caller, there: State) -> Result<Outcome, Error> {
        match (there, self.state) {
            (there, wanted) if there == wanted => {
                Ok(Outcome::There("an enrollment has this callsign and state".into()))
            }
            (State::Pending, State::Approved) => caller.write(&self.approval()).await,
            (State::Pending, State::Rejected) => caller.write(&self.rejection()).await,
            (State::Approved, _) => Ok(Outcome::differs("it is approved")),
            (State::Rejected, _) => Ok(Outcome::differs("it is rejected; enrollment reopen undoes that")),
            (State::Pending, _) => Ok(Outcome::differs("it is pending")),
        }
    }

    fn approval(&self) -> enrollment::Approve {
        enrollment::Approve::new(self.reference())
    }

    fn rejection(&self) -> enrollment::Reject {
        enrollment::Reject { enrollment: self.reference(), reason: self.reason.clone() }
    }

    fn reference(&self) -> Reference {
        Reference::from(&self.callsign)
    }
}

/// A state by its word or by its number in the source system.
fn state(text: &str) -> Option<State> {
    match text.to_ascii_lowercase().as_str() {
        "pending" | "0" => Some(State::Pending),
        "approved" | "1" => Some(State::Approved),
        "rejected" | "2" => Some(State::Rejected),
        _ => None,
    }
}
