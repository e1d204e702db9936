//! Examples of services: the tests of each, the races of the registration desk, and the units, judged by systemd.
//!
//! The example in Rust is a member of the workspace and has its tests beside it.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use enroll_tests::booted::{Booted, Missing};
use enroll_tests::pages;
use enroll_tests::process::{Daemon, Home, Output, binary, run};
use enroll_tests::skip::{is_installed, python_with_pytest, skipped, unsupported};
use nix::unistd::geteuid;

use super::booted::invitations_behind_nginx;
use super::booted_health::INSTALL;

/// Desks that are open at the same time.
const DESKS: usize = 8;

fn example(name: &str) -> PathBuf {
    pages::root().join("examples").join(name).canonicalize().expect("an example")
}

/// PATH with the programs that were built before those of the machine.
fn path() -> String {
    let directory = binary("enrollctl").parent().expect("a directory").to_owned();
    format!("{}:/usr/sbin:{}", directory.display(), std::env::var("PATH").unwrap_or_default())
}

/// Its 200 login codes, 200 tickets and 100 callsigns are raced for by eight browsers, behind a real nginx.
#[test]
fn the_tests_of_the_invitation_service_pass() {
    const TEST: &str = "the_tests_of_the_invitation_service_pass";
    let Some(python) = python_with_pytest(TEST) else { return };
    let imports = "import fastapi, uvicorn, httpx, python_multipart";
    let has = |program: &str, args: &[&str]| {
        Command::new(program).args(args).env("PATH", path()).output().is_ok_and(|output| output.status.success())
    };
    if !has(&python, &["-c", imports]) {
        return skipped(
            TEST,
            "needs fastapi, uvicorn, httpx and python-multipart beside pytest; ENROLL_PYTEST names one",
        );
    }
    if !has("nginx", &["-v"]) || !has("openssl", &["version"]) {
        return skipped(TEST, "needs nginx and openssl");
    }
    binary("enrolld");
    let mut pytest = Command::new(python);
    pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "enrolld._pytest"]);
    pytest.current_dir(example("invitations")).env("PATH", path()).env("ENROLLCTL", binary("enrollctl"));
    let client = pages::root().join("client/python/src").canonicalize().expect("a directory");
    pytest.env("PYTHONPATH", client).env("PYTHONDONTWRITEBYTECODE", "1");
    // It has bounds of its own.
    let output = pytest.output().expect("run");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains(" passed"), "{said}");
    // Another user can be tried by root alone.
    assert_eq!(said.contains(" skipped"), !geteuid().is_root(), "{said}");
}

/// The database layer is what a service writes once for itself.
#[test]
fn the_database_layer_of_the_invitation_service_is_small() {
    let layer = std::fs::read_to_string(example("invitations/invitations/registry.py")).expect("a text");
    assert!(layer.lines().count() < 250, "{}", layer.lines().count());
    let desk = std::fs::read_to_string(example("desk.sh")).expect("a text");
    assert!(desk.lines().count() <= 40, "{}", desk.lines().count());
}

#[test]
fn the_shell_of_the_examples_is_clean() {
    if !is_installed("the_shell_of_the_examples_is_clean", "shellcheck") {
        return;
    }
    let scripts = ["desk.sh", "invitations/run", "invitations/renew-tls"].map(example);
    let output = run(Command::new("shellcheck").args(scripts), "");
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), ""));
}

/// A daemon with an event of so many places, and with members.
fn camp(places: usize, members: usize) -> (Daemon, String) {
    let daemon = Daemon::start();
    assert_eq!(daemon.enrollctl(&["person", "create", "BOSS", "--role", "superuser"], "").code, Some(0));
    let member =
        |n| format!("{{\"op\":\"person.create\",\"args\":{{\"callsign\":\"DOG{n}\",\"roles\":[\"member\"]}}}}\n");
    let made = daemon.enrollctl(&["call"], &(0..members).map(member).collect::<String>());
    assert!(made.code == Some(0) && !made.stdout.contains("\"error\""), "{made:?}");
    let pool = format!(r#"{{"name":"members","capacity":{places},"roles":["member"]}}"#);
    let mut create = vec!["event", "create", "Summer camp", "--kind", "camp", "--owner", "BOSS", "--field", "pk"];
    create.extend(["--start", "2999-07-01T10:00:00Z", "--duration-minutes", "120", "--published", "true"]);
    create.extend(["--pool", &pool]);
    let event = daemon.enrollctl(&create, "");
    assert_eq!(event.code, Some(0), "{event:?}");
    (daemon, event.stdout.trim_end().to_owned())
}

fn desk(home: &Home, event: &str, typed: &str) -> Output {
    let mut command = home.command(&example("desk.sh"));
    command.arg(event).env("PATH", path()).env("ENROLLD_SOCKET", home.socket());
    run(&mut command, typed)
}

/// The lines of a desk after its first, which has the event's title.
fn told(home: &Home, event: &str, typed: &str) -> Vec<String> {
    let output = desk(home, event, typed);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    output.stdout.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_desk_says_what_each_has() {
    let (daemon, event) = camp(1, 3);
    let typed = "DOG0\r\ndog1\n\n?DOG1\nDOG2\n-DOG0\n?DOG1\n?DOG2\n  DOG1  ";
    let lines = [
        "DOG0: has a place",
        "dog1: waits, position 1",
        "DOG1: waits, position 1",
        "DOG2: waits, position 2",
        "DOG0: canceled",
        "DOG1: has a place",
        "DOG2: waits, position 1",
        "DOG1: enrollctl: the person has a place already (already_registered)",
    ];
    assert_eq!(told(&daemon.home, &event, typed), lines);
    for typed in ["NOBODY", "--help", "$(id)", "DOG0 DOG1"] {
        let lines = told(&daemon.home, &event, typed);
        assert!(lines.len() == 1 && lines[0].ends_with("(not_found)") && !lines[0].contains("uid="), "{lines:?}");
    }
    assert_eq!(told(&daemon.home, &event, "-\n?\n \n\r\n"), Vec::<String>::new());
}

#[test]
fn a_desk_without_an_event_does_not_open() {
    let (daemon, _) = camp(1, 0);
    let output = desk(&daemon.home, "01994f3a-7c1e-7d55-a1b2-3c4d5e6f7a8b", "DOG0\n");
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""));
    assert!(output.stderr.contains("not_found"), "{output:?}");
    let mut command = daemon.home.command(&example("desk.sh"));
    let output = run(command.env("PATH", path()), "");
    assert!(output.code != Some(0) && output.stderr.contains("usage: desk.sh EVENT"), "{output:?}");
}

/// Two desks and one place, time and again.
#[test]
fn the_last_place_is_given_by_one_of_two_desks() {
    let (daemon, event) = camp(1, 20);
    for round in 0..10 {
        let lines: Vec<String> = thread::scope(|scope| {
            let at = |n: usize| format!("DOG{}", 2 * round + n);
            let open = |n: usize| {
                let (home, event) = (&daemon.home, &event);
                scope.spawn(move || told(home, event, &at(n)))
            };
            let desks = [open(0), open(1)];
            desks.into_iter().flat_map(|desk| desk.join().expect("a desk")).collect()
        });
        let given = lines.iter().filter(|line| line.ends_with("has a place")).count();
        let waits = lines.iter().filter(|line| line.ends_with("waits, position 1")).count();
        assert_eq!((given, waits, lines.len()), (1, 1, 2), "{lines:?}");
        // Both go again, the one who waits first: else the place would be theirs.
        let waiting = lines.iter().find(|line| line.contains("waits")).expect("one waits");
        let both = [waiting, lines.iter().find(|line| line.contains("place")).expect("one has it")];
        let typed: String = both.map(|line| format!("-{}\n", line.split(':').next().expect("a callsign"))).concat();
        assert_eq!(told(&daemon.home, &event, &typed).len(), 2);
    }
}

#[test]
fn eight_desks_give_each_place_and_each_position_once() {
    let (daemon, event) = camp(50, 100);
    // Everybody stands at two desks.
    let lines: Vec<String> = thread::scope(|scope| {
        let open = |n: usize| {
            let typed: String = (0..25).map(|m| format!("DOG{}\n", (n * 25 / 2 + m) % 100)).collect();
            let (home, event) = (&daemon.home, &event);
            scope.spawn(move || told(home, event, &typed))
        };
        let desks: Vec<_> = (0..DESKS).map(open).collect();
        desks.into_iter().flat_map(|desk| desk.join().expect("a desk")).collect()
    });
    let places = lines.iter().filter(|line| line.ends_with("has a place")).count();
    let position = |line: &String| line.split_once("waits, position ")?.1.parse::<usize>().ok();
    let positions: Vec<usize> = lines.iter().filter_map(position).collect();
    let twice = lines.iter().filter(|line| line.ends_with("(already_registered)")).count();
    assert_eq!((places, positions.len(), twice), (50, 50, 100), "{lines:?}");
    assert_eq!(positions.into_iter().collect::<BTreeSet<_>>(), (1..=50).collect());
}

/// The units with the daemon's own, and a unit of somebody else with the drop-in.
#[test]
fn the_units_of_the_examples_are_understood_in_every_line() {
    const TEST: &str = "the_units_of_the_examples_are_understood_in_every_line";
    if !is_installed(TEST, "systemd-analyze") {
        return;
    }
    let root = tempfile::tempdir().expect("a directory");
    let units = root.path().join("etc/systemd/system");
    let copy = |from: &Path, to: &Path| {
        std::fs::create_dir_all(to.parent().expect("a directory")).expect("made");
        std::fs::copy(from, to).unwrap_or_else(|err| panic!("{}: {err}", from.display()));
    };
    for unit in ["enrolld.socket", "enrolld.service", "enrolld-key.service", "enrolld-failed.target"] {
        copy(&pages::root().join("systemd").join(unit), &units.join(unit));
    }
    let names = ["invitations.service", "invitations-tls.service", "invitations-tls.timer", "other.service"];
    for name in &names[..3] {
        copy(&example("systemd").join(name), &units.join(name));
    }
    copy(&example("systemd/wait-for-enrolld.conf"), &units.join("other.service.d/wait-for-enrolld.conf"));
    std::fs::write(units.join("other.service"), "[Service]\nExecStart=/bin/sh\n").expect("written");
    for target in ["sysinit", "basic", "shutdown", "sockets", "multi-user", "time-sync", "timers"] {
        std::fs::write(units.join(format!("{target}.target")), "[Unit]\nDescription=A target\n").expect("written");
    }
    let own = ["usr/lib/invitations/venv/bin/python", "usr/lib/invitations/renew-tls"];
    for program in ["bin/sh", "usr/bin/enrolld", "usr/bin/enrollctl"].into_iter().chain(own) {
        let program = root.path().join(program);
        std::fs::create_dir_all(program.parent().expect("a directory")).expect("made");
        std::fs::write(&program, "").expect("written");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    let verify = || {
        let mut analyze = Command::new("systemd-analyze");
        analyze.args(["verify", "--man=no"]).arg(format!("--root={}", root.path().display())).args(names);
        run(&mut analyze, "")
    };
    let output = verify();
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    // The tool reads them, and the drop-in, too.
    for wrong in ["invitations.service", "invitations-tls.timer", "other.service.d/wait-for-enrolld.conf"] {
        let path = units.join(wrong);
        let right = std::fs::read_to_string(&path).expect("a text");
        std::fs::write(&path, format!("{right}\nAfterr=nothing\n")).expect("written");
        assert!(verify().stderr.contains("Afterr"), "{wrong}");
        std::fs::write(&path, right).expect("written");
    }
}

/// A service with the drop-in, of a user in the daemon's group and of one who is not.
const PORTALS: &str = "
    useradd --groups enrolld portal
    for user in portal mallory; do
        printf '[Service]\\nType=oneshot\\nUser=%s\\nExecStart=/usr/bin/enrollctl person list\\n' $user \\
            >/etc/systemd/system/$user.service
        install -D -m 644 wait-for-enrolld.conf /etc/systemd/system/$user.service.d/wait-for-enrolld.conf
    done
    systemctl daemon-reload
    systemctl stop enrolld.socket enrolld.service";

/// On a booted Debian: the socket is started with the service, the daemon by the first connection, and the service when the
/// daemon answers. A user without a grant is told so at once.
#[test]
fn a_service_with_the_drop_in_waits_for_the_daemon() {
    const TEST: &str = "a_service_with_the_drop_in_waits_for_the_daemon";
    let machine = match Booted::start() {
        Ok(booted) => booted,
        Err(Missing::Tool(needs)) => return skipped(TEST, &needs),
        Err(Missing::Host(why)) => return unsupported(TEST, &why),
    };
    machine.put(&example("systemd/wait-for-enrolld.conf"));
    let play = |script: &str| {
        let output = machine.play("root", script);
        assert_eq!(output.code, Some(0), "{script}: {output:?}");
        output.stdout
    };
    play(INSTALL);
    play(PORTALS);
    play("timeout 50 systemctl start portal.service && systemctl is-active enrolld.socket enrolld.service");
    assert!(play("systemctl show --property After portal.service").contains("enrolld.socket"));
    // Long before the time of its waiting is over.
    let refused = machine.play("root", "timeout 20 systemctl start mallory.service");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let log = play("journalctl --no-pager --unit mallory.service");
    assert!(log.contains("may not be opened by this user"), "{log}");
}

/// Files of the repository that the page on the examples copies.
const INVITATIONS: &[&str] = &["examples/invitations", "examples/systemd", "client/python/src/enrolld"];

/// A key and a certificate of a machine, which asks by `ask PATH STATUS` for a page at the gate, and spends tickets by
/// `ticket NAME STATUS`. Times of the timer are shorter here than in its unit.
const RIG: &str = r#"
    enrollctl person create RIG05e --certificate generate
    (umask 077; { enrollctl certificate key RIG05e; enrollctl certificate get RIG05e; } >/run/rig.pem)
    cat >/usr/local/bin/ask <<'END'
#!/bin/sh
status=$1
shift
got=$(curl --silent --show-error --max-time 20 --cacert /etc/nginx/enrolld/server.crt     --output /tmp/page --write-out '%{http_code}' "$@")
[ "$got" = "$status" ] || { echo "$got, not $status: $*"; cat /tmp/page; exit 1; }
END
    chmod 755 /usr/local/bin/ask
    mkdir -p /run/systemd/system/invitations-tls.timer.d
    printf '[Timer]
OnUnitInactiveSec=
OnUnitInactiveSec=3s
' >/run/systemd/system/invitations-tls.timer.d/short.conf
    systemctl daemon-reload
    systemctl restart invitations-tls.timer"#;

/// On a booted Debian, as the page on the examples prints it: the invitation service as a unit behind nginx waits for the
/// daemon and outlives its restarts; a certificate of the daemon comes in until it is revoked.
#[test]
fn the_invitation_service_is_a_unit_behind_nginx() {
    const TEST: &str = "the_invitation_service_is_a_unit_behind_nginx";
    let Some(python) = python_with_pytest(TEST) else { return };
    // The container has no network to install these from: they are put where pip finds them installed.
    let where_they_are = "import sys, fastapi, uvicorn, python_multipart as last, pathlib; \
        assert sys.version_info[:2] == (3, 11); print(pathlib.Path(last.__file__).parents[1])";
    let found = run(Command::new(python).args(["-c", where_they_are]), "");
    if found.code != Some(0) {
        return skipped(TEST, "needs Python 3.11 with fastapi, uvicorn and python-multipart; ENROLL_PYTEST names one");
    }
    let machine = match Booted::start() {
        Ok(booted) => booted,
        Err(Missing::Tool(needs)) => return skipped(TEST, &needs),
        Err(Missing::Host(why)) => return unsupported(TEST, &why),
    };
    INVITATIONS.iter().for_each(|path| machine.put_of_repository(path));
    machine.put_all(Path::new(found.stdout.trim_end()), "packages");
    let play = |script: &str| {
        let output = machine.play("root", script);
        let log = || {
            machine.play("root", "journalctl --no-pager -n 60 -u invitations-tls.timer -u invitations-tls.service -u nginx -u enrolld; systemctl list-timers --all; tail -n 3 /var/log/nginx/error.log").stdout
        };
        assert_eq!(output.code, Some(0), "{script}: {output:?}\n{}", log());
        output.stdout
    };
    play(INSTALL);
    play("echo 127.0.0.1 $(hostname) >>/etc/hosts; rm -r packages/pip packages/pip-*");
    play("d=/usr/lib/invitations/venv/lib/python3.11; mkdir -p $d; mv packages $d/site-packages");
    let code = play(&invitations_behind_nginx());
    let code = code.lines().last().expect("a login code");
    play(RIG);

    // After a start nginx has nobody behind it until the workers have begun.
    play(&await_page("200 --cert /run/rig.pem"));
    // A browser logs in, a machine comes in by its certificate alone, and nobody by its word.
    play(&format!("ask 303 --data code={code} https://localhost/login"));
    play(&format!("ask 409 --data code={code} https://localhost/login"));
    play("ask 200 --cert /run/rig.pem https://localhost/gate && grep RIG05e /tmp/page");
    play("ask 403 https://localhost/gate");
    play("ask 403 -H 'X-Client-Verified: SUCCESS' -H 'X-Client-Subject: CN=RIG05e' https://localhost/gate");
    play("ask 200 --cert /run/rig.pem --data ticket=one https://localhost/gate");
    play("ask 409 --cert /run/rig.pem --data ticket=one https://localhost/gate");
    play("! runuser -u nobody -- curl --unix-socket /run/invitations/service.sock http://localhost/gate");

    // It stays through a restart of the daemon, and its own start brings a stopped daemon and waits for it.
    let pid = "systemctl show --property MainPID --property NRestarts invitations.service";
    let before = play(pid);
    play("systemctl restart enrolld.service && ask 200 --cert /run/rig.pem --data ticket=two https://localhost/gate");
    assert_eq!(play(pid), before);
    play("systemctl stop invitations-tls.timer invitations-tls.service");
    play("systemctl stop invitations.service enrolld.socket enrolld.service");
    play("ask 502 --cert /run/rig.pem https://localhost/gate");
    play("timeout 80 systemctl start invitations.service && systemctl is-active enrolld.socket enrolld.service");
    play(&await_page("200 --cert /run/rig.pem --data ticket=three"));

    // What is revoked is refused once the timer has run.
    play("systemctl start invitations-tls.timer && enrollctl person revoke RIG05e key_compromise");
    play(&await_page("400 --cert /run/rig.pem"));
    play("grep -i 'SSL certificate error' /tmp/page && systemctl is-active invitations-tls.timer");
    play("ask 200 https://localhost/");
}

/// Asks until the gate answers so.
fn await_page(asked: &str) -> String {
    let ask = format!("ask {asked} https://localhost/gate");
    format!("for _ in $(seq 100); do if {ask} >/tmp/said 2>&1; then exit 0; fi; sleep 0.1; done; cat /tmp/said; exit 1")
}
