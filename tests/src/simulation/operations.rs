//! The operations of a simulated client: few names, so that they collide, and requests as the wire has them.

use std::collections::BTreeSet;

use enroll_protocol::{
    Envelope, Json, Key, LoginCode, Operation, Origin, Pk, Reference, Time, code, codec, enrollment, event, jwt,
    person, pool, registration, role, server, token,
};

use super::certificates::Ask;
use super::owners::Owned;
use super::{guesses, programs, transactions};
use crate::event_model::{Event, Pool, Target};
use crate::registry::BEGIN_MICROS;

/// Callsigns of people and enrollments.
pub(super) const NAMES: usize = 8;

/// Tokens.
pub(super) const TOKENS: usize = 12;

/// The roles.
pub(super) const ROLES: [&str; 3] = ["guest", "member", "staff"];

/// An operation with its arguments. What another one has made is named by that one's number and what its answer told.
#[derive(Debug, Clone)]
pub(super) enum Op {
    CreatePerson { name: usize, roles: BTreeSet<&'static str> },
    DeletePerson { name: usize },
    RevokePerson { name: usize },
    RestorePerson { name: usize },
    GetPerson { name: usize },
    Assign { name: usize, role: &'static str },
    Remove { name: usize, role: &'static str },
    ListRoles { name: usize },
    UseToken { token: usize, expires: Option<Time> },
    CreateCode { sub: Option<usize>, expires: Option<Time> },
    UseCode { code: Option<(usize, LoginCode)> },
    CreatePool { owner: usize, most: Option<u32> },
    SetActive { pool: (usize, Pk), active: bool },
    ResetCode { pool: (usize, Pk) },
    DeletePool { pool: (usize, Pk) },
    Enroll { name: usize, pool: Option<(usize, String)> },
    Approve { name: usize },
    Reject { name: usize },
    Reopen { name: usize },
    CreateEvent { owner: usize, event: Box<Event> },
    Own { event: (usize, Pk), change: Owned },
    Register { event: (usize, Pk), name: usize },
    Cancel { event: (usize, Pk), name: usize },
    Place { event: (usize, Pk), name: usize, target: Target },
    Decide { event: (usize, Pk), name: usize, approve: bool },
    ErasePerson { name: usize },
    Certify(Ask),
    Study(programs::Ask),
    Transact(Vec<Op>),
    Guess(guesses::Ask),
    RotateKeys,
    Check,
}

impl Op {
    /// The people whom it names, by callsign or as a code's subject.
    pub(super) fn names(&self) -> Option<usize> {
        match self {
            Self::CreatePerson { name, .. }
            | Self::DeletePerson { name }
            | Self::RevokePerson { name }
            | Self::RestorePerson { name }
            | Self::ErasePerson { name }
            | Self::GetPerson { name }
            | Self::Assign { name, .. }
            | Self::Remove { name, .. }
            | Self::ListRoles { name }
            | Self::Enroll { name, .. }
            | Self::Approve { name }
            | Self::Reject { name }
            | Self::Reopen { name }
            | Self::Register { name, .. }
            | Self::Cancel { name, .. }
            | Self::Place { name, .. }
            | Self::Decide { name, .. } => Some(*name),
            Self::CreatePool { owner, .. } | Self::CreateEvent { owner, .. } => Some(*owner),
            Self::CreateCode { sub, .. } => *sub,
            Self::Certify(ask) => Some(ask.name()),
            Self::Study(ask) => ask.name(),
            Self::Guess(ask) => ask.name(),
            _ => None,
        }
    }

    /// The number of the request that made what it is about: a code, a pool, or an event.
    pub(super) fn about(&self) -> Option<usize> {
        match self {
            Self::UseCode { code } => code.as_ref().map(|(made, _)| *made),
            Self::SetActive { pool, .. } | Self::ResetCode { pool } | Self::DeletePool { pool } => Some(pool.0),
            Self::Enroll { pool, .. } => pool.as_ref().map(|(made, _)| *made),
            Self::Guess(ask) => ask.about(),
            Self::Register { event, .. } | Self::Cancel { event, .. } | Self::Place { event, .. } => Some(event.0),
            Self::Decide { event, .. } | Self::Own { event, .. } => Some(event.0),
            _ => None,
        }
    }
}

/// A request on the wire.
#[derive(Debug, Clone)]
pub(super) struct Encoded {
    pub(super) operation: u16,
    pub(super) body: Vec<u8>,
}

impl Op {
    /// True for one that writes.
    pub(super) fn writes(&self) -> bool {
        match self {
            Self::Certify(ask) => ask.writes(),
            Self::Study(ask) => ask.writes(),
            Self::Guess(ask) => ask.writes(),
            Self::GetPerson { .. } | Self::ListRoles { .. } | Self::Check => false,
            _ => true,
        }
    }

    /// The request of this origin, by which its changes are known.
    pub(super) fn encode(&self, origin: Origin, key: Option<Key>) -> Encoded {
        self.encode_with(&Envelope { origin: Some(origin), key, ..Envelope::default() })
    }

    /// The request with this envelope.
    pub(super) fn encode_with(&self, envelope: &Envelope) -> Encoded {
        match self {
            Self::CreatePerson { name, roles } => {
                let roles = roles.iter().map(|role| role.parse().expect("a role")).collect();
                let callsign = callsign(*name).parse().expect("a callsign");
                encoded(envelope, &person::Create { roles, ..person::Create::new(callsign) })
            }
            Self::DeletePerson { name } => encoded(envelope, &person::Delete { person: named(*name) }),
            Self::RevokePerson { name } => {
                let reason = person::RevocationReason::KeyCompromise;
                encoded(envelope, &person::Revoke { person: named(*name), reason })
            }
            Self::RestorePerson { name } => encoded(envelope, &person::Restore { person: named(*name) }),
            Self::ErasePerson { name } => encoded(envelope, &person::Erase { person: named(*name) }),
            Self::Certify(ask) => ask.encode(envelope),
            Self::Study(ask) => ask.encode(envelope),
            Self::Guess(ask) => ask.encode(envelope),
            Self::Transact(units) => transactions::encode(units, envelope),
            Self::GetPerson { name } => {
                encoded(envelope, &person::Get { allow_deleted: true, ..person::Get::new(named(*name)) })
            }
            Self::Assign { name, role } => {
                encoded(envelope, &role::Assign { person: named(*name), role: role.parse().expect("a role") })
            }
            Self::Remove { name, role } => {
                encoded(envelope, &role::Remove { person: named(*name), role: role.parse().expect("a role") })
            }
            Self::ListRoles { name } => encoded(envelope, &role::List::new(named(*name))),
            Self::UseToken { token, expires } => {
                let token = format!("token {token}").parse().expect("a token");
                encoded(envelope, &token::Use { expires: *expires, ..token::Use::new(token) })
            }
            Self::CreateCode { sub, expires } => {
                let claims = sub.map_or_else(|| "{}".to_owned(), |sub| format!("{{\"sub\":\"{}\"}}", callsign(sub)));
                let claims = Json::new(&claims).expect("claims");
                encoded(envelope, &code::Create { expires: *expires, ..code::Create::new(claims) })
            }
            Self::UseCode { code } => {
                let unknown = || "NOSUCHCODE22".parse().expect("a code");
                let code = code.as_ref().map_or_else(unknown, |(_, code)| code.clone());
                encoded(envelope, &code::Use::new(code))
            }
            Self::CreatePool { owner, most } => {
                let owner = Some(named(*owner));
                encoded(envelope, &pool::Create { owner, max_uses: *most, ..pool::Create::default() })
            }
            Self::SetActive { pool, active } => {
                encoded(envelope, &pool::SetActive { pool: by_pk(pool.1), active: *active })
            }
            Self::ResetCode { pool } => encoded(envelope, &pool::ResetCode::new(by_pk(pool.1))),
            Self::DeletePool { pool } => encoded(envelope, &pool::Delete { pool: by_pk(pool.1) }),
            Self::Enroll { name, pool } => {
                let pool = pool.as_ref().map(|(_, invitecode)| invitecode.parse().expect("an invite code"));
                let callsign = callsign(*name).parse().expect("a callsign");
                encoded(envelope, &enrollment::Create { pool, ..enrollment::Create::new(callsign) })
            }
            Self::Approve { name } => encoded(envelope, &enrollment::Approve::new(named(*name))),
            Self::Reject { name } => encoded(envelope, &enrollment::Reject { enrollment: named(*name), reason: None }),
            Self::Reopen { name } => encoded(envelope, &enrollment::Reopen { enrollment: named(*name) }),
            Self::CreateEvent { owner, event } => {
                let Event { start, minutes, most, is_published, needs_approval, has_waiting_list, .. } = **event;
                let (title, kind) = ("Camp".parse().expect("a title"), "camp".parse().expect("a kind"));
                let mut create = event::Create::new(title, kind, time(start), minutes);
                create.owner = Some(named(*owner));
                create.max_participants = most;
                create.published = Some(is_published);
                create.waiting_list = Some(has_waiting_list);
                create.approval =
                    Some(if needs_approval { event::Approval::Supervisor } else { event::Approval::None });
                create.merge_time = event.merges.map(time);
                create.registration_closes = event.closes.map(time);
                create.unregistration_closes = event.cancel_closes.map(time);
                create.pools = event.pools.iter().map(new_pool).collect();
                encoded(envelope, &create)
            }
            Self::Own { event, change } => change.encode(envelope, event.1),
            Self::Register { event, name } => {
                encoded(envelope, &registration::Create { event: by_pk(event.1), person: named(*name) })
            }
            Self::Cancel { event, name } => {
                encoded(envelope, &registration::Cancel { event: by_pk(event.1), person: named(*name) })
            }
            Self::Place { event, name, target } => {
                let (event, person) = (by_pk(event.1), named(*name));
                let (pool, position) = match target {
                    Target::Anywhere => (None, None),
                    Target::In(pool) => (Some(pool.parse().expect("a name")), None),
                    Target::At(position) => (None, u32::try_from(*position).ok()),
                };
                let reason = "by hand".parse().expect("a reason");
                encoded(envelope, &registration::Place { event, person, pool, position, reason })
            }
            Self::Decide { event, name, approve: true } => {
                let (event, person) = (by_pk(event.1), named(*name));
                encoded(envelope, &registration::Approve { event, person, reason: None })
            }
            Self::RotateKeys => encoded(envelope, &jwt::Rotate {}),
            Self::Check => encoded(envelope, &server::Check::default()),
            Self::Decide { event, name, approve: false } => {
                let (event, person) = (by_pk(event.1), named(*name));
                encoded(envelope, &registration::Reject { event, person, reason: None })
            }
        }
    }
}

/// A time so many seconds after the beginning.
pub(super) fn time(seconds: u64) -> Time {
    Time::from_micros(BEGIN_MICROS).expect("a time").plus_seconds(seconds)
}

/// The seconds of a time since the beginning.
pub(super) fn seconds(time: Time) -> u64 {
    u64::try_from((time.micros() - BEGIN_MICROS) / 1_000_000).unwrap_or(0)
}

/// A callsign.
pub(super) fn callsign(name: usize) -> String {
    format!("DOG{name}")
}

/// The origin of a request of this number.
pub(super) fn origin(number: usize) -> Origin {
    format!("r{number}").parse().expect("an origin")
}

/// An origin that several requests name.
pub(super) fn shared_origin(which: usize) -> Origin {
    format!("o{which}").parse().expect("an origin")
}

/// The number of the request of an origin.
pub(super) fn number(origin: &Origin) -> Option<usize> {
    origin.as_str().strip_prefix('r')?.parse().ok()
}

/// A pool that an event is to have.
pub(super) fn new_pool(pool: &Pool) -> event::NewPool {
    event::NewPool {
        name: pool.name.parse().expect("a name"),
        capacity: pool.capacity,
        roles: pool.roles.iter().map(|role| role.parse().expect("a role")).collect(),
        opens: pool.opens.map(time),
    }
}

/// The reference to a person or an enrollment.
pub(super) fn named(name: usize) -> Reference {
    callsign(name).parse().expect("a callsign")
}

/// The reference to a record by its pk.
pub(super) fn by_pk(pk: Pk) -> Reference {
    pk.to_string().parse().expect("a pk")
}

/// A request with its envelope.
pub(super) fn encoded<O: Operation>(envelope: &Envelope, operation: &O) -> Encoded {
    let body = [codec::encode(envelope), codec::encode(operation)].concat();
    Encoded { operation: O::ROW.number, body }
}
