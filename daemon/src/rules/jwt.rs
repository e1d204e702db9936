//! JWTs that this daemon signed.

use enroll_protocol::jwt::{Keys, Verify};
use enroll_protocol::{Code, Json, Reference, Refusal};

use super::{Call, ReadOp, person};
use crate::fault::Fault;
use crate::store::ReadTxn;

impl ReadOp for Verify {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Json, Fault> {
        let daemon = &call.ctx.daemon;
        let invalid = |why: &str| Refusal::new(Code::JWT_INVALID, format!("the JWT is not valid here: {why}"));
        let claims = daemon.keys.verify(&daemon.settings.issuing, &self.jwt, call.ctx.now).map_err(invalid)?;
        if let Some(sub) = claims.member::<String>("sub")?
            && let Ok(named) = Reference::new(sub)
            && let Some((_, found)) = person::find(txn, &named)?
            && found.deleted.is_some()
        {
            return Err(invalid("it names a person who is deleted").into());
        }
        Ok(claims)
    }
}

impl ReadOp for Keys {
    fn run(&self, _: &dyn ReadTxn, call: &Call<'_>) -> Result<Json, Fault> {
        Ok(call.ctx.daemon.keys.key_set()?)
    }
}
