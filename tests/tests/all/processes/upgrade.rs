//! Upgrades: a start migrates the database of any older schema, after a copy for the way back; what it can not migrate it
//! leaves as it was, and says so with an exit code of its own. Backups of older schemas are restored.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use enroll_core::model::export_schema::entry;
use enroll_core::model::key::{self, WITHOUT_ORDER};
use enroll_core::model::record::{self, LastWriter, Registry};
use enroll_core::rules::bootstrap::{OLDEST_SCHEMA, SCHEMA, VERSION};
use enroll_core::state::{Store as _, Writes};
use enroll_protocol::Time;
use enroll_protocol::backup::{Header, Writer};
use enroll_tests::oracle::{Map, everything};
use enroll_tests::pages;
use enroll_tests::process::{Daemon, Home, Output, PATIENCE, run, run_refused};
use enrolld::metrics::JournalFigures;
use enrolld::storage::journal::JournalOptions;
use enrolld::storage::open::{DATABASE, OpenOptions, StateDir};
use enrolld::storage::redb::RedbStore;

use super::databases::{OPTIONS, home_of, schema_of};
use super::ext4::Mounts;
use super::systemd::Notifications;
use super::{expect_sound, files};

/// The exit code of a migration that was not done.
pub(super) const NOT_MIGRATED: i32 = 8;

const JOURNAL: JournalOptions =
    JournalOptions { segment_bytes: 1 << 20, memory_bytes: 1 << 20, unordered: WITHOUT_ORDER, identity: 7 };

const OPEN: OpenOptions = OpenOptions { cache_bytes: 1 << 20, verify_bytes_max: u64::MAX, journal: JOURNAL };

/// A constant, which no head counts.
const CONSTANT: &str =
    r#"{"record":"constant","key":{"list":"upgrades","folded":"v1"},"value":{"value":"v1","label":null}}"#;

pub(super) fn database(home: &Home) -> PathBuf {
    home.state_dir().join(DATABASE)
}

/// The entries of the database in this file, which is left as it is.
pub(super) fn entries(database: &Path) -> Map {
    let store = RedbStore::open_copy(File::open(database).expect("a file"), OPTIONS).expect("a database");
    everything(&store).expect("read")
}

/// The copies for the way back.
pub(super) fn copies(home: &Home) -> Vec<PathBuf> {
    let names = files(&home.state_dir()).into_keys().filter(|name| name.contains(".schema-"));
    names.map(|name| home.state_dir().join(name)).collect()
}

/// Changes entries of a database that nobody has open.
fn change(database: &Path, writes: &Writes) {
    let file = File::options().read(true).write(true).open(database).expect("a database");
    let store = RedbStore::open(file, OPTIONS).expect("opened");
    store.commit(writes).expect("written");
    store.close().expect("closed");
}

fn offline(home: &Home, args: &[&str]) -> Output {
    let state_dir = home.state_dir().display().to_string();
    run(&mut home.enrolld_with(&[args, &["--state-dir", &state_dir]].concat()), "")
}

/// It is refused in one line with these words, and the database is as it was.
fn expect_refused(home: &Home, code: i32, words: &[&str]) {
    let before = entries(&database(home));
    let output = run_refused(&mut home.enrolld());
    assert_eq!((output.code, output.stdout.as_str()), (Some(code), ""), "{output:?}");
    let said: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("enrolld: ")).collect();
    assert_eq!(said.len(), 1, "{output:?}");
    words.iter().for_each(|word| assert!(said[0].contains(word), "{word} is not in {}", said[0]));
    assert!(entries(&database(home)) == before, "it was changed");
}

/// Puts the copy in the place of the database by the command that the page prints.
fn go_back(home: &Home, copy: &Path) {
    let page = pages::page("docs/upgrades.md");
    let command = page.text.lines().find_map(|line| line.strip_prefix("sudo mv ")).expect("the command of the page");
    let words: Vec<&str> = command.split(' ').collect();
    assert!(words[0].starts_with("/var/lib/enrolld/enrolld.redb.schema-4.2"), "{command}");
    assert_eq!(words[1..], ["/var/lib/enrolld/enrolld.redb"]);
    let moved = run(home.command("mv".as_ref()).arg(copy).arg(database(home)), "");
    assert_eq!(moved.code, Some(0), "{moved:?}");
}

#[test]
fn a_start_migrates_every_older_schema_and_the_copy_leads_back() {
    for schema in OLDEST_SCHEMA..SCHEMA {
        let home = home_of(schema);
        let before = entries(&database(&home));
        let mut daemon = home.start();
        expect_sound(&daemon);
        let copies = copies(&daemon.home);
        let [copy] = &copies[..] else { panic!("{copies:?}") };
        let (name, log) = (copy.display().to_string(), daemon.log());
        for words in ["the database was migrated", "way back", "stop enrolld", &name] {
            assert!(log.contains(words), "{words} is not in {log}");
        }
        assert_eq!(copy.metadata().expect("a file").permissions().mode() & 0o7777, 0o600);
        assert!(entries(copy) == before, "the copy is the database as it was");
        let spend = |daemon: &Daemon| daemon.enrollctl(&["token", "use"], "after the upgrade");
        assert_eq!(spend(&daemon).code, Some(0));
        daemon.terminate();
        daemon.restart();
        assert_eq!(self::copies(&daemon.home), copies, "nothing is migrated twice");
        assert!(spend(&daemon).stderr.contains("token_reuse"));

        // The journal of the newer version lies beside it, whether that was killed or stopped.
        daemon.kill9();
        go_back(&daemon.home, copy);
        assert_eq!(schema_of(&database(&daemon.home)), schema);
        assert!(entries(&database(&daemon.home)) == before);
        daemon.restart();
        expect_sound(&daemon);
        assert_eq!(spend(&daemon).code, Some(0), "what came after the upgrade is not in the copy");
        assert_eq!(self::copies(&daemon.home), copies, "the same state has the same name");
    }
}

#[test]
fn what_only_the_journal_has_is_migrated_and_is_in_the_copy() {
    let home = home_of(OLDEST_SCHEMA);
    let (_, key, value) = entry(CONSTANT).expect("a line");
    {
        let locked = StateDir::lock(&home.state_dir()).expect("locked");
        let store = locked.open_database(&OPEN, JournalFigures::default()).expect("a database");
        store.commit(&Writes::from([(key.clone(), Some(value.clone()))])).expect("committed");
        // Not closed, as after a crash.
    }
    assert_eq!(entries(&database(&home)).get(&key), None);
    let checked = offline(&home, &["check"]);
    assert!(checked.stdout.contains("sound") && checked.stdout.contains("the next start migrates it"), "{checked:?}");
    let daemon = home.start();
    expect_sound(&daemon);
    assert!(daemon.enrollctl(&["server", "export"], "").stdout.contains("\"upgrades\""));
    let copies = copies(&daemon.home);
    assert_eq!(copies.iter().map(|copy| entries(copy).get(&key).cloned()).collect::<Vec<_>>(), [Some(value)]);
}

#[test]
fn a_record_that_can_not_be_migrated_stops_the_start_and_changes_nothing() {
    let home = home_of(OLDEST_SCHEMA);
    let right = entries(&database(&home));
    let (at, value) = right.iter().find(|(key, _)| key::Family::Roles.holds(key)).expect("a role");
    let unknown = [&[77][..], &value[1..]].concat();
    change(&database(&home), &Writes::from([(at.clone(), Some(unknown))]));
    let failed = format!("from schema {OLDEST_SCHEMA} to {SCHEMA} failed");
    for _ in 0..2 {
        let words = ["enrolld.redb", &failed, "role", "unknown version 77", "it is as it was"];
        expect_refused(&home, NOT_MIGRATED, &words);
        assert_eq!(schema_of(&database(&home)), OLDEST_SCHEMA);
        assert_eq!(copies(&home).len(), 1, "a second attempt fills no disk");
    }
    change(&database(&home), &Writes::from([(at.clone(), Some(value.clone()))]));
    expect_sound(&home.start());
}

/// A memory disk with room for the database and the copy, but not for the work.
#[test]
fn a_migration_that_lacks_room_is_not_begun() {
    let home = home_of(OLDEST_SCHEMA);
    let bytes = database(&home).metadata().expect("a file").len();
    let Some(mut mounts) = Mounts::make("a_migration_that_lacks_room_is_not_begun") else { return };
    let size = format!("size={}", 2 * bytes + (64 << 10));
    assert!(mounts.mount("state", &["-t", "tmpfs", "-o", &size, "none"]), "mounted");
    let state_dir = mounts.path("state");
    std::fs::set_permissions(&state_dir, Permissions::from_mode(0o700)).expect("a mode");
    for name in ["enrolld.key", DATABASE] {
        std::fs::copy(home.state_dir().join(name), state_dir.join(name)).expect("copied");
    }
    let before = entries(&state_dir.join(DATABASE));
    let refused = run_refused(&mut home.enrolld_at(&state_dir, &home.socket()));
    assert_eq!(refused.code, Some(NOT_MIGRATED), "{refused:?}");
    for words in ["free bytes for a copy and the work", "make room there, then start again"] {
        assert!(refused.stderr.contains(words), "{words}: {refused:?}");
    }
    assert!(entries(&state_dir.join(DATABASE)) == before);
    let left: Vec<_> = files(&state_dir).into_keys().collect();
    assert_eq!(left, ["enrolld.key", "enrolld.redb", "lock"]);
}

#[test]
fn systemd_is_told_of_a_migration_and_waits_for_it() {
    let (notified, home) = Notifications::by(home_of(OLDEST_SCHEMA));
    let daemon = home.start();
    let (mut told, mut is_ready) = (Vec::new(), false);
    while !is_ready {
        let message = notified.within(PATIENCE).expect("a message");
        is_ready = message.contains_key("READY");
        if message.contains_key("EXTEND_TIMEOUT_USEC") {
            told.extend(message.get("STATUS").cloned());
        }
    }
    for stage in ["copying the database of schema 4", "migrating the database from schema 4"] {
        assert!(told.iter().any(|status| status.starts_with(stage)), "{stage}: {told:?}");
    }
    expect_sound(&daemon);
}

#[test]
fn a_newer_database_names_the_version_that_reads_it() {
    let home = home_of(SCHEMA);
    let right = entries(&database(&home));
    let with = |schema: u32, version: Option<&str>| {
        let head: Registry = record::decode(&right[&key::registry()]).expect("a registry");
        let writer = version.map(|version| record::encode(&LastWriter { version: version.to_owned() }));
        change(
            &database(&home),
            &Writes::from([
                (key::registry(), Some(record::encode(&Registry { schema, ..head }))),
                (key::last_writer(), writer),
            ]),
        );
    };
    let own = format!("enrolld {VERSION}");
    let newer = format!("schema {}", SCHEMA + 1);
    let way_out = "use enrolld 9.7.0 or a later one";
    with(SCHEMA + 1, Some("9.7.0"));
    expect_refused(
        &home,
        5,
        &["enrolld.redb", &newer, "which enrolld 9.7.0 wrote", &own, way_out, "nothing was changed"],
    );
    for command in ["check", "compact", "rotate-key"] {
        let output = offline(&home, &[command]);
        assert_eq!((output.code, output.stderr.contains(way_out)), (Some(5), true), "{command}: {output:?}");
    }
    with(SCHEMA + 1, None);
    expect_refused(&home, 5, &[&newer, "use a newer enrolld"]);
    with(OLDEST_SCHEMA - 1, None);
    let too_old = format!("schema {}", OLDEST_SCHEMA - 1);
    expect_refused(&home, 5, &[&too_old, "use the enrolld that wrote it"]);
    assert_eq!(copies(&home), Vec::<PathBuf>::new());
    with(SCHEMA, Some("0.0.9"));
    let mut daemon = home.start();
    expect_sound(&daemon);
    assert_eq!(daemon.terminate(), Some(0));
    let locked = StateDir::lock_to_read(&daemon.home.state_dir()).expect("locked");
    let held = everything(&locked.open_copy(&OPEN).expect("a database")).expect("read");
    let signed: LastWriter = record::decode(&held[&key::last_writer()]).expect("a version");
    assert_eq!(signed.version, VERSION, "the version that wrote last is this one");
}

#[test]
fn offline_commands_leave_an_older_database_to_the_daemon() {
    let home = home_of(OLDEST_SCHEMA);
    let before = entries(&database(&home));
    for command in ["compact", "rotate-key"] {
        let output = offline(&home, &[command]);
        assert_eq!(output.code, Some(5), "{output:?}");
        for words in [&format!("schema {OLDEST_SCHEMA}")[..], "start the daemon on it once"] {
            assert!(output.stderr.contains(words), "{words}: {output:?}");
        }
        assert!(entries(&database(&home)) == before);
    }
}

/// The bytes of a backup of the golden database of a schema, as that schema's version wrote one.
fn backup_of(schema: u32, version: &str) -> Vec<u8> {
    let home = home_of(OLDEST_SCHEMA.max(schema.min(SCHEMA)));
    let entries = entries(&database(&home));
    let head: record::ChangesHead = record::decode(&entries[&key::changes_head()]).expect("a head");
    let header = Header { schema, version: version.to_owned(), at: Time::EPOCH, changes_head: head.seq, journal: None };
    let mut writer = Writer::new(&header);
    entries.iter().for_each(|(key, value)| writer.entry(key, value).expect("an entry"));
    writer.finish()
}

#[test]
fn a_backup_of_an_older_schema_is_restored_by_the_same_chain() {
    for schema in OLDEST_SCHEMA..SCHEMA {
        let home = home_of(schema);
        let file = home.path("older.backup");
        std::fs::write(&file, backup_of(schema, "0.0.9")).expect("written");
        std::fs::remove_file(database(&home)).expect("removed");
        let migrated = format!("migrated    from schema {schema} to {SCHEMA}");
        let file = file.display().to_string();
        for args in [&["restore", &file, "--check"][..], &["restore", &file]] {
            let output = offline(&home, args);
            assert_eq!(output.code, Some(0), "{output:?}");
            assert!(output.stdout.contains(&migrated) && output.stdout.contains("by enrolld 0.0.9"), "{output:?}");
        }
        assert_eq!(schema_of(&database(&home)), SCHEMA);
        let daemon = home.start();
        expect_sound(&daemon);
        assert!(daemon.enrollctl(&["token", "use"], "kept nonce").stderr.contains("token_reuse"));
    }
}

#[test]
fn a_backup_or_an_export_of_a_newer_schema_names_the_version_that_reads_it() {
    let home = home_of(SCHEMA);
    let file = home.path("newer.backup");
    std::fs::write(&file, backup_of(SCHEMA + 1, "9.7.0")).expect("written");
    let output = offline(&home, &["restore", &file.display().to_string(), "--check"]);
    assert_eq!(output.code, Some(5), "{output:?}");
    assert!(output.stderr.contains("use enrolld 9.7.0 or a later one"), "{output:?}");
    let text = super::databases::written(SCHEMA);
    let newer = text.replacen(&format!("\"schema\":{SCHEMA}"), &format!("\"schema\":{}", SCHEMA + 1), 1);
    let daemon = Home::make().start();
    let output = daemon.enrollctl(&["server", "import", "-"], &newer);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("import it with that version or a later one"), "{output:?}");
}
