//! People and their roles, as an import carries them. A person is known by the callsign, so none is made twice. A later
//! file may bring the deletion.

use enroll_client::protocol::{Callsign, Code, Json, Reference, RoleName, person, role};
use enroll_client::{Error, Transaction};

use super::fields::{Fields, json};
use super::kind::Shape;
use super::outcome::{Caller, Outcome, are_same};

/// A person to carry.
#[derive(Debug)]
pub(super) struct Person {
    callsign: Callsign,
    roles: Vec<RoleName>,
    is_deleted: bool,
    extra: Json,
}

impl Person {
    pub(super) fn read(fields: &Fields, shape: &Shape) -> Result<Self, String> {
        let extra = json("extra", &fields.object("extra", shape.kept)?)?;
        let is_deleted = fields.is_deleted()?;
        // A deleted person has no roles.
        let roles = if is_deleted { Vec::new() } else { fields.words("roles")? };
        Ok(Self { callsign: fields.required("callsign")?, roles, is_deleted, extra })
    }

    pub(super) fn name(&self) -> String {
        self.callsign.to_string()
    }

    pub(super) async fn carry(self, caller: &Caller) -> Result<Outcome, Error> {
        let mut create = person::Create::new(self.callsign.clone());
        create.extra.clone_from(&self.extra);
        create.roles.clone_from(&self.roles);
        let done = if self.is_deleted {
            let mut transaction = Transaction::new();
            let _ = transaction.add(&create);
            let _ = transaction.add(&person::Delete { person: self.reference() });
            caller.run(transaction).await?
        } else {
            caller.ask(&create).await?.map(|_| ())
        };
        match done {
            Ok(()) => Ok(Outcome::Carried(None)),
            Err(refusal) if refusal.code == Code::CALLSIGN_RESERVED => {
                let there = person::Get { person: self.reference(), allow_deleted: true };
                match caller.ask(&there).await? {
                    Ok(there) if self.is_deleted && there.deleted.is_none() => {
                        caller.write(&person::Delete { person: self.reference() }).await
                    }
                    Ok(there) => Ok(self.compared(&there)),
                    Err(missing) if missing.code == Code::NOT_FOUND => Ok(Outcome::Refused(refusal)),
                    Err(other) => Ok(Outcome::Refused(other)),
                }
            }
            Err(refusal) => Ok(Outcome::Refused(refusal)),
        }
    }

    fn compared(&self, there: &person::Person) -> Outcome {
        if there.deleted.is_some() && !self.is_deleted {
            return Outcome::differs("it is deleted; person restore undoes that");
        }
        if let Some(missing) = self.roles.iter().find(|role| !there.roles.contains(role)) {
            return Outcome::differs(&format!("it has not the role {missing}; role assign gives it"));
        }
        if !are_same(there.extra.as_str(), self.extra.as_str()) {
            return Outcome::differs("it has another extra; person update changes it");
        }
        Outcome::There("a person has this callsign, with the same values".to_owned())
    }

    fn reference(&self) -> Reference {
        Reference::from(&self.callsign)
    }
}

/// A role to give.
#[derive(Debug)]
pub(super) struct Role {
    person: Callsign,
    role: RoleName,
}

impl Role {
    pub(super) fn read(fields: &Fields) -> Result<Self, String> {
        Ok(Self { person: fields.required("person")?, role: fields.required("role")? })
    }

    pub(super) fn name(&self) -> String {
        format!("{} {}", self.person, self.role)
    }

    pub(super) async fn carry(self, caller: &Caller) -> Result<Outcome, Error> {
        let assign = role::Assign { person: Reference::from(&self.person), role: self.role };
        Ok(match caller.ask(&assign).await? {
            Ok(true) => Outcome::Carried(None),
            Ok(false) => Outcome::There("the person has this role".to_owned()),
            Err(refusal) => Outcome::Refused(refusal),
        })
    }
}
