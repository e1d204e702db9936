//! Earlier versions of stored records, and the readers that bring them to the present one.

use std::collections::BTreeMap;

use enroll_protocol::enrollment::Decider;
use enroll_protocol::person::Revocation;
use enroll_protocol::registration::ApprovalState;
use enroll_protocol::{Callsign, Invalid, Json, Key, Pk, Reason, Time, codec};
use serde::{Deserialize, Serialize};

use super::event::{Registration, Slot, Stand};
use super::export_schema::Importing;
use super::record::{Chain, ChangesHead, ClockState, Kind, Person, Pool, Record, stored_json};
use super::token::{Code, Token};
use crate::identity::Hash;

/// A person of version 1, before people could be restored.
#[derive(Serialize, Deserialize)]
struct PersonV1 {
    callsign: Callsign,
    #[serde(with = "stored_json")]
    extra: Json,
    supervisor: Option<Pk>,
    revocation: Option<Revocation>,
    created: Time,
    updated: Time,
    deleted: Option<Time>,
}

/// A person of version 2, before people could be erased.
#[derive(Serialize, Deserialize)]
struct PersonV2 {
    callsign: Callsign,
    #[serde(with = "stored_json")]
    extra: Json,
    supervisor: Option<Pk>,
    supervisor_life: u32,
    revocation: Option<Revocation>,
    is_revoked: bool,
    life: u32,
    restored: Option<Time>,
    created: Time,
    updated: Time,
    deleted: Option<Time>,
}

/// A pool of version 1, before people could be restored.
#[derive(Serialize, Deserialize)]
struct PoolV1 {
    owner: Pk,
    active: bool,
    invitecode: String,
    #[serde(with = "stored_json")]
    extra: Json,
    max_uses: Option<u32>,
    uses: u32,
    expires: Option<Time>,
    created: Time,
    updated: Time,
    deleted: Option<Time>,
}

/// A used token of version 1, which did not keep its user.
#[derive(Serialize, Deserialize)]
struct TokenV1 {
    pk: Pk,
    created: Time,
    expires: Option<Time>,
}

/// A login code of version 1, which did not keep its user, from before people could be restored.
#[derive(Serialize, Deserialize)]
struct CodeV1 {
    hash: Hash,
    created: Time,
    #[serde(with = "stored_json")]
    claims: Json,
    #[serde(with = "stored_json::optional")]
    audit: Option<Json>,
    used_on: Option<Time>,
    expires: Option<Time>,
}

/// A registration of version 1, before people could be placed by hand.
#[derive(Deserialize)]
struct RegistrationV1 {
    pk: Pk,
    order: u64,
    stand: Stand,
    admitted: Vec<Slot>,
    registered_at: Time,
    canceled_at: Option<Time>,
    approval: ApprovalState,
    decided_by: Option<Decider>,
    decided_on: Option<Time>,
    reason: Option<Reason>,
    created: Time,
    updated: Time,
}

/// The head of the changes of version 1, before they were chained.
#[derive(Serialize, Deserialize)]
struct ChangesHeadV1 {
    seq: u64,
    forgotten: u64,
    at: Time,
    records: BTreeMap<Kind, u64>,
    clock: ClockState,
}

/// The progress of an import of version 1, which read only files of the present schema.
#[derive(Serialize, Deserialize)]
struct ImportingV1 {
    bytes: u64,
    lines: u64,
    open: String,
    with_secrets: bool,
    is_brought: bool,
    is_read: bool,
    records: BTreeMap<String, u64>,
    latest: Option<(u32, Key)>,
}

/// The only schema whose imports had records of version 1.
const IMPORTING_V1_SCHEMA: u32 = 4;

impl Record for Token {
    const VERSION: u8 = 2;

    fn decode_older(version: u8, bytes: &[u8]) -> Option<Result<Self, Invalid>> {
        (version == 1).then(|| codec::decode::<TokenV1>(bytes).map(Self::from))
    }
}

impl Record for Code {
    const VERSION: u8 = 2;

    fn decode_older(version: u8, bytes: &[u8]) -> Option<Result<Self, Invalid>> {
        (version == 1).then(|| codec::decode::<CodeV1>(bytes).map(Self::from))
    }
}

impl From<TokenV1> for Token {
    fn from(old: TokenV1) -> Self {
        Self { pk: old.pk, created: old.created, expires: old.expires, used_by: None }
    }
}

impl From<CodeV1> for Code {
    fn from(old: CodeV1) -> Self {
        Self {
            hash: old.hash,
            created: old.created,
            claims: old.claims,
            audit: old.audit,
            subject_life: 0,
            used_on: old.used_on,
            used_by: None,
            expires: old.expires,
        }
    }
}

impl Record for Person {
    const VERSION: u8 = 3;

    fn decode_older(version: u8, bytes: &[u8]) -> Option<Result<Self, Invalid>> {
        match version {
            1 => Some(codec::decode::<PersonV1>(bytes).map(|old| Self::from(PersonV2::from(old)))),
            2 => Some(codec::decode::<PersonV2>(bytes).map(Self::from)),
            _ => None,
        }
    }
}

impl Record for Pool {
    const VERSION: u8 = 2;

    fn decode_older(version: u8, bytes: &[u8]) -> Option<Result<Self, Invalid>> {
        (version == 1).then(|| codec::decode::<PoolV1>(bytes).map(Self::from))
    }
}

impl From<PersonV1> for PersonV2 {
    fn from(old: PersonV1) -> Self {
        Self {
            callsign: old.callsign,
            extra: old.extra,
            supervisor: old.supervisor,
            supervisor_life: 0,
            revocation: old.revocation,
            is_revoked: false,
            life: 0,
            restored: None,
            created: old.created,
            updated: old.updated,
            deleted: old.deleted,
        }
    }
}

impl From<PersonV2> for Person {
    fn from(old: PersonV2) -> Self {
        Self {
            callsign: old.callsign,
            extra: old.extra,
            supervisor: old.supervisor,
            supervisor_life: old.supervisor_life,
            revocation: old.revocation,
            is_revoked: old.is_revoked,
            life: old.life,
            restored: old.restored,
            created: old.created,
            updated: old.updated,
            deleted: old.deleted,
            erased: None,
        }
    }
}

impl From<PoolV1> for Pool {
    fn from(old: PoolV1) -> Self {
        Self {
            owner: old.owner,
            active: old.active,
            owner_life: 0,
            invitecode: old.invitecode,
            extra: old.extra,
            max_uses: old.max_uses,
            uses: old.uses,
            expires: old.expires,
            created: old.created,
            updated: old.updated,
            deleted: old.deleted,
        }
    }
}

impl Record for Registration {
    const VERSION: u8 = 2;

    fn decode_older(version: u8, bytes: &[u8]) -> Option<Result<Self, Invalid>> {
        (version == 1).then(|| codec::decode::<RegistrationV1>(bytes).map(Self::from))
    }
}

impl From<RegistrationV1> for Registration {
    fn from(old: RegistrationV1) -> Self {
        Self {
            pk: old.pk,
            order: old.order,
            stand: old.stand,
            admitted: old.admitted,
            registered_at: old.registered_at,
            canceled_at: old.canceled_at,
            approval: old.approval,
            decided_by: old.decided_by,
            decided_on: old.decided_on,
            reason: old.reason,
            placed: None,
            created: old.created,
            updated: old.updated,
        }
    }
}

impl Record for ChangesHead {
    const VERSION: u8 = 2;

    fn decode_older(version: u8, bytes: &[u8]) -> Option<Result<Self, Invalid>> {
        (version == 1).then(|| codec::decode::<ChangesHeadV1>(bytes).map(Self::from))
    }
}

impl From<ChangesHeadV1> for ChangesHead {
    fn from(old: ChangesHeadV1) -> Self {
        Self {
            seq: old.seq,
            forgotten: old.forgotten,
            at: old.at,
            records: old.records,
            clock: old.clock,
            chain: Chain::after(old.seq),
        }
    }
}

impl Record for Importing {
    const VERSION: u8 = 2;

    fn decode_older(version: u8, bytes: &[u8]) -> Option<Result<Self, Invalid>> {
        (version == 1).then(|| codec::decode::<ImportingV1>(bytes).map(Self::from))
    }
}

impl From<ImportingV1> for Importing {
    fn from(old: ImportingV1) -> Self {
        Self {
            bytes: old.bytes,
            lines: old.lines,
            open: old.open,
            with_secrets: old.with_secrets,
            is_brought: old.is_brought,
            is_read: old.is_read,
            records: old.records,
            latest: old.latest,
            schema: IMPORTING_V1_SCHEMA,
        }
    }
}

#[cfg(test)]
mod tests {
    use enroll_protocol::person::RevocationReason;

    use super::*;
    use crate::model::record;

    fn of_version_1(fields: &impl Serialize) -> Vec<u8> {
        let mut bytes = vec![1];
        codec::encode_into(fields, &mut bytes);
        bytes
    }

    #[test]
    fn a_person_of_an_older_version_is_read_and_the_reason_tells_a_deletion_from_a_revocation() {
        let revocation = |reason| Revocation { reason, at: Time::EPOCH };
        for (reason, was_revoked) in [
            (None, false),
            (Some(RevocationReason::PrivilegeWithdrawn), false),
            (Some(RevocationReason::KeyCompromise), true),
        ] {
            let old = PersonV1 {
                callsign: "DOGGO01a".parse().expect("a callsign"),
                extra: Json::default(),
                supervisor: Some(Pk::from_bytes([7; 16])),
                revocation: reason.map(revocation),
                created: Time::EPOCH,
                updated: Time::EPOCH,
                deleted: Some(Time::EPOCH),
            };
            let read = record::decode::<Person>(&of_version_1(&old)).expect("a person");
            assert_eq!((read.was_revoked(), read.life, read.restored), (was_revoked, 0, None));
            assert_eq!(read, Person::from(PersonV2::from(old)));
            let old = PersonV2 {
                callsign: read.callsign.clone(),
                extra: read.extra.clone(),
                supervisor: read.supervisor,
                supervisor_life: 3,
                revocation: read.revocation.clone(),
                is_revoked: true,
                life: 300,
                restored: Some(Time::EPOCH),
                created: Time::EPOCH,
                updated: Time::EPOCH,
                deleted: read.deleted,
            };
            let bytes = [&[2], codec::encode(&old).as_slice()].concat();
            let second = record::decode::<Person>(&bytes).expect("a person of version 2");
            assert_eq!((second.life, second.supervisor_life, second.erased), (300, 3, None));
            assert_eq!(second, Person::from(old));
            let again = record::decode::<Person>(&record::encode(&read));
            assert_eq!(again, Ok(read));
        }
    }

    #[test]
    fn a_pool_of_version_1_is_read_as_one_of_its_owners_first_life() {
        let old = PoolV1 {
            owner: Pk::from_bytes([7; 16]),
            active: true,
            invitecode: "K7QWM2XA".to_owned(),
            extra: Json::default(),
            max_uses: Some(3),
            uses: 2,
            expires: None,
            created: Time::EPOCH,
            updated: Time::EPOCH,
            deleted: None,
        };
        let read = record::decode::<Pool>(&of_version_1(&old)).expect("a pool");
        assert_eq!((read.active, read.owner_life, read.uses), (true, 0, 2));
        assert_eq!(record::decode::<Pool>(&record::encode(&read)), Ok(read));
        assert!(record::decode::<Pool>(&[3]).is_err(), "a version to come");
    }
    #[test]
    fn tokens_and_codes_of_version_1_are_read_as_used_by_somebody_unknown() {
        let token = TokenV1 { pk: Pk::from_bytes([7; 16]), created: Time::EPOCH, expires: None };
        let read = record::decode::<Token>(&of_version_1(&token)).expect("a token");
        assert_eq!(read, Token::from(token));
        assert_eq!(record::decode::<Token>(&record::encode(&read)), Ok(read));
        let code = CodeV1 {
            hash: [9; 32],
            created: Time::EPOCH,
            claims: Json::default(),
            audit: Some(Json::default()),
            used_on: Some(Time::EPOCH),
            expires: None,
        };
        let read = record::decode::<Code>(&of_version_1(&code)).expect("a code");
        assert_eq!(read, Code::from(code));
        assert_eq!(record::decode::<Code>(&record::encode(&read)), Ok(read));
    }

    #[test]
    fn a_registration_of_version_1_is_read_and_was_not_placed_by_hand() {
        let registration = Registration {
            pk: Pk::from_bytes([7; 16]),
            order: 300,
            stand: Stand::Seated(2),
            admitted: vec![1, 2],
            registered_at: Time::EPOCH,
            canceled_at: None,
            approval: ApprovalState::Pending,
            decided_by: Some(Decider::Uid(1000)),
            decided_on: None,
            reason: None,
            placed: None,
            created: Time::EPOCH,
            updated: Time::EPOCH,
        };
        let mut bytes = record::encode(&registration);
        // Version 1 had no `placed`, which is the byte before the two times of one byte each.
        bytes[0] = 1;
        let at = bytes.len() - 3;
        assert_eq!(bytes.remove(at), 0);
        assert_eq!(record::decode::<Registration>(&bytes), Ok(registration));
        bytes[0] = 3;
        assert!(record::decode::<Registration>(&bytes).is_err());
    }

    #[test]
    fn an_import_of_version_1_goes_on_as_one_of_its_schema() {
        let old = ImportingV1 {
            bytes: 700,
            lines: 7,
            open: "{".to_owned(),
            with_secrets: true,
            is_brought: false,
            is_read: false,
            records: [("person".to_owned(), 3)].into(),
            latest: Some((1000, Key(Pk::from_bytes([7; 16])))),
        };
        let bytes = of_version_1(&old);
        let read = record::decode::<Importing>(&bytes).expect("a progress");
        assert_eq!((read.bytes, read.schema), (700, 4));
        assert_eq!(record::renewed::<Importing>(&bytes), Ok(Some(record::encode(&read))));
        assert_eq!(record::renewed::<Importing>(&record::encode(&read)), Ok(None));
    }
}
