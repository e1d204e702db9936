//! PostgreSQL as a peer: a cluster of its own that syncs its log before every answer, and its own pgbench as the clients.
//!
//! The server does not run as root, so then it runs as another user, to whom its files belong.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::{CAPACITY, Job, POOL, Work};
use crate::bench::measure::{Tally, WARM_UP};
use crate::bench::token_use::AUDIT;
use crate::failure::Failure;
use crate::private::{self, Private};
use crate::program;

/// What is needed of an installation.
const PROGRAMS: [&str; 4] = ["initdb", "postgres", "psql", "pgbench"];

/// Where Debian has its installations, each in a directory by its version.
const INSTALLATIONS: &str = "/usr/lib/postgresql";

/// Users that the server may run as where this one is root.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// The name of the database's own superuser.
const SUPERUSER: &str = "postgres";

/// What the server is told beside its places.
const SETTINGS: [&str; 4] = ["listen_addresses=", "fsync=on", "synchronous_commit=on", "shared_buffers=256MB"];

/// Connections of those who administrate.
const SPARE_CONNECTIONS: u64 = 36;

/// Latencies are in files that begin so.
const LATENCIES: &str = "latencies";

const SCHEMA: &str = include_str!("postgres.sql");

/// The server.
#[derive(Debug)]
pub(super) struct Postgres {
    server: Private,
    cluster: Cluster,
}

/// Where everything is.
#[derive(Debug, Clone)]
struct Cluster {
    programs: PathBuf,
    directory: PathBuf,
    data: PathBuf,
    sockets: PathBuf,
    /// Uid and gid; `None` for this process's own.
    user: Option<(u32, u32)>,
}

/// The directory with all its programs, or what to install.
pub(super) fn find() -> Result<PathBuf, String> {
    let installed = std::fs::read_dir(INSTALLATIONS).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut installed: Vec<PathBuf> = installed.map(|version| version.join("bin")).collect();
    let version = |path: &PathBuf| path.iter().rev().nth(1).and_then(|name| name.to_str()?.parse::<u32>().ok());
    installed.sort_by_key(|path| std::cmp::Reverse(version(path)));
    let has_all = |path: &PathBuf| PROGRAMS.iter().all(|name| program::is_program(&path.join(name)));
    program::directories().into_iter().chain(installed).find(has_all).ok_or_else(|| {
        format!(
            "{} are together neither in a directory of PATH nor in one of {INSTALLATIONS}/*/bin: install PostgreSQL \
             (Debian: apt-get install postgresql)",
            PROGRAMS.join(", ")
        )
    })
}

impl Postgres {
    /// Makes a cluster and starts it for so many clients.
    pub(super) async fn start(programs: &Path, job: &Job) -> Result<Self, Failure> {
        let directory = private::directory("enrollctl-postgres.")?;
        let cluster = Cluster::lay_out(programs, directory.path())?;
        let mut initdb = cluster.servant("initdb");
        initdb.arg("-D").arg(&cluster.data).args(["-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]);
        let directory = Private::spawn("initdb", directory, Signal::SIGTERM, &mut initdb)?.finish().await?;
        let mut postgres = cluster.servant("postgres");
        postgres.arg("-D").arg(&cluster.data).arg("-k").arg(&cluster.sockets);
        let connections = format!("max_connections={}", job.clients + SPARE_CONNECTIONS);
        postgres.args(SETTINGS.iter().copied().chain([&connections[..]]).flat_map(|setting| ["-c", setting]));
        // At once, without writing everything to its place: nobody will ask for it again.
        let mut server = Private::spawn("postgres", directory, Signal::SIGQUIT, &mut postgres)?;
        server.await_start(async || cluster.run("select 1;").await).await?;
        Ok(Self { server, cluster })
    }

    /// Makes its tables and the records that it begins with.
    pub(super) async fn fill(&mut self, job: &Job) -> Result<(), String> {
        let records = job.records;
        let records = match job.work {
            Work::TokenUse => format!(
                "insert into tokens (token, audit)
                   select encode(sha256(convert_to(at::text, 'UTF8')), 'hex'), '{AUDIT}'
                   from generate_series(1, {records}) at;"
            ),
            Work::Enroll | Work::Lookup | Work::Register => format!(
                "insert into enrollments (approvecode, callsign, pool)
                   select {}, 'Pre' || at, '{POOL}' from generate_series(0::bigint, {records} - 1) at;",
                code_of("at * 2654435761 % 4294967296")
            ),
        };
        let script = format!("{SCHEMA}{records}vacuum analyze; checkpoint;");
        self.server.during(self.cluster.run(&script)).await
    }

    /// Does the work once.
    pub(super) async fn turn(&mut self, job: &Job, round: u64) -> Result<Tally, String> {
        let Self { server, cluster } = self;
        server.during(cluster.measure(job, round)).await
    }

    /// Ends it.
    pub(super) async fn stop(&mut self) -> Result<(), Failure> {
        self.server.stop().await
    }
}

impl Cluster {
    /// Makes the directories, for whom the server will run as.
    fn lay_out(programs: &Path, directory: &Path) -> Result<Self, Failure> {
        let user = if geteuid().is_root() { Some(servant()?) } else { None };
        let cluster = Self {
            programs: programs.to_owned(),
            directory: directory.to_owned(),
            data: directory.join("data"),
            sockets: directory.join("sockets"),
            user,
        };
        let made = || {
            for inner in [&cluster.data, &cluster.sockets] {
                std::fs::create_dir(inner)?;
                if let Some((uid, gid)) = user {
                    chown(inner, Some(uid), Some(gid))?;
                }
            }
            // That user must come through.
            std::fs::set_permissions(directory, PermissionsExt::from_mode(0o711))
        };
        made().map_err(|err| Failure::Own(format!("{}: {err}", directory.display())))?;
        Ok(cluster)
    }

    /// A program that sees nothing of this process's environment, where some variables would change what it does.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.env_clear().env("LC_ALL", "C").kill_on_drop(true);
        command
    }

    /// A program of the server's user.
    fn servant(&self, name: &str) -> Command {
        let mut command = self.program(name);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// A program that talks to the server.
    fn client(&self, name: &str) -> Command {
        let mut command = self.program(name);
        command.arg("-h").arg(&self.sockets).args(["-U", SUPERUSER]);
        command
    }

    /// Runs a script of SQL.
    async fn run(&self, script: &str) -> Result<(), String> {
        let mut psql = self.client("psql");
        psql.args(["-d", "postgres", "-X", "-q", "-v", "ON_ERROR_STOP=1"]);
        psql.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = psql.spawn().map_err(|err| format!("psql: {err}"))?;
        let mut input = process.stdin.take().ok_or("psql has no input")?;
        // One that reads nothing has ended, and says why.
        let _ = input.write_all(script.as_bytes()).await;
        drop(input);
        let output = process.wait_with_output().await.map_err(|err| format!("psql: {err}"))?;
        if output.status.success() { Ok(()) } else { Err(said(&output)) }
    }

    async fn measure(&self, job: &Job, round: u64) -> Result<Tally, String> {
        if job.work == Work::Register {
            let event = format!("insert into events values ({round}, {CAPACITY}); vacuum analyze events;");
            self.run(&event).await?;
        }
        let script = self.directory.join("script.sql");
        std::fs::write(&script, script_of(job, round)).map_err(|err| format!("{}: {err}", script.display()))?;
        let mut pgbench = self.client("pgbench");
        pgbench.args(["-n", "-M", "prepared", "-j", if job.clients < 2 { "1" } else { "2" }]);
        pgbench.args(["-c", &job.clients.to_string(), "-T", &whole_seconds(job.seconds).to_string()]);
        pgbench.arg("-f").arg(&script).arg("-l").arg("--log-prefix").arg(self.directory.join(LATENCIES));
        let output = pgbench.arg("postgres").stdin(Stdio::null()).output().await;
        let output = output.map_err(|err| format!("pgbench: {err}"))?;
        if !output.status.success() {
            return Err(said(&output));
        }
        self.take_latencies(job.seconds).map_err(|err| format!("the latencies of pgbench: {err}"))
    }

    /// Counts what pgbench wrote down, in the same window as everybody's, and removes it.
    fn take_latencies(&self, seconds: u64) -> std::io::Result<Tally> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(LATENCIES) {
                files.push(entry.path());
            }
        }
        let mut begun = u64::MAX;
        for_each_line(&files, |line| begun = begun.min(line.ended - line.took))?;
        let (from, mut tally) = (begun.saturating_add(micros(WARM_UP)), Tally::new());
        let until = from.saturating_add(micros(Duration::from_secs(seconds)));
        for_each_line(&files, |line| {
            if line.ended - line.took >= from && line.ended <= until {
                tally.record(Duration::from_micros(line.took));
            }
        })?;
        files.iter().try_for_each(std::fs::remove_file)?;
        Ok(tally)
    }
}

/// Whom a server of root's runs as.
fn servant() -> Result<(u32, u32), Failure> {
    let user = USERS.iter().find_map(|name| User::from_name(name).ok().flatten());
    let user = user.ok_or_else(|| {
        Failure::Own(format!("PostgreSQL does not run as root, and there is no user {}", USERS.join(" or ")))
    })?;
    Ok((user.uid.as_raw(), user.gid.as_raw()))
}

/// The text of eight digits that a number of 32 bits is as a code.
fn code_of(number: &str) -> String {
    format!("upper(lpad(to_hex({number}), 8, '0'))")
}

/// What each client of pgbench does over and over.
fn script_of(job: &Job, round: u64) -> String {
    let random = |name: &str| format!("\\set {name} random(1, 9000000000000000000)\n");
    let hex = |name: &str| format!("lpad(to_hex(:{name}::bigint), 16, '0')");
    let hexes = |names: &[&str]| names.iter().map(|name| hex(name)).collect::<Vec<_>>().join(" || ");
    let randoms = |names: &[&str]| names.iter().map(|name| random(name)).collect::<String>();
    match job.work {
        Work::TokenUse => {
            let parts = ["a", "b", "c", "d"];
            let token = hexes(&parts);
            randoms(&parts)
                + &format!(
                    "insert into tokens (token, audit) values ({token}, '{AUDIT}') on conflict do nothing returning 1;\n"
                )
        }
        Work::Enroll => random("a") + &format!("select enroll('Call' || to_hex(:a::bigint), '{POOL}');\n"),
        Work::Lookup => format!(
            "\\set at random(0, {} - 1)\n\\set code :at * 2654435761 % 4294967296\n\
             select callsign, pool, state, created, updated from enrollments where approvecode = {};\n",
            job.known,
            code_of(":code::bigint")
        ),
        Work::Register => {
            let parts = ["a", "b"];
            randoms(&parts) + &format!("select register({round}, ({})::uuid);\n", hexes(&parts))
        }
    }
}

/// What pgbench wrote down of one operation, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line {
    took: u64,
    /// Since 1970.
    ended: u64,
}

/// `client number took script seconds microseconds`.
fn read_line(line: &str) -> Option<Line> {
    let mut words = line.split(' ').skip(2);
    let took = words.next()?.parse().ok()?;
    let (seconds, micros): (u64, u64) = (words.nth(1)?.parse().ok()?, words.next()?.parse().ok()?);
    let ended = seconds.checked_mul(1_000_000)?.checked_add(micros)?;
    (took <= ended).then_some(Line { took, ended })
}

fn for_each_line(files: &[PathBuf], mut take: impl FnMut(Line)) -> std::io::Result<()> {
    for file in files {
        for line in BufReader::new(File::open(file)?).lines() {
            let line = line?;
            take(read_line(&line).ok_or_else(|| std::io::Error::other(format!("an odd line: {line}")))?);
        }
    }
    Ok(())
}

/// How long pgbench is to run: the warm-up too, and it takes whole seconds only.
fn whole_seconds(seconds: u64) -> u64 {
    seconds + WARM_UP.as_secs() + u64::from(WARM_UP.subsec_nanos() > 0)
}

/// Why a program failed, in its own words.
fn said(output: &Output) -> String {
    private::complaint(&String::from_utf8_lossy(&output.stderr)).to_owned()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_pgbench_tells_when_an_operation_ended_and_how_long_it_took() {
        for (line, expected) in [
            ("0 199 2241 0 1175850568 995598", Some(Line { took: 2241, ended: 1_175_850_568_995_598 })),
            ("3 1 7 0 10 5", Some(Line { took: 7, ended: 10_000_005 })),
            ("0 1 failed 0 10 5", None),
            ("0 1 20 0 0 5", None),
            ("0 1 20", None),
            ("", None),
        ] {
            assert_eq!(read_line(line), expected, "{line}");
        }
    }
}
