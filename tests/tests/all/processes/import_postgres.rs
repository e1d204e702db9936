//! The recipe of `docs/migration.md`, played as printed against a PostgreSQL server with the source system's tables.

use std::process::{Command, Stdio};

use enroll_tests::pages;
use enroll_tests::postgres::Postgres;
use enroll_tests::process::{Daemon, Home, Output};

use super::readme::follow;
use super::{count, expect_sound};

const TEST: &str = "the_recipe_for_postgresql_carries_its_tables";

/// Rows of all tables together. `ENROLL_IMPORT_ROWS` asks for another number, such as 100000.
const ROWS: usize = 10_000;

/// The tables as the source system has them.
const TABLES: &str = "
create table users (
  pk uuid primary key, created timestamptz not null, updated timestamptz not null, deleted timestamptz,
  callsign varchar not null unique, certspath varchar not null, extra jsonb);
create table roles (
  pk uuid primary key, created timestamptz not null, updated timestamptz not null,
  \"user\" uuid not null references users, role varchar not null, unique (\"user\", role));
create table enrollmentpools (
  pk uuid primary key, created timestamptz not null, updated timestamptz not null, deleted timestamptz,
  owner uuid not null references users, active boolean not null, extra jsonb, invitecode varchar not null unique);
create table enrollments (
  pk uuid primary key, created timestamptz not null, updated timestamptz not null, deleted timestamptz,
  approvecode varchar not null unique, callsign varchar not null unique, decided_on timestamptz,
  decided_by uuid references users, person uuid references users, pool uuid references enrollmentpools,
  state integer not null, extra jsonb);
create table seentokens (
  pk uuid primary key, created timestamptz not null, updated timestamptz not null, deleted timestamptz,
  token varchar not null unique, auditmeta jsonb);
create table logincodes (
  pk uuid primary key, created timestamptz not null, updated timestamptz not null, deleted timestamptz,
  code varchar not null unique, auditmeta jsonb, used_on timestamptz, claims jsonb not null);
";

/// Fills the tables: so many people, and from that the rest.
///
/// One person in a hundred is deleted. Every second one came by an enrollment that was approved. As many enrollments wait
/// or were rejected as a tenth of the people; there is a pool for every hundred people, of which each fifth is inactive and
/// each seventh deleted.
fn filling(people: usize) -> String {
    format!(
        "
create function id(kind int, at bigint) returns uuid language sql immutable as
  $$ select (lpad(to_hex(kind), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(at), 12, '0'))::uuid $$;
create function moment(at bigint) returns timestamptz language sql immutable as
  $$ select timestamptz '2021-05-01 09:00:00.123456+00' + at * interval '1 second' $$;
insert into users select id(1, n), moment(n), moment(n), case when n % 100 = 99 then moment(n + 60) end,
  'Person ' || n, '/data/' || n, case when n % 3 = 0 then '{{\"team\": \"r, \\\"d\\\"\"}}'::jsonb else '{{}}'::jsonb end
  from generate_series(1::bigint, {people}) n;
insert into roles select id(2, n), moment(n), moment(n), id(1, n), case when n % 50 = 0 then 'admin' else 'member' end
  from generate_series(1::bigint, {people}) n where n % 2 = 0;
insert into enrollmentpools select id(3, n), moment(n), moment(n), case when n % 7 = 0 then moment(n + 60) end,
  id(1, n), n % 5 <> 0, '{{\"camp\": true}}', upper(lpad(to_hex(n), 8, 'K'))
  from generate_series(1::bigint, {people} / 100) n;
insert into enrollments select id(4, n), moment(n), moment(n), null, 'A' || n, 'Person ' || n, moment(n + 5), id(1, 1), id(1, n),
  id(3, 1 + n % ({people} / 100)), 1, '{{}}' from generate_series(1::bigint, {people}) n where n % 2 = 1;
insert into enrollments select id(5, n), moment(n), moment(n), null, 'W' || n, 'Waiting ' || n,
  case when n % 2 = 0 then moment(n + 5) end, case when n % 2 = 0 then id(1, 1) end, null,
  id(3, 1 + n % ({people} / 100)), case when n % 2 = 0 then 2 else 0 end, '{{\"from\": \"web\"}}'
  from generate_series(1::bigint, {people} / 10) n;
insert into seentokens select id(6, n), moment(n), moment(n), null, 'nonce-' || md5(n::text), '{{\"ip\": \"::1\"}}'
  from generate_series(1::bigint, {people}) n;
insert into logincodes select id(7, n), moment(n), moment(n), null, upper(lpad(to_hex(n), 12, 'L')), null,
  case when n % 2 = 0 then moment(n + 9) end, jsonb_build_object('sub', 'Person ' || n)
  from generate_series(1::bigint, {people} / 10) n;
"
    )
}

/// The commands of the recipe: those that export, and those that import.
fn recipe() -> [String; 2] {
    let page = pages::page("docs/migration.md");
    let blocks = page.blocks_of("sh postgres");
    let [export, import] = &blocks[..] else { panic!("two blocks: {blocks:?}") };
    [export.code.to_owned(), import.code.to_owned()]
}

/// Plays commands in the daemon's directory, where they find both servers.
fn play(daemon: &Daemon, postgres: &Postgres, commands: &str) -> Output {
    let mut shell: Command = follow(daemon, "sh");
    let path =
        shell.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, path)| path?.to_str().map(str::to_owned));
    shell.env("PATH", format!("{}:{}", postgres.programs().display(), path.unwrap_or_default()));
    shell.envs(postgres.environment()).args(["-u", "-c", commands]).stdin(Stdio::null());
    // However many rows were asked for, so without the bound of other processes.
    let output = shell.output().expect("played");
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Output { stdout, stderr, code: output.status.code() }
}

/// The counts that the imports told, in the order of the recipe: carried, there, refused, can not be carried.
fn counts(output: &Output) -> Vec<[usize; 4]> {
    let lines = output.stderr.lines().filter(|line| line.contains(" rows: "));
    let numbers = |line: &str| {
        let numbers: Vec<usize> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        numbers[1..].try_into().unwrap_or_else(|_| panic!("{line}"))
    };
    lines.map(numbers).collect()
}

#[test]
fn the_recipe_for_postgresql_carries_its_tables() {
    let rows = std::env::var("ENROLL_IMPORT_ROWS").map_or(ROWS, |rows| rows.parse().expect("a number"));
    // Of all rows 31 hundredths are people, and so on.
    let people = rows * 100 / 321;
    let Some(postgres) = Postgres::start(TEST) else { return };
    let filled = postgres.psql(&format!("{TABLES}{}", filling(people)));
    assert_eq!(filled.code, Some(0), "{filled:?}");
    let ask =
        |sql: &str| postgres.psql(sql).stdout.trim().parse::<usize>().unwrap_or_else(|err| panic!("{sql}: {err}"));
    let daemon = Home::make().start();
    let [export, import] = recipe();
    let exported = play(&daemon, &postgres, &export);
    assert_eq!((exported.code, exported.stderr.as_str()), (Some(0), ""), "{exported:?}");
    let imported = play(&daemon, &postgres, &import);
    let live = "from enrollmentpools p join users o on o.pk = p.owner where o.deleted is null";
    let [pools, gone] = ["null", "not null"].map(|is| ask(&format!("select count(*) {live} and p.deleted is {is};")));
    let closed = ask(&format!("select count(*) {live} and p.deleted is null and not active;"));
    let roles = ask("select count(*) from roles r join users u on u.pk = r.user where u.deleted is null;");
    let [approved, others] =
        ["= 1", "<> 1"].map(|is| ask(&format!("select count(*) from enrollments where state {is};")));
    let [open, used] =
        ["null", "not null"].map(|is| ask(&format!("select count(*) from logincodes where used_on is {is};")));
    // A deleted person's code is refused, as the deleted person is.
    let orphans = ask("select count(*) from logincodes c join users u on u.callsign = c.claims ->> 'sub'
        where used_on is null and u.deleted is not null;");
    let expected = [
        [people, 0, 0, 0],
        [roles, 0, 0, 0],
        [pools, 0, 0, gone],
        [others, 0, 0, approved],
        [closed, pools - closed, 0, gone],
        [people, 0, 0, 0],
        [open - orphans, 0, orphans, used],
    ];
    assert_eq!(counts(&imported), expected, "{}", imported.stderr);
    assert_eq!(count(&daemon, "person"), people as u64);
    assert_eq!(count(&daemon, "token"), (people + open - orphans) as u64);

    // The same again does nothing, and a dry run of a new export is the comparison that the page speaks of.
    let compare = import.replace("enrollctl import", "enrollctl --dry-run import").replace("result", "compared");
    let compare: String = compare.replace("--set active=true", "").replace("--compared", "--result");
    let compare = format!("{export}{}", compare.replace("pools.open.csv", "pools.opened.csv"));
    let compared = play(&daemon, &postgres, &compare);
    let nothing = |[carried, there, refused, not_carried]: [usize; 4]| [0, carried + there, refused, not_carried];
    let mut expected = expected.map(nothing);
    expected[4] = expected[2];
    assert_eq!(counts(&compared), expected, "{}", compared.stderr);

    // What happens there later comes by the next export.
    let later = postgres.psql(
        "update enrollments set state = 1, decided_on = now(), decided_by = id(1, 1) where callsign = 'Waiting 1';
         update users set deleted = now(), updated = now() where callsign = 'Person 2';
         insert into seentokens select id(6, 0), now(), now(), null, 'nonce-late', null;",
    );
    assert_eq!(later.code, Some(0), "{later:?}");
    let again = import.replace(".result.csv", ".later.csv").replace("pools.open.csv", "pools.opened.later.csv");
    let again = play(&daemon, &postgres, &format!("{export}{again}"));
    let told = counts(&again);
    assert_eq!([told[0][0], told[3][0], told[5][0]], [1, 1, 1], "{}", again.stderr);
    let person = daemon.enrollctl(&["person", "get", "Person 3", "--json"], "").json();
    assert_eq!(person["extra"]["team"], "r, \"d\"");
    let kept = &person["extra"]["imported"];
    assert_eq!(kept["created"], "2021-05-01T09:00:03.123456Z", "{person}");
    assert_eq!(kept["let_in_by"], "Person 1", "{person}");
    expect_sound(&daemon);
}
