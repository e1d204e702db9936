//! Golden databases: one of each schema, as an enrolld of that schema left it, and its export. Each is opened, migrated,
//! checked and exported, byte for byte.
//!
//! They lie in `golden/databases/`. `ENROLL_UPDATE=1` makes the one of the present schema, where there is none: a registry
//! with some of everything, closed in good order and compacted. What was made once stays as it is; where a later version
//! exports other fields, `ENROLL_UPDATE=1` writes the export that is expected of it beside the first one.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use enroll_core::model::export_schema::shapes;
use enroll_core::model::key;
use enroll_core::model::record::{self, Registry as Head};
use enroll_core::rules::bootstrap::{OLDEST_SCHEMA, SCHEMA};
use enroll_core::rules::migration::Chain;
use enroll_core::state::Store as _;
use enroll_protocol::Envelope;
use enroll_protocol::server::{Export, Import};
use enroll_tests::process::{Home, run};
use enroll_tests::registry::{KEY, Registry};
use enrolld::storage::open::DATABASE;
use enrolld::storage::redb::{RedbOptions, RedbStore};

use super::transfer::{RARE, expect_same, exported, full_in, kinds};
use super::{expect_sound, files};

pub(super) const OPTIONS: RedbOptions = RedbOptions { cache_bytes: 1 << 20, verify: true };

/// The export that the version of a golden database wrote of it.
const WRITTEN: &str = "export.ndjson";

/// The export that is expected of the present version, where it is another one.
const EXPECTED: &str = "expected.ndjson";

/// The folder of a schema's golden database.
fn folder(schema: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/databases").join(format!("schema-{schema}"))
}

/// A directory with the golden database of a schema and the key of all of them.
pub(super) fn home_of(schema: u32) -> Home {
    let home = with_key();
    let database = home.state_dir().join(DATABASE);
    std::fs::copy(folder(schema).join(DATABASE), &database).expect("ENROLL_UPDATE=1 makes it");
    std::fs::set_permissions(&database, Permissions::from_mode(0o600)).expect("a mode");
    home
}

/// The export that the version of a golden database wrote of it.
pub(super) fn written(schema: u32) -> String {
    std::fs::read_to_string(folder(schema).join(WRITTEN)).expect("ENROLL_UPDATE=1 makes it")
}

/// The schema of the database in this file.
pub(super) fn schema_of(database: &Path) -> u32 {
    let store = RedbStore::open_copy(File::open(database).expect("a file"), OPTIONS).expect("a database");
    let head = record::get::<Head>(&*store.view().expect("a view"), &key::registry()).expect("read");
    head.expect("a registry").schema
}

/// A directory with a key and nothing else.
fn with_key() -> Home {
    let home = Home::make();
    std::fs::create_dir(home.state_dir()).expect("a directory");
    let key = home.state_dir().join("enrolld.key");
    std::fs::write(&key, format!("{}\n", STANDARD.encode(KEY))).expect("written");
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("a mode");
    home
}

/// Makes the golden database of the daemon's own schema and its export, where they are missing.
fn make() {
    // The first start warns of a key that was there before it.
    let mut first = with_key().start();
    assert_eq!(first.terminate(), Some(0));
    let mut daemon = full_in(first.home);
    let text = exported(&daemon, &["--with-secrets"]);
    let missing: Vec<_> = shapes().map(|shape| shape.name).filter(|name| !kinds(&text).contains(*name)).collect();
    assert!(missing.iter().all(|name| RARE.contains(name)), "the registry has no {missing:?}");
    assert_eq!(daemon.terminate(), Some(0));
    let state_dir = daemon.home.state_dir().display().to_string();
    let compacted = run(&mut daemon.home.enrolld_with(&["compact", "--state-dir", &state_dir]), "");
    assert_eq!(compacted.code, Some(0), "{compacted:?}");
    let database = daemon.home.state_dir().join(DATABASE);
    let folder = folder(schema_of(&database));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::copy(&database, folder.join(DATABASE)).expect("copied");
    std::fs::write(folder.join(WRITTEN), text).expect("written");
}

/// Exports a registry, with secrets.
fn export(registry: &mut Registry) -> String {
    registry.walk(Envelope::default(), &Export { with_secrets: true }).expect("an export").concat()
}

/// The golden database of a schema, migrated in a copy of its own.
fn migrated(schema: u32) -> Registry {
    let mut file = tempfile::tempfile().expect("a file");
    let mut golden = File::open(folder(schema).join(DATABASE)).expect("ENROLL_UPDATE=1 makes it");
    std::io::copy(&mut golden, &mut file).expect("copied");
    let store = RedbStore::open(file, OPTIONS).expect("a database");
    if schema < SCHEMA {
        let before = store.change(|txn| Chain::PRESENT.migrate(txn, &mut |_, _| ()));
        assert_eq!(before.expect("migrated"), schema);
    }
    Registry::reopened(Arc::new(store))
}

#[test]
fn every_golden_database_is_sound_and_exports_what_it_held() {
    let is_update = std::env::var_os("ENROLL_UPDATE").is_some();
    if is_update && !folder(SCHEMA).join(DATABASE).exists() {
        make();
    }
    for schema in OLDEST_SCHEMA..=SCHEMA {
        let mut registry = migrated(schema);
        assert_eq!(registry.violations(), Vec::<String>::new(), "schema {schema}");
        let (found, expected) = (export(&mut registry), folder(schema).join(EXPECTED));
        let written = written(schema);
        if is_update && found.split_once('\n').map(|(_, lines)| lines) != written.split_once('\n').map(|of| of.1) {
            std::fs::write(&expected, &found).expect("written");
        }
        let expected = if expected.exists() { std::fs::read_to_string(expected).expect("text") } else { written };
        expect_same(&expected, &found);
    }
}

#[test]
fn every_golden_database_is_checked_by_the_command_and_left_as_it_was() {
    for schema in OLDEST_SCHEMA..=SCHEMA {
        let home = home_of(schema);
        let (state_dir, before) = (home.state_dir().display().to_string(), files(&home.state_dir()));
        let checked = run(&mut home.enrolld_with(&["check", "--state-dir", &state_dir]), "");
        assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "{checked:?}");
        assert!(checked.stdout.contains("sound") && checked.stdout.contains("the right one"), "{checked:?}");
        let says = checked.stdout.contains(&format!("schema      {schema}; the next start migrates it to {SCHEMA}"));
        assert_eq!(says, schema < SCHEMA, "{checked:?}");
        assert!(files(&home.state_dir()) == before, "it was looked at, and nothing changed");
    }
}

#[test]
fn every_golden_export_is_imported() {
    for schema in OLDEST_SCHEMA..=SCHEMA {
        let text = written(schema);
        let mut registry = Registry::in_memory();
        for piece in [&text[..], ""] {
            let at = if piece.is_empty() { text.len() as u64 } else { 0 };
            registry.call(Import { at, text: piece.to_owned() }).expect("taken");
        }
        assert_eq!(registry.violations(), Vec::<String>::new(), "schema {schema}");
        expect_same(&export(&mut migrated(schema)), &export(&mut registry));
    }
}

#[test]
fn a_daemon_runs_on_every_golden_database() {
    for schema in OLDEST_SCHEMA..=SCHEMA {
        let daemon = home_of(schema).start();
        expect_sound(&daemon);
        let status = daemon.enrollctl(&["server", "status", "--json"], "").json();
        assert_eq!(status["database"]["schema"], SCHEMA, "{status}");
        assert!(daemon.enrollctl(&["token", "use"], "kept nonce").stderr.contains("token_reuse"));
    }
}
