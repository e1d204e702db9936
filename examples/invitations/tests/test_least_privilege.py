"""The service as a user of its own, with the grants of enrolld.toml and no more. It takes root to be another user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

import enrolld

from .visiting import PATIENCE, code_for, log_in, make_greeter, shown, until

EXAMPLE = Path(__file__).parents[1]
CLIENT = EXAMPLE.parents[1] / "client/python/src"
UID = 61_234
"""A user that no machine has."""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def as_the_service(place: Path, *args: str | Path) -> subprocess.Popen[str]:
    """Starts Python as the user of the service."""
    return subprocess.Popen(
        [sys.executable, *args],
        env={"PYTHONPATH": f"{place}/src", "ENROLLD_SOCKET": f"{place}/run/enrolld.sock"},
        cwd=place,
        user=UID,
        group=UID,
        extra_groups=[],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that another user can enter, with the sources."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        place.chmod(0o755)
        shutil.copytree(EXAMPLE / "invitations", place / "src/invitations")
        shutil.copytree(CLIENT / "enrolld", place / "src/enrolld")
        yield place


@pytest.fixture
def registry(place: Path) -> Iterator[enrolld.Client]:
    """An administrator's client of a daemon with the grants of enrolld.toml."""
    config, socket = place / "enrolld.toml", place / "run/enrolld.sock"
    config.write_text((EXAMPLE / "enrolld.toml").read_text().replace("user:invitations", f"user:{UID}"))
    enrollctl = Path(os.environ.get("ENROLLCTL") or shutil.which("enrollctl") or "enrollctl")
    options: list[str | Path] = ["--config", config, "--state-dir", place / "state", "--socket", socket]
    daemon = subprocess.Popen([enrollctl.parent / "enrolld", *options, "--exit-with-parent"], stdout=subprocess.DEVNULL)
    try:
        subprocess.run([enrollctl, "--socket", socket, "wait"], check=True)
        # In place of a group that opens it.
        socket.parent.chmod(0o755)
        socket.chmod(0o666)
        with enrolld.Client(socket) as client:
            make_greeter(client)
            yield client
    finally:
        daemon.terminate()
        daemon.wait(PATIENCE)


@pytest.fixture
def browser(place: Path, registry: enrolld.Client) -> Iterator[httpx.Client]:
    """A browser whose requests come to the service as nginx's do."""
    socket = place / "service/service.sock"
    socket.parent.mkdir()
    os.chown(socket.parent, UID, UID)
    with ExitStack() as stack:
        uvicorn = ["-m", "uvicorn", "--log-level", "warning", "--proxy-headers", "--forwarded-allow-ips", "*"]
        service = as_the_service(place, *uvicorn, "--uds", socket, "invitations.app:app")
        stack.callback(service.wait, PATIENCE)
        stack.callback(service.terminate)

        def is_up() -> bool:
            assert service.poll() is None, "the service has ended"
            return socket.exists()

        until("the service listens", is_up)
        transport = httpx.HTTPTransport(uds=str(socket))
        yield stack.enter_context(httpx.Client(transport=transport, base_url="http://localhost"))


def log_in_without_tls(browser: httpx.Client, code: str) -> None:
    """Logs in on the service's own socket, where nginx has taken TLS away already."""
    log_in(browser, code)
    for cookie in browser.cookies.jar:
        cookie.secure = False


def test_it_needs_no_more_than_it_is_given(browser: httpx.Client, registry: enrolld.Client) -> None:
    log_in_without_tls(browser, code_for(registry, "GREETER"))
    assert browser.post("/invitations", data={"max_uses": 1}).status_code == 303
    link = shown(browser.get("/"))
    approvecode = shown(browser.post(link, data={"callsign": "DOGGO01a"}))
    login = shown(browser.post("/approve", data={"callsign": "DOGGO01a", "approvecode": approvecode}))
    log_in_without_tls(browser, login)
    assert "Hello, DOGGO01a" in browser.get("/").text
    machine = {"x-client-verified": "SUCCESS", "x-client-subject": "CN=GATE1", "x-client-serial": "01"}
    statuses = [browser.post("/gate", headers=machine, data={"ticket": "T-1"}).status_code for _ in range(2)]
    assert statuses == [200, 409]
    approved = [change for change in registry.changes.list().all() if change.verb == "approve"]
    assert [change.peer.uid for change in approved if change.peer] == [UID]


@pytest.mark.parametrize(
    "attempt",
    [
        "person.list().all()",
        "person.create('CAT02b')",
        "code.create({'sub': 'GREETER'})",
        "with_options(actor='GREETER').pool.create()",
        "certificate.key('GREETER')",
    ],
)
def test_it_may_do_no_more_than_it_needs(place: Path, registry: enrolld.Client, attempt: str) -> None:
    script = f"import enrolld\ntry: enrolld.Client().{attempt}\nexcept enrolld.PermissionDenied: print('denied')"
    said, _ = as_the_service(place, "-c", script).communicate(timeout=PATIENCE)
    assert said == "denied\n"
