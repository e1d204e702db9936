"""The service as it is run: nginx, eight worker processes and a daemon; races, and certificates that are taken back.

Eight browsers ask for the same things at the same time; however they come in, each thing is had once.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier

import httpx
import pytest

import enrolld
from enrolld.testing import sandbox

from .visiting import PATIENCE, code_for, until

RUN = Path(__file__).parents[1] / "run"
WORKERS = 8


@dataclass(frozen=True)
class Site:
    """A running service."""

    directory: Path
    registry: enrolld.Client

    def browser(self, certificate: Path | None = None) -> httpx.Client:
        """A browser, with a client certificate or without."""
        trusted = ssl.create_default_context(cafile=str(self.directory / "tls/server.crt"))
        if certificate:
            trusted.load_cert_chain(certificate)
        transport = httpx.HTTPTransport(verify=trusted, uds=str(self.directory / "https.sock"))
        return httpx.Client(transport=transport, base_url="https://localhost", timeout=PATIENCE)

    def identity(self, callsign: str) -> Path:
        """The key and the certificate of a machine that is made for it, in one file."""
        self.registry.person.create(callsign, certificate="generate")
        key = self.registry.certificate.key(callsign)
        assert key is not None
        file = self.directory / f"{callsign}.pem"
        enrolld.write_private(file, key + self.registry.certificate.get(callsign))
        return file


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("site")
    with sandbox() as socket, enrolld.Client(socket) as registry:
        found = os.environ["PATH"]
        if program := os.environ.get("ENROLLCTL"):
            found = f"{Path(program).parent}:{found}"
        environment = {**os.environ, "PATH": found, "ENROLLD_SOCKET": str(socket), "PYTHON": sys.executable}
        environment |= {"LISTEN": f"unix:{directory}/https.sock", "WORKERS": str(WORKERS), "RENEW_SECONDS": "1"}
        service = subprocess.Popen([RUN, directory], env=environment, stdout=subprocess.PIPE)
        try:
            running = Site(directory, registry)

            def is_up() -> bool:
                assert service.poll() is None, "the service has ended"
                # Each worker has a connection of its own; this test has the other one.
                return registry.server.status().connections > WORKERS

            until("every worker has connected", is_up)
            yield running
        finally:
            service.terminate()
            service.wait(PATIENCE)


def race(site: Site, ask: Callable[[httpx.Client, str], int], names: list[str], file: Path | None = None) -> None:
    """Eight browsers ask for each name at once; each name is had by one, and refused to the others as a conflict."""
    begin = Barrier(WORKERS)

    def run(_: int) -> list[int]:
        with site.browser(file) as browser:
            assert browser.get("/").status_code == 200
            begin.wait(PATIENCE)
            return [ask(browser, name) for name in names]

    with ThreadPoolExecutor(WORKERS) as pool:
        answers = list(pool.map(run, range(WORKERS)))
    for name, statuses in zip(names, zip(*answers, strict=True), strict=True):
        assert sorted(statuses) == [200] + [409] * (WORKERS - 1), (name, statuses)


def test_two_hundred_login_codes_are_two_hundred_sessions(site: Site) -> None:
    codes = [code_for(site.registry, "GREETER") for _ in range(200)]

    def log_in(browser: httpx.Client, code: str) -> int:
        answer = browser.post("/login", data={"code": code})
        browser.cookies.clear()
        return (
            200
            if answer.status_code == 303 and "__Host-session" in answer.headers["set-cookie"]
            else answer.status_code
        )

    race(site, log_in, codes)


def test_a_hundred_callsigns_are_enrolled_once_each(site: Site) -> None:
    pool = site.registry.pool.create(owner="GREETER")

    def enroll(browser: httpx.Client, callsign: str) -> int:
        return browser.post(f"/invite/{pool.invitecode}", data={"callsign": callsign}).status_code

    race(site, enroll, [f"RACER{n:03}" for n in range(100)])
    assert site.registry.pool.get(enrolld.by_pk(pool.pk)).uses == 100


def test_an_invitation_for_fifty_lets_fifty_in(site: Site) -> None:
    pool = site.registry.pool.create(owner="GREETER", max_uses=50)

    def enroll(worker: int) -> list[int]:
        with site.browser() as browser:
            link = f"/invite/{pool.invitecode}"
            return [browser.post(link, data={"callsign": f"GUEST{worker}N{n:02}"}).status_code for n in range(13)]

    with ThreadPoolExecutor(WORKERS) as threads:
        statuses = Counter(status for answers in threads.map(enroll, range(WORKERS)) for status in answers)
    assert statuses == {200: 50, 409: 54}


def test_two_hundred_tickets_are_admitted_once_each(site: Site) -> None:
    file = site.identity("GATE1")

    def admit(browser: httpx.Client, ticket: str) -> int:
        return browser.post("/gate", data={"ticket": ticket}).status_code

    race(site, admit, [f"ticket-{n:03}" for n in range(200)], file)
    audit = site.registry.token.get("ticket-000").audit
    assert audit is not None and audit["gate"] == "GATE1"


def test_a_certificate_opens_the_gate_until_it_is_revoked(site: Site) -> None:
    file = site.identity("GATE2")
    other = site.identity("GATE3")
    forged = {"x-client-verified": "SUCCESS", "x-client-subject": "CN=GATE2", "x-client-serial": "01"}
    with site.browser() as stranger:
        assert stranger.get("/gate").status_code == 403
        assert stranger.get("/gate", headers=forged).status_code == 403
    with site.browser(other) as machine:
        assert "Gate GATE3" in machine.get("/gate", headers=forged).text

    def status() -> int:
        with site.browser(file) as machine:
            return machine.get("/gate").status_code

    assert status() == 200
    site.registry.certificate.revoke("GATE2", reason="key_compromise")
    until("nginx has read the new list", lambda: status() == 400)
    with site.browser(other) as machine:
        assert machine.get("/gate").status_code == 200


def test_a_certificate_of_somebody_else_opens_nothing(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "own.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"]
    command += ["-subj", "/CN=GATE1", "-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "crt")]
    subprocess.run(command, check=True, capture_output=True)
    file.write_text((tmp_path / "key").read_text() + (tmp_path / "crt").read_text())
    with site.browser(file) as machine:
        assert machine.get("/gate").status_code == 400


def test_an_attempt_is_kept_with_the_address_that_nginx_has_seen(site: Site) -> None:
    code = code_for(site.registry, "GREETER")
    forged = {"x-forwarded-for": "192.0.2.1"}
    with site.browser() as browser:
        statuses = [browser.post("/login", data={"code": code}, headers=forged).status_code for _ in range(2)]
    assert statuses == [303, 409]
    refused = [change for change in site.registry.changes.list().all() if change.refused == "token_reuse"]
    # The address of a client on a Unix socket.
    assert refused[-1].origin == "unix:"
