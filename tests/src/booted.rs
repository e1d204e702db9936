//! A Debian of this machine's release, booted with systemd in a container without a network, or several with one of
//! their own. What runs in it sees the files that a test gave it, and leaves nothing: its disk is a layer in memory over
//! packages that are kept.
//!
//! The packages come from where apt has its own, once, and lie in a cache outside of the repository.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use tempfile::TempDir;

use crate::pages;
use crate::process::{Output, binary, run};

/// Packages of the container beside the minimal system. The last ones are those of the invitation service.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,sudo,openssh-server,\
                        nginx,openssl,curl,python3-venv";

/// Time that the packages may take to arrive, in seconds.
const FETCH_SECONDS: &str = "480";

/// Time that booting may take.
const BOOT_PATIENCE: Duration = Duration::from_secs(60);

/// The path in it of a clone of the repository, as built by `cargo build --release`.
pub const CLONE: &str = "/srv/enrolld";

/// The network of several machines, and the bridge that systemd-nspawn makes of it as long as one runs.
const ZONE: &str = "enroll";
const BRIDGE: &str = "vz-enroll";

/// Where the kernel's control groups are.
const GROUPS: &str = "/sys/fs/cgroup";

/// Runs a command in control groups of this name, in the only hierarchy or in each. In shared ones the units of several
/// machines would be taken for the same.
const IN_GROUPS: &str = r#"
    name=$1; shift
    cd /sys/fs/cgroup
    if [ -e cgroup.procs ]; then all=.; else all=$(echo *); fi
    for hierarchy in $all; do
        { mkdir -p "$hierarchy/$name" && echo $$ > "$hierarchy/$name/cgroup.procs"; } 2>/dev/null || true
    done
    cd /
    exec "$@""#;

/// The output of systemd-nspawn, in the clone.
const LOG: &str = "nspawn.log";

/// A user who may become root.
pub const USER: &str = "alice";

/// The programs that this machine lacks for booting one.
#[derive(Debug, PartialEq, Eq)]
pub enum Missing {
    /// Something that can be had: root, a package, room.
    Tool(String),
    /// Something that can not: another system, or a kernel that does not allow it.
    Host(String),
}

impl From<String> for Missing {
    fn from(needs: String) -> Self {
        Self::Tool(needs)
    }
}

/// A booted container; it is gone when this is dropped.
#[derive(Debug)]
pub struct Booted {
    nspawn: Child,
    init: Pid,
    clone: TempDir,
    /// The name of its own control groups, if it has any.
    group: Option<String>,
    _turn: Arc<Flock<File>>,
}

impl Booted {
    /// Boots one, or says what this machine lacks.
    pub fn start() -> Result<Self, Missing> {
        let (turn, root) = prepare()?;
        let mut booted = Self::spawn(&root, turn.into(), None)?;
        booted.await_boot()?;
        Ok(booted)
    }

    /// Boots one of each of these host names, whose interfaces `host0` are on one network. None has an address yet.
    pub fn start_all(names: &[&str]) -> Result<Vec<Self>, Missing> {
        let (turn, root) = prepare()?;
        let turn = Arc::new(turn);
        let booted = names.iter().map(|name| Self::spawn(&root, Arc::clone(&turn), Some(name)));
        let mut booted: Vec<_> = booted.collect::<Result<_, _>>()?;
        booted.iter_mut().try_for_each(Self::await_boot)?;
        // Where the host's own systemd-networkd does not run, nobody else does that.
        let up = Command::new("ip").args(["link", "set", "dev", BRIDGE, "up"]).status();
        let is_up = up.is_ok_and(|status| status.success());
        is_up.then_some(booted).ok_or_else(|| Missing::Tool("needs ip (package iproute2)".to_owned()))
    }

    /// Begins to boot one, alone or under this name among others.
    fn spawn(root: &Path, turn: Arc<Flock<File>>, name: Option<&str>) -> Result<Self, Missing> {
        let clone = clone();
        let group = name.map(|name| format!("enroll-booted-{name}"));
        let mut command = match &group {
            None => Command::new("systemd-nspawn"),
            Some(group) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", IN_GROUPS, "sh", group, "systemd-nspawn"]);
                shell
            }
        };
        match name {
            None => command.args(["--private-network", "--machine=enroll-booted"]),
            Some(name) => command
                .arg(format!("--network-zone={ZONE}"))
                .arg(format!("--machine=enroll-{name}"))
                .arg(format!("--hostname={name}")),
        };
        container(&mut command, root, clone.path());
        command.args(["--boot", "--link-journal=no", "--console=pipe"]);
        let log = File::create(clone.path().join(LOG)).map_err(|err| format!("needs a temporary directory: {err}"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let nspawn = command.spawn().map_err(|err| format!("systemd-nspawn: {err}"))?;
        Ok(Self { nspawn, init: Pid::from_raw(0), clone, group, _turn: turn })
    }

    /// Copies a file into the clone.
    pub fn put(&self, file: &Path) {
        let name = file.file_name().expect("a name");
        fs::copy(file, self.clone.path().join(name)).expect("copied");
    }

    /// Copies a directory into the clone, under this name.
    pub fn put_all(&self, directory: &Path, name: &str) {
        let copied = Command::new("cp").arg("-r").arg(directory).arg(self.clone.path().join(name)).status();
        assert!(copied.expect("cp").success(), "{}", directory.display());
    }

    /// Copies a file or a directory of the repository to its place in the clone.
    pub fn put_of_repository(&self, path: &str) {
        let mut copy = Command::new("cp");
        copy.args(["-r", "--parents", path]).arg(self.clone.path()).current_dir(pages::root());
        assert!(copy.status().expect("cp").success(), "{path}");
    }

    /// Runs a script of a shell as this user, in the clone; it ends at the first command that fails.
    pub fn play(&self, user: &str, script: &str) -> Output {
        let mut command = self.inside();
        let shell = format!("cd {CLONE} && export USER={user} && exec sh -eu");
        run(command.args(["runuser", "-u", user, "--", "sh", "-c", &shell]), script)
    }

    fn inside(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--uts", "--ipc", "--pid", "--net", "--cgroup", "--root"]);
        command.arg(format!("--target={}", self.init)).args([
            "--",
            "env",
            "--chdir=/",
            "-i",
            "TERM=dumb",
            "LANG=C.UTF-8",
        ]);
        command.arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    fn await_boot(&mut self) -> Result<(), Missing> {
        let begun = Instant::now();
        let children = format!("/proc/{0}/task/{0}/children", self.nspawn.id());
        while begun.elapsed() < BOOT_PATIENCE {
            if let Ok(Some(status)) = self.nspawn.try_wait() {
                let log = fs::read_to_string(self.clone.path().join(LOG)).unwrap_or_default();
                let said = log.lines().last().unwrap_or_default();
                return Err(Missing::Host(format!("systemd-nspawn does not boot on this kernel ({status}): {said}")));
            }
            let children = fs::read_to_string(&children).unwrap_or_default();
            let init = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
            self.init = Pid::from_raw(init.unwrap_or(0));
            if self.init.as_raw() != 0 {
                let mut asked = self.inside();
                let state = run(asked.args(["systemctl", "is-system-running", "--wait"]), "").stdout;
                if matches!(state.trim(), "running" | "degraded") {
                    return Ok(());
                }
            }
            std::thread::yield_now();
        }
        Err(Missing::Host("systemd does not boot in a container on this kernel".to_owned()))
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        // With its first process every other one ends, and what watches them takes their mounts along.
        if self.init.as_raw() != 0 {
            let _ = kill(self.init, Signal::SIGKILL);
        } else {
            let _ = self.nspawn.kill();
        }
        let _ = self.nspawn.wait();
        let Some(group) = &self.group else { return };
        for hierarchy in fs::read_dir(GROUPS).into_iter().flatten().flatten() {
            remove_groups(&hierarchy.path().join(group));
        }
        remove_groups(&Path::new(GROUPS).join(group));
    }
}

/// Removes control groups that have no processes any more.
fn remove_groups(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}

/// Runs a script of a shell as root in the same Debian before it was ever booted, as an image of it is made. These files
/// are beside it, and what it changes is gone afterwards.
pub fn play_in_image(files: &[&Path], script: &str) -> Result<Output, Missing> {
    let (_turn, root) = prepare()?;
    let beside = tempfile::tempdir().map_err(|err| format!("needs a temporary directory: {err}"))?;
    for file in files {
        fs::copy(file, beside.path().join(file.file_name().expect("a name"))).expect("copied");
    }
    let mut nspawn = Command::new("systemd-nspawn");
    container(nspawn.args(["--private-network", "--machine=enroll-booted"]), &root, beside.path());
    nspawn.args(["--as-pid2", "--pipe", "sh", "-c", &format!("cd {CLONE} && exec sh -eu")]);
    Ok(run(&mut nspawn, script))
}

/// The needs of every container: the turn, and the directory of its Debian.
fn prepare() -> Result<(Flock<File>, PathBuf), Missing> {
    if !geteuid().is_root() {
        return Err(Missing::Tool("needs root".to_owned()));
    }
    for (tool, package) in [("systemd-nspawn", "systemd-container"), ("nsenter", "util-linux")] {
        let is_there = Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
        is_there.then_some(()).ok_or_else(|| format!("needs {tool} (package {package})"))?;
    }
    let cache = cache().ok_or_else(|| "needs a home directory, or ENROLL_BOOTED_CACHE".to_owned())?;
    let turn = turn(&cache).map_err(|err| format!("needs {}: {err}", cache.display()))?;
    let root = packages(&cache)?;
    Ok((turn, root))
}

/// The arguments of a container of this Debian that sees these files as the clone.
fn container(nspawn: &mut Command, root: &Path, files: &Path) {
    nspawn.args(["--quiet", "--register=no", "--keep-unit", "--volatile=overlay"]);
    nspawn.arg(format!("--directory={}", root.display())).arg(format!("--bind={}:{CLONE}", files.display()));
}

/// The files of a built clone of the repository: the programs and the files for systemd.
fn clone() -> TempDir {
    let clone = tempfile::tempdir().expect("a directory");
    let programs = clone.path().join("target/release");
    fs::create_dir_all(&programs).expect("a directory");
    for name in ["enrolld", "enrollctl"] {
        fs::copy(binary(name), programs.join(name)).expect("copied");
    }
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd");
    let copied = Command::new("cp").arg("-r").arg(units).arg(clone.path().join("systemd")).status();
    assert!(copied.expect("cp").success());
    fs::set_permissions(clone.path(), fs::Permissions::from_mode(0o777)).expect("a mode");
    clone
}

/// Waits until no other of these runs: without systemd around them they would be in one control group.
fn turn(cache: &Path) -> io::Result<Flock<File>> {
    fs::create_dir_all(cache)?;
    let file = File::create(cache.join("lock"))?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno.into())
}

/// The directory of a Debian of this machine's release, made if it is not kept already.
fn packages(cache: &Path) -> Result<PathBuf, Missing> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let field =
        |name: &str| release.lines().find_map(|line| line.strip_prefix(name)).map(|text| text.trim_matches('"'));
    let (Some("debian"), Some(release)) = (field("ID="), field("VERSION_CODENAME=")) else {
        return Err(Missing::Host("the host is no Debian, whose packages are used".to_owned()));
    };
    // With other packages it is another one.
    let root = cache.join(format!("debian-{release}-{}", PACKAGES.replace(',', "-")));
    if root.exists() {
        return Ok(root);
    }
    let new = tempfile::tempdir_in(cache).map_err(|err| format!("needs {}: {err}", cache.display()))?;
    let mut debootstrap = Command::new("timeout");
    debootstrap.args([FETCH_SECONDS, "debootstrap", "--variant=minbase"]).arg(format!("--include={PACKAGES}"));
    debootstrap.arg(release).arg(new.path()).arg(mirror(release)?);
    debootstrap.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let made = debootstrap.output().map_err(|_| "needs debootstrap".to_owned())?;
    if !made.status.success() {
        let said = String::from_utf8_lossy(&made.stdout).lines().last().unwrap_or_default().to_owned();
        let why = format!("needs packages that debootstrap could not fetch or unpack ({}): {said}", made.status);
        return Err(Missing::Tool(why));
    }
    fs::rename(new.keep(), &root).map_err(|err| err.to_string())?;
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).map_err(|err| err.to_string())?;
    Ok(root)
}

fn cache() -> Option<PathBuf> {
    let directory = |variable| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    directory("ENROLL_BOOTED_CACHE")
        .or_else(|| Some(directory("XDG_CACHE_HOME")?.join("enroll-tests")))
        .or_else(|| Some(directory("HOME")?.join(".cache/enroll-tests")))
}

/// The source that apt has the packages of this release from.
fn mirror(release: &str) -> Result<String, String> {
    let mut targets = Command::new("apt-get");
    targets.args(["indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]);
    let targets = targets.output().map_err(|_| "needs apt-get".to_owned())?;
    let targets = String::from_utf8_lossy(&targets.stdout).into_owned();
    let of_release = |line: &str| line.strip_prefix(&format!("{release} main ")).map(str::to_owned);
    targets.lines().find_map(of_release).ok_or_else(|| format!("needs a source of {release} in apt's configuration"))
}
