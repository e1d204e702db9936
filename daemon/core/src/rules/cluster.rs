//! Operations on the cluster: its status, and handing over. Both are the daemon's to do; the rules decide who may.

use enroll_protocol::cluster::{ClusterStatus, HandOver, Status};

use super::{Call, ReadOp};
use crate::fault::Fault;
use crate::needs::{Made, Needed};
use crate::state::ReadTxn;

impl ReadOp for Status {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<ClusterStatus, Fault> {
        call.permit(txn, false)?;
        match &call.ctx.made {
            Some(Made::Cluster(status)) => Ok((**status).clone()),
            _ => Err(Fault::Needs(Needed::Cluster)),
        }
    }
}

impl ReadOp for HandOver {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Option<String>, Fault> {
        call.permit(txn, false)?;
        match &call.ctx.made {
            Some(Made::HandOver(outcome)) => Ok(outcome.clone()?),
            _ => Err(Fault::Needs(Needed::HandOver(self.clone()))),
        }
    }
}
