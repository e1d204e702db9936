//! Permissions of roles. They are stored in the role's record, so a check reads one record per role.

use enroll_protocol::permission::{Grant, Granted, Has, List, Revoke};
use enroll_protocol::{Code, Pk, Refusal, RoleName};

use super::access::has_permission;
use super::{Call, ReadOp, WriteOp, role};
use crate::draft::Txn;
use crate::fault::Fault;
use crate::model::key::{self, Family};
use crate::model::record::{self, Role};
use crate::state::{ReadTxn, SCAN_CHUNK, StoreError, walk};

/// Permissions of one role: they are read as one record in every check.
const PERMISSIONS_OF_ROLE_MAX: usize = 256;

impl WriteOp for Grant {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<bool, Fault> {
        call.permit(txn.as_read(), false)?;
        let mut role = role::record_of(txn.as_read(), &self.role)?;
        if role.permissions.contains(self.permission.as_str()) {
            return Ok(false);
        }
        if role.permissions.len() >= PERMISSIONS_OF_ROLE_MAX {
            let why = format!("a role carries at most {PERMISSIONS_OF_ROLE_MAX} permissions; revoke one first");
            return Err(Fault::Refused(Refusal::new(Code::CONFLICT, why)));
        }
        role.permissions.insert(self.permission.as_str().to_owned());
        record::put(txn, key::role(&self.role), &role);
        call.emit(txn, Vec::<Pk>::new(), None);
        Ok(true)
    }
}

impl WriteOp for Revoke {
    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<bool, Fault> {
        call.permit(txn.as_read(), false)?;
        let mut role = role::record_of(txn.as_read(), &self.role)?;
        if !role.permissions.remove(self.permission.as_str()) {
            return Ok(false);
        }
        record::put(txn, key::role(&self.role), &role);
        call.emit(txn, Vec::<Pk>::new(), None);
        Ok(true)
    }
}

impl ReadOp for Has {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<bool, Fault> {
        let pk = role::require_person(txn, &self.person)?;
        call.permit(txn, call.is_actor(pk))?;
        has_permission(txn, pk, self.permission.as_str())
    }
}

impl ReadOp for List {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Vec<Granted>, Fault> {
        call.permit(txn, false)?;
        let mut granted = Vec::new();
        let mut add = |name: &RoleName, role: Role| -> Result<(), Fault> {
            for path in role.permissions {
                let permission =
                    path.parse().map_err(|_| StoreError::Corrupt(format!("the role {name} carries {path:?}")))?;
                granted.push(Granted { role: name.clone(), permission });
            }
            Ok(())
        };
        match &self.role {
            Some(name) => add(name, role::record_of(txn, name)?)?,
            None => {
                let (from, to) = Family::Roles.bounds();
                walk(txn, (&from, &to), SCAN_CHUNK, |key, value| {
                    if let Some(name) = key::role_name(key) {
                        add(&name, record::decode(value)?)?;
                    }
                    Ok::<_, Fault>(std::ops::ControlFlow::Continue(()))
                })?;
            }
        }
        Ok(granted)
    }
}
