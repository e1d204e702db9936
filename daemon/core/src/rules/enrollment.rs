//! Enrollments: made alone or by a pool, decided once, and put back to pending where the decision was a rejection.
//!
//! An enrollment reserves its callsign for ever. When it is approved the reservation becomes the person's as well; when
//! it is rejected it stays, so nobody else slips in under the name.

use enroll_protocol::enrollment::{
    Approve, Create, Delete, Enrollment, Find, Get, List, Reject, Reopen, ResetCode, State, Update,
};
use enroll_protocol::fold::fold;
use enroll_protocol::person::Person;
use enroll_protocol::{ApproveCode, Code, Named, NaturalName, Page, Pk, Reference, Refusal};
use serde_json::json;

use super::page::{Bounds, page};
use super::{Call, ReadOp, WriteOp, allowed_values, certificate, extra, human_code, person, pool, rate_limit};
use crate::context::Purpose;
use crate::draft::Txn;
use crate::fault::Fault;
use crate::identity::authority::Wanted;
use crate::model::certificate::EnrollmentRequest;
use crate::model::key::{self, Family};
use crate::model::record::{self, CallsignHolder, Kind, Marker, Pointer};
use crate::state::ReadTxn;

impl WriteOp for Create {
    const REDACT: Option<fn(&mut Enrollment)> = Some(redact);

    fn takes_code(&self) -> bool {
        self.pool.is_some()
    }

    fn check(&self) -> Result<(), Refusal> {
        match &self.csr {
            Some(csr) => certificate::require_request_of(&self.callsign, csr),
            None => Ok(()),
        }
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Enrollment, Fault> {
        let by = self.pool.as_ref().map(|named| pool::expect_typed(txn.as_read(), call, named)).transpose()?;
        let mut extra = self.extra.clone();
        let attempted = |fault: Fault| match &by {
            // A caller who has the code of a pool and is refused by the pool tried a code.
            Some((pk, _)) => fault.into_attempt(Some(*pk)),
            None => fault,
        };
        if let Some((_, pool)) = &by {
            pool::expect_live(pool).map_err(attempted)?;
        }
        let is_own = by.as_ref().is_some_and(|(_, pool)| call.is_actor(pool.owner));
        call.permit(txn.as_read(), is_own).map_err(attempted)?;
        if let Some((_, pool)) = &by {
            pool::expect_usable(txn.as_read(), call.ctx, pool).map_err(attempted)?;
            extra = pool.extra.merged(&self.extra)?;
        }
        let folded = person::require_free(txn.as_read(), call, &self.callsign)?;
        // What the pool gives was allowed when the pool was made. What is allowed now is approved later.
        allowed_values::require_allowed(txn.as_read(), &extra, by.as_ref().map(|(_, pool)| &pool.extra))?;
        let mut random = call.ctx.random(Purpose::Rule);
        let pk = call.ctx.new_pk(&mut random);
        let approvecode = draw_code(txn, call, pk, &mut random)?;
        let enrollment = record::Enrollment {
            callsign: self.callsign.clone(),
            state: State::Pending,
            approvecode,
            pool: by.as_ref().map(|(pool, _)| *pool),
            person: None,
            extra,
            decided_by: None,
            decided_on: None,
            reason: None,
            created: call.ctx.now,
            updated: call.ctx.now,
        };
        let holder = CallsignHolder { person: None, enrollment: Some(pk) };
        record::put(txn, key::callsign(&folded), &holder);
        record::put(txn, key::state_enrollment(State::Pending, pk), &Marker);
        let mut subjects = vec![pk];
        if let Some((pool_pk, mut pool)) = by {
            pool.uses += 1;
            record::put(txn, key::pool(pool_pk), &pool);
            record::put(txn, key::pool_enrollment(pool_pk, pk), &Marker);
            subjects.push(pool_pk);
        }
        record::put(txn, key::enrollment(pk), &enrollment);
        if let Some(csr) = &self.csr {
            record::put(txn, key::enrollment_request(pk), &EnrollmentRequest { csr: csr.clone() });
        }
        call.emit(txn, subjects, Some(Kind::Enrollment));
        shown(txn.as_read(), call, pk, enrollment)
    }
}

impl ReadOp for Get {
    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Enrollment, Fault> {
        let (pk, enrollment) = expect(txn, &self.enrollment)?;
        call.permit(txn, false)?;
        shown(txn, call, pk, enrollment)
    }
}

impl ReadOp for Find {
    const REDACT: Option<fn(&mut Enrollment)> = Some(redact);

    fn takes_code(&self) -> bool {
        true
    }

    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Enrollment, Fault> {
        rate_limit::expect_under_limit(call.ctx)?;
        let code = human_code::read_typed(self.approvecode.as_str(), call.ctx.settings.code_avoid_confusion);
        let why = "no enrollment has this approve code; check it for typing errors";
        if !human_code::may_exist(&code) {
            return Err(Fault::Refused(Refusal::new(Code::NOT_FOUND, why)));
        }
        let refusal = || Refusal::new(Code::NOT_FOUND, why);
        let unknown = || Fault::Attempt { refusal: refusal(), subject: None, guess: true };
        let Pointer { pk } = record::get(txn, &key::approve_code(&code))?.ok_or_else(unknown)?;
        let enrollment = record::get(txn, &key::enrollment(pk))?.ok_or_else(unknown)?;
        call.permit(txn, false).map_err(|fault| fault.into_attempt(Some(pk)))?;
        shown(txn, call, pk, enrollment)
    }
}

impl ReadOp for List {
    const REDACT: Option<fn(&mut Page<Enrollment>)> = Some(|page| page.items.iter_mut().for_each(redact));

    fn takes_code(&self) -> bool {
        self.pool.is_some()
    }

    fn run(&self, txn: &dyn ReadTxn, call: &Call<'_>) -> Result<Page<Enrollment>, Fault> {
        let by = self.pool.as_ref().map(|named| pool::expect(txn, call, named)).transpose()?;
        call.permit(txn, by.as_ref().is_some_and(|(_, pool)| call.is_actor(pool.owner)))?;
        let by = by.map(|(pk, _)| pk);
        let bounds = Bounds::of(call, &(by, self.state, &self.prefix), self.after.as_ref(), self.limit)?;
        let range = match (&self.prefix, by, self.state) {
            (Some(prefix), ..) => key::prefixed(key::callsign(&fold(prefix.as_str()))),
            (None, Some(pool), _) => key::prefixed(key::pool_enrollments(pool)),
            (None, None, Some(state)) => key::prefixed(key::state_enrollments(state)),
            (None, None, None) => Family::Enrollments.bounds(),
        };
        page(txn, range, &bounds, |key, value| {
            let pk = match &self.prefix {
                Some(_) => record::decode::<CallsignHolder>(value)?.enrollment,
                None => key::pk_at_end(key),
            };
            let Some(pk) = pk else { return Ok(None) };
            let found = record::get::<record::Enrollment>(txn, &key::enrollment(pk))?;
            let is_wanted = |found: &record::Enrollment| {
                self.state.is_none_or(|state| found.state == state) && (by.is_none() || found.pool == by)
            };
            let wanted = found.filter(is_wanted);
            wanted.map(|enrollment| shown(txn, call, pk, enrollment)).transpose()
        })
    }
}

impl WriteOp for Approve {
    fn takes_code(&self) -> bool {
        self.approvecode.is_some()
    }

    fn check(&self) -> Result<(), Refusal> {
        certificate::require_readable(&self.certificate)
    }

    /// The enrollment may have brought a signing request, which only the rule sees.
    fn may_need(&self) -> bool {
        true
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Person, Fault> {
        if self.approvecode.is_some() {
            rate_limit::expect_under_limit(call.ctx)?;
        }
        let (pk, mut enrollment) = expect(txn.as_read(), &self.enrollment)?;
        call.permit(txn.as_read(), false)?;
        expect_pending(&enrollment)?;
        if let Some(typed) = &self.approvecode {
            expect_code_of(call, pk, &enrollment, typed.as_str())?;
        }
        let folded = fold(enrollment.callsign.as_str());
        person::require_unreserved(call, &enrollment.callsign, &folded)?;
        let holder = CallsignHolder { person: None, enrollment: Some(pk) };
        let mut person = person::make(txn, call, &enrollment.callsign, holder, enrollment.extra.clone());
        if let Some(wanted) = wanted(self, txn.as_read(), pk)? {
            certificate::give(txn, call, (person.pk, &enrollment.callsign), &wanted)?;
            person.certificate = true;
        }
        enrollment.person = Some(person.pk);
        decide(txn, call, pk, &mut enrollment, State::Approved);
        call.emit(txn, vec![pk, person.pk], Some(Kind::Person));
        Ok(person)
    }
}

impl WriteOp for Update {
    const REDACT: Option<fn(&mut Enrollment)> = Some(redact);

    fn check(&self) -> Result<(), Refusal> {
        extra::Wanted::of(&self.extra, &self.patch).expect_one()
    }

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Enrollment, Fault> {
        let (pk, mut enrollment) = expect(txn.as_read(), &self.enrollment)?;
        call.permit(txn.as_read(), false)?;
        expect_pending(&enrollment)?;
        let extra = extra::Wanted::of(&self.extra, &self.patch).over(&enrollment.extra)?.unwrap_or_default();
        allowed_values::require_allowed(txn.as_read(), &extra, Some(&enrollment.extra))?;
        enrollment.extra = extra;
        enrollment.updated = call.ctx.now;
        record::put(txn, key::enrollment(pk), &enrollment);
        call.emit(txn, vec![pk], None);
        shown(txn.as_read(), call, pk, enrollment)
    }
}

impl WriteOp for Reject {
    const REDACT: Option<fn(&mut Enrollment)> = Some(redact);

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Enrollment, Fault> {
        let (pk, mut enrollment) = expect(txn.as_read(), &self.enrollment)?;
        call.permit(txn.as_read(), false)?;
        expect_pending(&enrollment)?;
        enrollment.reason = self.reason.clone();
        decide(txn, call, pk, &mut enrollment, State::Rejected);
        call.emit(txn, vec![pk], None);
        shown(txn.as_read(), call, pk, enrollment)
    }
}

impl WriteOp for Reopen {
    const REDACT: Option<fn(&mut Enrollment)> = Some(redact);

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Enrollment, Fault> {
        let (pk, mut enrollment) = expect(txn.as_read(), &self.enrollment)?;
        call.permit(txn.as_read(), false)?;
        match enrollment.state {
            State::Rejected => {}
            State::Approved => return Err(already_decided(&enrollment).into()),
            State::Pending => {
                let why =
                    format!("the enrollment of \"{}\" is pending; there is nothing to reopen", enrollment.callsign);
                return Err(Fault::Refused(Refusal::new(Code::CONFLICT, why)));
            }
        }
        txn.delete(key::state_enrollment(enrollment.state, pk));
        record::put(txn, key::state_enrollment(State::Pending, pk), &Marker);
        enrollment.state = State::Pending;
        (enrollment.decided_by, enrollment.decided_on, enrollment.reason) = (None, None, None);
        renew_code(txn, call, pk, enrollment)
    }
}

impl WriteOp for ResetCode {
    const REDACT: Option<fn(&mut Enrollment)> = Some(redact);

    fn run(&self, txn: &mut dyn Txn, call: &Call<'_>) -> Result<Enrollment, Fault> {
        let (pk, enrollment) = expect(txn.as_read(), &self.enrollment)?;
        call.permit(txn.as_read(), false)?;
        match enrollment.state {
            State::Pending | State::Approved => renew_code(txn, call, pk, enrollment),
            State::Rejected => Err(already_decided(&enrollment).into()),
        }
    }
}

impl WriteOp for Delete {
    fn run(&self, _: &mut dyn Txn, _: &Call<'_>) -> Result<(), Fault> {
        let why = "enrollments can not be deleted; reject it instead";
        Err(Fault::Refused(Refusal::new(Code::FORBIDDEN_OPERATION, why)))
    }
}

/// The certificate that was asked for, else that of the request which the enrollment brought.
fn wanted(approve: &Approve, txn: &dyn ReadTxn, enrollment: Pk) -> Result<Option<Wanted>, Fault> {
    let brought = || record::get::<EnrollmentRequest>(txn, &key::enrollment_request(enrollment));
    match certificate::wanted(&approve.certificate) {
        Some(wanted) => Ok(Some(wanted)),
        None => Ok(brought()?.map(|brought| Wanted::Request(brought.csr))),
    }
}

/// The enrollment of this pk or callsign, who must exist.
fn expect(txn: &dyn ReadTxn, named: &Reference) -> Result<(Pk, record::Enrollment), Fault> {
    let nobody = || Refusal::new(Code::NOT_FOUND, format!("no enrollment has the pk or callsign \"{named}\""));
    Ok(find(txn, named)?.ok_or_else(nobody)?)
}

fn find(txn: &dyn ReadTxn, named: &Reference) -> Result<Option<(Pk, record::Enrollment)>, Fault> {
    let holder = match named.read(NaturalName::Callsign)? {
        Named::Pk(pk) => Some(CallsignHolder { person: None, enrollment: Some(pk) }),
        Named::Natural(callsign) => record::get::<CallsignHolder>(txn, &key::callsign(&fold(callsign)))?,
    };
    of_holder(txn, holder)
}

/// The enrollment that holds a callsign, alone or with its person.
pub(super) fn of_holder(
    txn: &dyn ReadTxn,
    holder: Option<CallsignHolder>,
) -> Result<Option<(Pk, record::Enrollment)>, Fault> {
    let Some(pk) = holder.and_then(|holder| holder.enrollment) else { return Ok(None) };
    Ok(record::get::<record::Enrollment>(txn, &key::enrollment(pk))?.map(|found| (pk, found)))
}

fn expect_pending(enrollment: &record::Enrollment) -> Result<(), Fault> {
    match enrollment.state {
        State::Pending => Ok(()),
        State::Approved | State::Rejected => Err(already_decided(enrollment).into()),
    }
}

/// The refusal of a decided enrollment. Everybody whom it is answered to may read the enrollment, so it tells the
/// decision.
fn already_decided(enrollment: &record::Enrollment) -> Refusal {
    let (decision, way_out) = match enrollment.state {
        State::Rejected => ("rejected", "; reopen it first"),
        State::Pending | State::Approved => ("approved", ""),
    };
    let on = enrollment.decided_on.map_or_else(String::new, |on| format!(" at {on}"));
    let why = format!("the enrollment of \"{}\" was {decision}{on}{way_out}", enrollment.callsign);
    Refusal::new(Code::ALREADY_DECIDED, why).with(json!({
        "state": enrollment.state,
        "decided_on": enrollment.decided_on,
        "decided_by": enrollment.decided_by,
    }))
}

/// Refuses another code than the enrollment's. It counts as a guess, unless it can be no approve code by its length.
fn expect_code_of(call: &Call<'_>, pk: Pk, enrollment: &record::Enrollment, typed: &str) -> Result<(), Fault> {
    let code = human_code::read_typed(typed, call.ctx.settings.code_avoid_confusion);
    if code == enrollment.approvecode {
        call.note_right_code();
        return Ok(());
    }
    let why = format!("this is not the approve code of \"{}\"; check it for typing errors", enrollment.callsign);
    let refusal = Refusal::new(Code::CODE_MISMATCH, why);
    match human_code::may_exist(&code) {
        true => Err(Fault::Attempt { refusal, subject: Some(pk), guess: true }),
        false => Err(Fault::Refused(refusal)),
    }
}

/// Writes down who decided what and when.
fn decide(txn: &mut dyn Txn, call: &Call<'_>, pk: Pk, enrollment: &mut record::Enrollment, state: State) {
    txn.delete(key::state_enrollment(enrollment.state, pk));
    record::put(txn, key::state_enrollment(state, pk), &Marker);
    enrollment.state = state;
    enrollment.decided_by = Some(call.decider());
    enrollment.decided_on = Some(call.ctx.now);
    enrollment.updated = call.ctx.now;
    record::put(txn, key::enrollment(pk), enrollment);
}

/// Gives an enrollment a new approve code, and writes it as it is given.
fn renew_code(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    pk: Pk,
    mut enrollment: record::Enrollment,
) -> Result<Enrollment, Fault> {
    let old = key::approve_code(&enrollment.approvecode);
    enrollment.approvecode = draw_code(txn, call, pk, &mut call.ctx.random(Purpose::Rule))?;
    txn.delete(old);
    enrollment.updated = call.ctx.now;
    record::put(txn, key::enrollment(pk), &enrollment);
    call.emit(txn, vec![pk], None);
    shown(txn.as_read(), call, pk, enrollment)
}

fn draw_code(
    txn: &mut dyn Txn,
    call: &Call<'_>,
    pk: Pk,
    random: &mut rand::rngs::ChaCha20Rng,
) -> Result<String, Fault> {
    let settings = &call.ctx.settings;
    let (code, key) = human_code::draw_free(txn.as_read(), random, settings, settings.code_size, key::approve_code)?;
    record::put(txn, key, &Pointer { pk });
    Ok(code)
}

fn redact(enrollment: &mut Enrollment) {
    enrollment.approvecode = None;
}

fn shown(txn: &dyn ReadTxn, call: &Call<'_>, pk: Pk, enrollment: record::Enrollment) -> Result<Enrollment, Fault> {
    let request = record::get::<EnrollmentRequest>(txn, &key::enrollment_request(pk))?;
    let has_csr = request.is_some();
    Ok(Enrollment {
        pk,
        callsign: enrollment.callsign,
        state: enrollment.state,
        approvecode: call.sees_codes().then(|| ApproveCode::new(enrollment.approvecode)).transpose()?,
        pool: enrollment.pool,
        person: enrollment.person,
        extra: call.shown_extra(enrollment.extra),
        csr: request.filter(|_| call.sees_codes()).map(|request| request.csr),
        has_csr,
        decided_by: enrollment.decided_by,
        decided_on: enrollment.decided_on,
        reason: enrollment.reason,
        created: enrollment.created,
        updated: enrollment.updated,
        deleted: None,
    })
}
