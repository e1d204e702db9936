//! Enrollments, as an import carries them: each is made and decided on in one transaction, and known again by its
//! callsign. A pending one gets a new approve code. A later file may bring the decision.

use enroll_client::protocol::enrollment::{self, State};
use enroll_client::protocol::{Callsign, Code, Json, Reason, Reference, Refusal, person};
use enroll_client::{Error, Transaction, by_pk};

use super::fields::{Fields, json};
use super::kind::Shape;
use super::outcome::{Caller, Outcome};

/// An enrollment to carry.
#[derive(Debug)]
pub(super) struct Enrollment {
    callsign: Callsign,
    pool: Option<String>,
    state: State,
    reason: Option<Reason>,
    csr: Option<String>,
    extra: Json,
}

impl Enrollment {
    pub(super) fn read(fields: &Fields, shape: &Shape) -> Result<Self, String> {
        let state = match fields.text("state")? {
            None => State::Pending,
            Some(text) => state(&text).ok_or("state: expected pending, approved or rejected, or 0, 1 or 2")?,
        };
        let enrollment = Self {
            callsign: fields.required("callsign")?,
            pool: fields.text("pool")?,
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
        match self.write(caller).await? {
            Ok(approvecode) => Ok(Outcome::Carried(approvecode)),
            Err(refusal) => self.find(caller, refusal).await,
        }
    }

    /// Makes it and decides on it. Answers the approve code of one that waits.
    async fn write(&self, caller: &Caller) -> Result<Result<Option<String>, Refusal>, Error> {
        let mut create = enrollment::Create::new(self.callsign.clone());
        create.extra.clone_from(&self.extra);
        create.csr.clone_from(&self.csr);
        if let Some(code) = &self.pool {
            match caller.pools.find(caller, code).await? {
                Ok(pk) => create.pool = Some(by_pk(pk)),
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        let mut transaction = Transaction::new();
        let _ = transaction.add(&create);
        match self.state {
            State::Pending => {
                let code = |created: enrollment::Enrollment| created.approvecode.map(|code| code.as_str().to_owned());
                return Ok(caller.ask(&create).await?.map(code));
            }
            State::Approved => _ = transaction.add(&self.approval()),
            State::Rejected => _ = transaction.add(&self.rejection()),
        }
        Ok(caller.run(transaction).await?.map(|()| None))
    }

    /// Finds what is there in place of one that was refused, whose pool may be closed by now.
    async fn find(&self, caller: &Caller, refusal: Refusal) -> Result<Outcome, Error> {
        match caller.ask(&enrollment::Get { enrollment: self.reference() }).await? {
            Ok(there) => return self.compare(caller, there.state).await,
            Err(missing) if missing.code != Code::NOT_FOUND => return Ok(Outcome::Refused(missing)),
            Err(_) => {}
        }
        let person = person::Get { person: self.reference(), allow_deleted: true };
        if self.state == State::Approved && caller.ask(&person).await?.is_ok() {
            let why = "its person is there; an enrollment is written before its person or not at all";
            return Ok(Outcome::NotCarried(why.to_owned()));
        }
        Ok(Outcome::Refused(refusal))
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
