//! The secret key, the authority and the schema of a registry without a daemon: another key seals everything anew, and
//! what does not fit together is refused.

use enroll_core::draft::Draft;
use enroll_core::identity::secrets::SecretKey;
use enroll_core::identity::{Authority, CountingSeal, Secrets};
use enroll_core::model::certificate::{self, Certificate};
use enroll_core::model::idempotency::Kept;
use enroll_core::model::key::{self, Family};
use enroll_core::model::record::{self, HashingKey, LastWriter, SigningKey};
use enroll_core::rules::authority;
use enroll_core::rules::bootstrap::{self, OLDEST_SCHEMA, RegistryError, SCHEMA, Standing, VERSION};
use enroll_core::rules::rekey::Rekey;
use enroll_core::state::memory::MemoryStore;
use enroll_core::state::{Store, View, Writes};
use enroll_protocol::{Time, token};
use enroll_tests::registry::{KEY, Registry};
use rand::SeedableRng as _;
use rand::rngs::ChaCha20Rng;

use super::{check, key as under};

/// A week.
const LIST_SECONDS: u64 = 7 * 24 * 60 * 60;

fn secrets_of(key: [u8; 32]) -> Secrets {
    Secrets::derive(&SecretKey::new(key)).expect("keys")
}

fn view(registry: &Registry) -> View {
    registry.store().view().expect("a view")
}

/// A registry with a record of each kind that is sealed, but a part of a kept answer.
fn sealed() -> Registry {
    let mut registry = Registry::in_memory();
    check(
        &mut registry,
        r#"
        person.create {"callsign":"CAT","certificate":"generate"} => {"pk"..
        person.create {"callsign":"DOG"} => {"pk"..
        "#,
    );
    registry.call_with(under(1), token::Use::new("a".parse().expect("a token"))).expect("spent");
    registry
}

#[test]
fn another_secret_key_seals_what_the_one_before_sealed_and_leaves_the_rest() {
    let registry = sealed();
    let (before, after) = (secrets_of(KEY), secrets_of([43; 32]));
    let answers = CountingSeal::new(&after, [1; 16]).expect("a seal");
    let mut rekey = Rekey { before: &before, after: &after, answers, random: ChaCha20Rng::from_seed([5; 32]) };
    let hashing = rekey.hashing_key(&SecretKey::new(KEY)).expect("a record");
    let mut writes = Writes::from([(key::hashing_key(), Some(hashing))]);
    let mut kept = 0;
    for (key, value) in view(&registry).range(&[], &[0xff; 64], usize::MAX).expect("entries") {
        let new = rekey.entry(&key, &value).expect("sealed anew");
        let opened = |old: Option<Vec<u8>>, new: Option<Vec<u8>>| {
            let (old, new) = (old.expect("a secret"), new.expect("a secret"));
            assert_ne!(old, new);
            assert_eq!(before.open(&key, &old).expect("opens"), after.open(&key, &new).expect("opens"));
        };
        if key == key::authority() {
            let read = |value: &[u8]| record::decode::<certificate::Authority>(value).expect("an authority");
            opened(read(&value).sealed, read(&new).sealed);
        } else if Family::SigningKeys.holds(&key) {
            let read = |value: &[u8]| record::decode::<SigningKey>(value).expect("a key");
            opened(Some(read(&value).sealed), Some(read(&new).sealed));
        } else if Family::Certificates.holds(&key) {
            let read = |value: &[u8]| record::decode::<Certificate>(value).expect("a certificate");
            opened(read(&value).sealed, read(&new).sealed);
        } else if Family::Kept.holds(&key) {
            let read = |value: &[u8]| record::decode::<Kept>(value).expect("an answer").sealed;
            let plain = before.open_counted(&key, &read(&value)).expect("opens");
            assert_eq!(plain, after.open_counted(&key, &read(&new)).expect("opens"));
            kept += 1;
        } else if key != key::registry() {
            assert_eq!(value, new, "{key:?}");
        }
        writes.insert(key, Some(new));
    }
    assert_eq!(kept, 1);
    let store = MemoryStore::default();
    store.commit(&writes).expect("committed");
    let view = store.view().expect("a view");
    assert!(matches!(bootstrap::standing(&*view, Some(&after)), Ok(Standing::Present)));
    assert!(matches!(bootstrap::standing(&*view, Some(&before)), Err(RegistryError::OtherKey)));
    let hashing = record::get::<HashingKey>(&*view, &key::hashing_key()).expect("readable").expect("a hashing key");
    assert_eq!(after.open(&key::hashing_key(), &hashing.sealed).expect("opens").as_slice(), KEY);
    // A second rotation keeps the key that hashes were made with.
    let third = secrets_of([44; 32]);
    let answers = CountingSeal::new(&third, [1; 16]).expect("a seal");
    let mut rekey = Rekey { before: &after, after: &third, answers, random: ChaCha20Rng::from_seed([6; 32]) };
    let value = view.get(&key::hashing_key()).expect("readable").expect("a hashing key");
    let hashing = record::decode::<HashingKey>(&rekey.entry(&key::hashing_key(), &value).expect("sealed anew"));
    let hashing = hashing.expect("a hashing key");
    assert_eq!(third.open(&key::hashing_key(), &hashing.sealed).expect("opens").as_slice(), KEY);
}

#[test]
fn a_schema_that_is_not_this_versions_is_refused_and_the_version_that_wrote_it_is_named() {
    let registry = Registry::in_memory();
    let secrets = secrets_of(KEY);
    let standing = |schema: u32| {
        let mut found = record::get::<record::Registry>(&*view(&registry), &key::registry()).expect("readable");
        found.as_mut().expect("a registry").schema = schema;
        let value = record::encode(&found.expect("a registry"));
        registry.store().commit(&Writes::from([(key::registry(), Some(value))])).expect("committed");
        let standing = bootstrap::standing(&*view(&registry), Some(&secrets));
        standing.map_err(|err| (matches!(err, RegistryError::TooOldSchema(_)), err.to_string()))
    };
    assert_eq!(standing(SCHEMA), Ok(Standing::Present));
    assert_eq!(standing(SCHEMA - 1), Ok(Standing::Older(SCHEMA - 1)));
    assert_eq!(standing(OLDEST_SCHEMA), Ok(Standing::Older(OLDEST_SCHEMA)));
    let (is_too_old, why) = standing(OLDEST_SCHEMA - 1).expect_err("too old");
    assert!(is_too_old && why.contains(&format!("schema {}", OLDEST_SCHEMA - 1)), "{why}");
    let write = |writer: Option<&LastWriter>| {
        let writes = Writes::from([(key::last_writer(), writer.map(record::encode))]);
        registry.store().commit(&writes).expect("committed");
    };
    write(Some(&LastWriter { version: "99.1.0".to_owned() }));
    let (is_too_old, why) = standing(SCHEMA + 1).expect_err("newer");
    assert!(!is_too_old && why.contains("enrolld 99.1.0"), "{why}");
    write(None);
    let (_, why) = standing(SCHEMA + 1).expect_err("newer");
    assert!(why.contains("a newer enrolld"), "{why}");
    // This version signs what it writes, once.
    bootstrap::sign_store(registry.store()).expect("signed");
    let signed = bootstrap::last_writer(&*view(&registry)).expect("readable");
    assert_eq!(signed, Some(LastWriter { version: VERSION.to_owned() }));
}

/// An authority that was founded elsewhere.
fn other_authority(now: Time) -> Authority {
    let founded = Authority::found("other", [9; 20], now, LIST_SECONDS).expect("founded");
    Authority::open(&founded.private, vec![founded.certificate]).expect("an authority")
}

#[test]
fn an_authority_that_is_brought_along_replaces_one_that_has_issued_nothing_or_is_the_same() {
    let secrets = secrets_of(KEY);
    for has_issued in [false, true] {
        let registry = if has_issued { sealed() } else { Registry::in_memory() };
        let now = registry.now;
        let own = authority::open(&*view(&registry), &secrets).expect("opens").expect("an authority");
        let number = registry.list_head().number;
        let adopt = |brought: &Authority| {
            let view = view(&registry);
            let mut draft = Draft::new(&*view);
            authority::adopt(&mut draft, brought, (now, LIST_SECONDS)).map(|()| draft.into_parts().0)
        };
        let other = adopt(&other_authority(now));
        assert_eq!(matches!(other, Err(RegistryError::OtherAuthority)), has_issued);
        assert_eq!(other.is_ok(), !has_issued);
        // The same one without its key begins another list, whose number is a later one.
        registry.store().commit(&adopt(&own).expect("adopted")).expect("committed");
        let stored = record::get::<certificate::Authority>(&*view(&registry), &key::authority()).expect("readable");
        let stored = stored.expect("an authority");
        assert_eq!((stored.sealed, Some(&stored.certificate)), (None, own.chain().first()));
        assert!(registry.list_head().number > number);
        assert_eq!(adopt(&own).expect("adopted"), Writes::new(), "it is there already");
        // Here is no key any more: one that has issued must be brought along again.
        match authority::open(&*view(&registry), &secrets) {
            Ok(found) => assert!(found.is_none() && !has_issued),
            Err(err) => assert!(matches!(err, RegistryError::NoAuthority) && has_issued, "{err}"),
        }
    }
}
