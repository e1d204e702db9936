//! Transactions as jobs: the writes of one transaction, each decoded as if it were a request of its own.

use std::sync::{Arc, OnceLock};

use enroll_core::context::Peer;
use enroll_core::draft::Txn;
use enroll_core::fault::{Fault, in_unit};
use enroll_core::rules::Call;
use enroll_core::rules::transaction::{self as rules, Unit};
use enroll_core::state::StoreError;
use enroll_protocol::transaction::{Run, Unit as Encoded};
use enroll_protocol::{Code, Envelope, Operation as _, OperationRow, Refusal, codec};

use super::job::{Progress, Ran, WriteJob};
use super::{Job, handler};

/// A transaction: its units are decoded when it is checked.
pub(super) struct Transaction {
    run: Run,
    units: OnceLock<Vec<Arc<dyn WriteJob>>>,
}

/// A write as a unit.
struct UnitJob(Arc<dyn WriteJob>);

impl Transaction {
    /// A transaction whose units are not decoded yet.
    pub(super) fn new(run: Run) -> Self {
        Self { run, units: OnceLock::new() }
    }

    fn units(&self) -> &[Arc<dyn WriteJob>] {
        self.units.get().map_or(&[][..], Vec::as_slice)
    }
}

impl WriteJob for Transaction {
    fn row(&self) -> &'static OperationRow {
        Run::ROW
    }

    fn request(&self) -> Vec<u8> {
        let encoded = |unit: &Arc<dyn WriteJob>| Encoded { number: unit.row().number, request: unit.request() };
        codec::encode(&Run { units: self.units().iter().map(encoded).collect() })
    }

    fn takes_code(&self) -> bool {
        self.units().iter().any(|unit| unit.takes_code())
    }

    fn is_barrier(&self) -> bool {
        false
    }

    fn check(&self) -> Result<(), Refusal> {
        rules::check(&self.run)?;
        let decoded = |(at, unit): (usize, &Encoded)| decode(unit).map_err(|refusal| in_unit(at, unit.number, refusal));
        let units = self.run.units.iter().enumerate().map(decoded).collect::<Result<Vec<_>, _>>()?;
        // They are always the same.
        self.units.get_or_init(|| units);
        Ok(())
    }

    fn admit(&self, peer: &Peer, envelope: &Envelope) -> Result<(), Refusal> {
        enroll_core::rules::admit(Run::ROW, peer, envelope)?;
        for (at, unit) in self.units().iter().enumerate() {
            unit.admit(peer, envelope).map_err(|refusal| in_unit(at, unit.row().number, refusal))?;
        }
        Ok(())
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>, _: Progress, _: &mut usize) -> Result<Ran, Fault> {
        let units: Vec<UnitJob> = self.units().iter().map(Arc::clone).map(UnitJob).collect();
        let units: Vec<&dyn Unit> = units.iter().map(|unit| unit as &dyn Unit).collect();
        Ok(Ran::Whole(codec::encode(&rules::run(txn, call.ctx, &units)?)))
    }

    fn join(&self, _: &[Vec<u8>]) -> Result<Vec<u8>, StoreError> {
        Err(StoreError::Corrupt("a transaction was answered in parts".to_owned()))
    }
}

impl Unit for UnitJob {
    fn row(&self) -> &'static OperationRow {
        self.0.row()
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Vec<u8>, Fault> {
        let mut all = usize::MAX;
        match self.0.run(txn, call, Progress::default(), &mut all)? {
            Ran::Whole(reply) => Ok(reply),
            Ran::Part(..) | Ran::LastPart(..) => Err(Fault::Broken("a unit was not run whole".to_owned())),
        }
    }
}

/// Decodes a unit, and refuses what needs no state to be refused.
fn decode(unit: &Encoded) -> Result<Arc<dyn WriteJob>, Refusal> {
    let unknown = || Refusal::new(Code::UNKNOWN_OPERATION, format!("this daemon has no operation {}", unit.number));
    let handler = handler(unit.number).ok_or_else(unknown)?;
    rules::expect_unit(handler.row)?;
    let Job::Write(job) = (handler.job)(&unit.request)? else {
        return Err(Refusal::new(Code::INVALID_ARGUMENT, "it is not a write"));
    };
    job.check()?;
    Ok(job)
}
