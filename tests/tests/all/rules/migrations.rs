//! The chain of migrations, with steps that only a test has: several schemas at once, from any of them, whole or not at all,
//! over disks that fail or lose their power at every call.

use std::sync::Arc;

use enroll_core::model::key::{self, Family};
use enroll_core::model::record::{self, Registry as Head};
use enroll_core::model::token::Token;
use enroll_core::rules::bootstrap::{self, OLDEST_SCHEMA, RegistryError, SCHEMA, Standing, VERSION};
use enroll_core::rules::migration::{Chain, Progress, Step, rewrite};
use enroll_core::state::memory::MemoryStore;
use enroll_core::state::overlay::Overlay;
use enroll_core::state::{Store, StoreError, WriteTxn, Writes};
use enroll_protocol::token;
use enroll_tests::disk::Fate;
use enroll_tests::machine::{Liar, Machine, Platters};
use enroll_tests::oracle::{Map, everything};
use enroll_tests::registry::Registry;
use enrolld::storage::redb::{RedbOptions, RedbStore};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;

const OPTIONS: RedbOptions = RedbOptions { cache_bytes: 1 << 20, verify: true };

/// The tags of families that only these steps know.
const BY_PK: u8 = 0xe0;
const COUNT: u8 = 0xe1;

/// Two schemas to come: an index of tokens by their pks, and a count of it.
const CHAIN: Chain = Chain::of(&[
    Step { from: SCHEMA, name: "tokens by pk", run: index_tokens },
    Step { from: SCHEMA + 1, name: "a count of tokens", run: count_tokens },
]);

/// A chain whose last step fails, after it has written.
const FAILING: Chain = Chain::of(&[
    Step { from: SCHEMA, name: "tokens by pk", run: index_tokens },
    Step {
        from: SCHEMA + 1,
        name: "nothing",
        run: |txn, progress| {
            count_tokens(txn, progress)?;
            Err(StoreError::Corrupt("as planned".to_owned()))
        },
    },
]);

/// Reads records in their present form, whatever form they had.
fn index_tokens(txn: &mut dyn WriteTxn, progress: &mut Progress<'_>) -> Result<(), StoreError> {
    let mut found = Vec::new();
    rewrite(txn, Family::Tokens.bounds(), progress, |key, value| {
        let token = record::decode::<Token>(value)?;
        assert_eq!(record::renewed::<Token>(value), Ok(None), "records come first");
        found.push(([&[BY_PK][..], token.pk.as_bytes()].concat(), key.to_vec()));
        Ok(None)
    })?;
    found.into_iter().for_each(|(key, value)| txn.put(key, value));
    Ok(())
}

fn count_tokens(txn: &mut dyn WriteTxn, progress: &mut Progress<'_>) -> Result<(), StoreError> {
    let mut count = 0_u64;
    rewrite(txn, key::prefixed(vec![BY_PK]), progress, |_, _| {
        count += 1;
        Ok(None)
    })?;
    txn.put(vec![COUNT], count.to_be_bytes().to_vec());
    Ok(())
}

/// Spends some tokens, and gives every other one the form of version 1, which had no user: its last byte.
fn fill(registry: &mut Registry, tokens: usize) {
    for number in 0..tokens {
        registry.call(token::Use::new(format!("nonce {number}").parse().expect("a token"))).expect("spent");
    }
    let (from, to) = Family::Tokens.bounds();
    let view = registry.store().view().expect("a view");
    let mut older = Writes::new();
    for (key, value) in view.range(&from, &to, usize::MAX).expect("tokens").into_iter().step_by(2) {
        let token = record::decode::<Token>(&value).expect("a token");
        let mut bytes = record::encode(&Token { used_by: None, ..token });
        bytes[0] = 1;
        bytes.pop();
        older.insert(key, Some(bytes));
    }
    drop(view);
    registry.store().commit(&older).expect("written");
}

/// The store that a migration makes of another, and the schema that this had.
fn migrate(store: &dyn Store, chain: Chain) -> Result<u32, RegistryError> {
    let view = store.view()?;
    let mut overlay = Overlay::new(&*view);
    let before = chain.migrate(&mut overlay, &mut |_, _| ())?;
    let writes = overlay.into_writes();
    drop(view);
    store.commit(&writes)?;
    Ok(before)
}

fn set_schema(store: &dyn Store, schema: u32) {
    let head: Option<Head> = record::get(&*store.view().expect("a view"), &key::registry()).expect("read");
    let head = Head { schema, ..head.expect("a registry") };
    store.commit(&Writes::from([(key::registry(), Some(record::encode(&head)))])).expect("written");
}

#[test]
fn a_chain_leads_over_several_schemas_at_once_and_from_each_of_them() {
    let store = Arc::new(MemoryStore::default());
    let mut registry = Registry::in_store(store.clone());
    fill(&mut registry, 700);
    let before = everything(&*store).expect("read");
    assert_eq!((CHAIN.oldest(), CHAIN.newest()), (SCHEMA, SCHEMA + 2));
    assert_eq!(migrate(&*store, CHAIN).expect("migrated"), SCHEMA);
    let after = everything(&*store).expect("read");
    assert_eq!(after.get(&[COUNT][..]), Some(&700_u64.to_be_bytes().to_vec()));
    let renewed = after.iter().filter(|(key, _)| Family::Tokens.holds(key)).all(|(_, value)| value[0] == 2);
    assert!(renewed, "every record has its present form");
    let others = |map: &Map| {
        let stays = |key: &Vec<u8>| !Family::Tokens.holds(key) && key[0] < BY_PK && *key != key::registry();
        map.iter().filter(|(key, _)| stays(key)).map(|(key, value)| (key.clone(), value.clone())).collect::<Map>()
    };
    assert!(others(&before) == others(&after), "nothing else was written");

    // From the schema in between only the last step is left, and again nothing.
    set_schema(&*store, SCHEMA + 1);
    store.commit(&Writes::from([(vec![COUNT], None)])).expect("written");
    assert_eq!(migrate(&*store, CHAIN).expect("migrated"), SCHEMA + 1);
    assert!(everything(&*store).expect("read") == after);
    assert_eq!(migrate(&*store, CHAIN).expect("migrated"), SCHEMA + 2);
    assert!(everything(&*store).expect("read") == after);

    let refused = bootstrap::standing(&*store.view().expect("a view"), None).expect_err("it is newer");
    let RegistryError::NewerSchema { schema, version } = &refused else { panic!("{refused}") };
    assert_eq!((*schema, version.as_deref()), (SCHEMA + 2, Some(VERSION)));
    set_schema(&*store, SCHEMA + 3);
    assert!(matches!(migrate(&*store, CHAIN), Err(RegistryError::NewerSchema { .. })));
    set_schema(&*store, SCHEMA - 1);
    assert!(matches!(migrate(&*store, CHAIN), Err(RegistryError::TooOldSchema(_))));
}

#[test]
fn the_chain_of_this_version_leads_from_the_oldest_schema_and_is_told_entry_by_entry() {
    let store = Arc::new(MemoryStore::default());
    let mut registry = Registry::in_store(store.clone());
    fill(&mut registry, 300);
    let present = everything(&*store).expect("read");
    set_schema(&*store, OLDEST_SCHEMA);
    store.commit(&Writes::from([(key::last_writer(), None)])).expect("written");
    let standing = |store: &MemoryStore| bootstrap::standing(&*store.view().expect("a view"), None).expect("readable");
    assert_eq!(standing(&store), Standing::Older(OLDEST_SCHEMA));
    let verified = bootstrap::verify(&*store.view().expect("a view"), None);
    assert!(matches!(verified, Err(RegistryError::OlderSchema(OLDEST_SCHEMA))), "{verified:?}");
    let view = store.view().expect("a view");
    let (mut overlay, mut told) = (Overlay::new(&*view), Vec::new());
    let before = Chain::PRESENT.migrate(&mut overlay, &mut |name, entries| told.push((name, entries)));
    assert_eq!(before.expect("migrated"), OLDEST_SCHEMA);
    let writes = overlay.into_writes();
    drop(view);
    store.commit(&writes).expect("written");
    let most = told.iter().filter(|(name, _)| *name == "records").map(|(_, entries)| *entries).max();
    assert!(most >= Some(300), "{told:?}");
    assert_eq!(standing(&store), Standing::Present);
    let after = everything(&*store).expect("read");
    assert_eq!((after.get(&key::registry()), after.len()), (present.get(&key::registry()), present.len()));
    assert_eq!(after.get(&key::last_writer()), present.get(&key::last_writer()));
    assert_eq!(registry.violations(), Vec::<String>::new());
}

/// A closed database with a registry of the schema that the chains lead from.
fn image() -> Vec<u8> {
    let machine = Machine::holding(Platters::default());
    let store = Arc::new(RedbStore::open_on(machine.database(), OPTIONS).expect("a database"));
    let mut registry = Registry::in_store(store.clone());
    fill(&mut registry, 40);
    drop(registry);
    Arc::into_inner(store).expect("nobody else has it").close().expect("closed");
    machine.live().database
}

fn found(database: Vec<u8>) -> Map {
    let machine = Machine::holding(Platters::of(database));
    everything(&RedbStore::open_on(machine.database(), OPTIONS).expect("a database")).expect("read")
}

fn with(database: &[u8], fate: Fate) -> Machine {
    Machine::with(Platters::of(database.to_vec()), fate, Liar::None)
}

#[test]
fn a_step_that_fails_leaves_the_database_as_it_was() {
    let image = image();
    let machine = with(&image, Fate::None);
    let store = RedbStore::open_on(machine.database(), OPTIONS).expect("a database");
    let failed = store.change(|txn| FAILING.migrate(txn, &mut |_, _| ())).expect_err("as planned");
    assert!(failed.to_string().contains("as planned"), "{failed}");
    assert!(everything(&store).expect("read") == found(image.clone()));
    store.close().expect("closed");
    assert!(found(machine.live().database) == found(image));
}

/// Fails or cuts off the calls of a migration in turn; what is there afterwards is the older database or the newer one.
#[test]
fn a_migration_over_a_failing_disk_is_whole_or_not_there() {
    let image = image();
    let older = found(image.clone());
    let newer = {
        let machine = with(&image, Fate::None);
        let store = RedbStore::open_on(machine.database(), OPTIONS).expect("a database");
        store.change(|txn| CHAIN.migrate(txn, &mut |_, _| ())).expect("migrated");
        everything(&store).expect("read")
    };
    let fates: [fn(u64) -> Fate; 3] = [Fate::PowerLoss, Fate::FailsOnce, Fate::FailsFrom];
    for fate in fates {
        let (mut undone, mut done) = (0, 0);
        for number in 0.. {
            let machine = with(&image, fate(number));
            if let Ok(store) = RedbStore::open_on(machine.database(), OPTIONS) {
                let migrated = store.change(|txn| CHAIN.migrate(txn, &mut |_, _| ()));
                if migrated.is_ok() && store.close().is_ok() && !machine.has_met_its_fate() {
                    break;
                }
            }
            assert!(machine.has_met_its_fate(), "{:?} never came, and it did not get through", fate(number));
            let left = match fate(number) {
                Fate::PowerLoss(_) => machine.after_power_loss(&mut SmallRng::seed_from_u64(number)),
                _ => machine.live(),
            };
            match found(left.database) {
                left if left == older => undone += 1,
                left if left == newer => done += 1,
                left => panic!("{:?}: half a migration: {} entries", fate(number), left.len()),
            }
        }
        assert!(undone > 0, "no {:?} met the migration", fate(0));
        assert!(done > 0 || undone > 10, "{:?}: {undone} undone, {done} done", fate(0));
    }
}
