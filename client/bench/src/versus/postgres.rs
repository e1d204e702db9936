//! PostgreSQL as a peer: a cluster that syncs its write-ahead log before every answer, with pgbench as the clients.
//!
//! The server refuses to run as root. If the bench does, the server runs as another user, who owns its files.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use enrollctl::failure::Failure;
use enrollctl::process::child_server::{self, ChildServer};
use enrollctl::process::which;
use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::{CAPACITY, Job, POOL, Work};
use crate::measure::{Tally, WARM_UP};
use crate::workload::token_use::AUDIT;

/// The executables that an installation must have.
const PROGRAMS: [&str; 4] = ["initdb", "postgres", "psql", "pgbench"];

/// The directory of Debian's installations, each in a directory named by its version.
const INSTALLATIONS: &str = "/usr/lib/postgresql";

/// Users to run the server as if the bench runs as root.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// The superuser of the database.
const SUPERUSER: &str = "postgres";

/// Settings of the server.
const SETTINGS: [&str; 4] = ["listen_addresses=", "fsync=on", "synchronous_commit=on", "shared_buffers=256MB"];

/// Connections beside those of the clients.
const SPARE_CONNECTIONS: u64 = 36;

/// The prefix of pgbench's latency files.
const LATENCIES: &str = "latencies";

const SCHEMA: &str = include_str!("postgres.sql");

/// A running server.
#[derive(Debug)]
pub(super) struct Postgres {
    server: ChildServer,
    cluster: Cluster,
}

/// The paths of the cluster, and its user.
#[derive(Debug, Clone)]
struct Cluster {
    programs: PathBuf,
    directory: PathBuf,
    data: PathBuf,
    sockets: PathBuf,
    /// Uid and gid of the server; `None` for those of this process.
    user: Option<(u32, u32)>,
}

/// Finds the directory with all executables; fails with the package to install.
pub(super) fn find() -> Result<PathBuf, String> {
    let installed = std::fs::read_dir(INSTALLATIONS).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut installed: Vec<PathBuf> = installed.map(|version| version.join("bin")).collect();
    let version = |path: &PathBuf| path.iter().rev().nth(1).and_then(|name| name.to_str()?.parse::<u32>().ok());
    installed.sort_by_key(|path| std::cmp::Reverse(version(path)));
    let has_all = |path: &PathBuf| PROGRAMS.iter().all(|name| which::is_executable(&path.join(name)));
    which::directories().into_iter().chain(installed).find(has_all).ok_or_else(|| {
        format!(
            "{} are together neither in a directory of PATH nor in one of {INSTALLATIONS}/*/bin: install PostgreSQL \
             (Debian: apt-get install postgresql)",
            PROGRAMS.join(", ")
        )
    })
}

impl Postgres {
    /// Makes a cluster and starts it for the clients of this job.
    pub(super) async fn start(programs: &Path, job: &Job) -> Result<Self, Failure> {
        let directory = child_server::directory("enroll-bench-postgres.")?;
        let cluster = Cluster::lay_out(programs, directory.path())?;
        let mut initdb = cluster.server_command("initdb");
        initdb.arg("-D").arg(&cluster.data).args(["-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]);
        let directory = ChildServer::spawn("initdb", directory, Signal::SIGTERM, &mut initdb)?.finish().await?;
        let mut postgres = cluster.server_command("postgres");
        postgres.arg("-D").arg(&cluster.data).arg("-k").arg(&cluster.sockets);
        let connections = format!("max_connections={}", job.connections + SPARE_CONNECTIONS);
        postgres.args(SETTINGS.iter().copied().chain([&connections[..]]).flat_map(|setting| ["-c", setting]));
        // SIGQUIT skips the final checkpoint, because the data is thrown away.
        let mut server = ChildServer::spawn("postgres", directory, Signal::SIGQUIT, &mut postgres)?;
        server.await_start(async || cluster.run("select 1;").await).await?;
        Ok(Self { server, cluster })
    }

    /// Makes the tables and the records that the server begins with.
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

    /// Does the work for one round.
    pub(super) async fn turn(&mut self, job: &Job, round: u64) -> Result<Tally, String> {
        let Self { server, cluster } = self;
        server.during(cluster.measure(job, round)).await
    }

    /// The directory of all its files.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.server.directory()
    }

    /// Stops the server.
    pub(super) async fn stop(&mut self) -> Result<(), Failure> {
        self.server.stop().await
    }
}

impl Cluster {
    /// Makes the directories, owned by the server's user.
    fn lay_out(programs: &Path, directory: &Path) -> Result<Self, Failure> {
        let user = if geteuid().is_root() { Some(server_user()?) } else { None };
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
            // The server's user must be able to traverse it.
            std::fs::set_permissions(directory, PermissionsExt::from_mode(0o711))
        };
        made().map_err(|err| Failure::Own(format!("{}: {err}", directory.display())))?;
        Ok(cluster)
    }

    /// A command with an empty environment, because variables such as PGHOST would change what it does.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.env_clear().env("LC_ALL", "C").kill_on_drop(true);
        command
    }

    /// A command that runs as the server's user.
    fn server_command(&self, name: &str) -> Command {
        let mut command = self.program(name);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// A command that connects to the server.
    fn client_command(&self, name: &str) -> Command {
        let mut command = self.program(name);
        command.arg("-h").arg(&self.sockets).args(["-U", SUPERUSER]);
        command
    }

    /// Runs a script of SQL.
    async fn run(&self, script: &str) -> Result<(), String> {
        let mut psql = self.client_command("psql");
        psql.args(["-d", "postgres", "-X", "-q", "-v", "ON_ERROR_STOP=1"]);
        psql.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = psql.spawn().map_err(|err| format!("psql: {err}"))?;
        let mut input = process.stdin.take().ok_or("psql has no input")?;
        // A write fails if psql has ended; its output says why.
        let _ = input.write_all(script.as_bytes()).await;
        drop(input);
        let output = process.wait_with_output().await.map_err(|err| format!("psql: {err}"))?;
        if output.status.success() { Ok(()) } else { Err(error_of(&output)) }
    }

    /// Runs pgbench for one round.
    async fn measure(&self, job: &Job, round: u64) -> Result<Tally, String> {
        if job.work == Work::Register {
            let event = format!("insert into events values ({round}, {CAPACITY}); vacuum analyze events;");
            self.run(&event).await?;
        }
        let script = self.directory.join("script.sql");
        std::fs::write(&script, script_of(job, round)).map_err(|err| format!("{}: {err}", script.display()))?;
        let mut pgbench = self.client_command("pgbench");
        pgbench.args(["-n", "-M", "prepared", "-j", if job.connections < 2 { "1" } else { "2" }]);
        pgbench.args(["-c", &job.connections.to_string(), "-T", &whole_seconds(job.seconds).to_string()]);
        pgbench.arg("-f").arg(&script).arg("-l").arg("--log-prefix").arg(self.directory.join(LATENCIES));
        let output = pgbench.arg("postgres").stdin(Stdio::null()).output().await;
        let output = output.map_err(|err| format!("pgbench: {err}"))?;
        if !output.status.success() {
            return Err(error_of(&output));
        }
        self.take_latencies(job.seconds).map_err(|err| format!("the latencies of pgbench: {err}"))
    }

    /// Counts the latencies that pgbench wrote, in the same window as for all sides, and removes the files.
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
            tally.done += 1;
            if line.ended - line.took >= from && line.ended <= until {
                tally.record(Duration::from_micros(line.took), Duration::from_micros(line.ended - from));
            }
        })?;
        files.iter().try_for_each(std::fs::remove_file)?;
        Ok(tally)
    }
}

/// The uid and gid to run the server as if the bench runs as root.
fn server_user() -> Result<(u32, u32), Failure> {
    let user = USERS.iter().find_map(|name| User::from_name(name).ok().flatten());
    let user = user.ok_or_else(|| {
        Failure::Own(format!("PostgreSQL does not run as root, and there is no user {}", USERS.join(" or ")))
    })?;
    Ok((user.uid.as_raw(), user.gid.as_raw()))
}

/// The SQL expression for the code of eight digits of a 32-bit number.
fn code_of(number: &str) -> String {
    format!("upper(lpad(to_hex({number}), 8, '0'))")
}

/// The script that each client of pgbench repeats.
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

/// A line of a latency file: one operation, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line {
    took: u64,
    /// Since 1970.
    ended: u64,
}

/// Parses `client number took script seconds microseconds`.
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

/// Seconds that pgbench runs, with the warm-up, rounded up because it takes whole seconds only.
fn whole_seconds(seconds: u64) -> u64 {
    seconds + WARM_UP.as_secs() + u64::from(WARM_UP.subsec_nanos() > 0)
}

/// The error that a failed program printed.
fn error_of(output: &Output) -> String {
    child_server::complaint(&String::from_utf8_lossy(&output.stderr)).to_owned()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_pgbench_has_the_end_and_the_latency_of_an_operation() {
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
