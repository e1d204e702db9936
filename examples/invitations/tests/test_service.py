"""The service in this process, on a private daemon: the way of somebody who is invited, and what is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

import enrolld
from invitations.app import app
from invitations.registry import Registry
from invitations.visitor import COOKIE

from .visiting import code_for, log_in, make_greeter, shown


@pytest.fixture
def registry(enrolld_client: enrolld.Client) -> enrolld.Client:
    make_greeter(enrolld_client)
    return enrolld_client


@pytest.fixture
def browser(enrolld_socket: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    monkeypatch.setenv("ENROLLD_SOCKET", str(enrolld_socket))
    with TestClient(app, base_url="https://testserver", follow_redirects=False) as client:
        yield client


def test_somebody_is_invited_enrolls_is_let_in_and_logs_in(browser: httpx.Client, registry: enrolld.Client) -> None:
    log_in(browser, code_for(registry, "GREETER"))
    assert browser.post("/invitations", data={"max_uses": 1}).status_code == 303
    link = shown(browser.get("/"))

    browser.cookies.clear()
    assert "Choose the callsign" in browser.get(link).text
    approvecode = shown(browser.post(link, data={"callsign": "DOGGO01a"}))
    assert "over" in browser.get(link).text
    assert browser.post(link, data={"callsign": "DOGGO02b"}).status_code == 409

    log_in(browser, code_for(registry, "GREETER"))
    assert "<strong>DOGGO01a</strong>, pending" in browser.get("/").text
    wrong = browser.post("/approve", data={"callsign": "DOGGO01a", "approvecode": "AAAAAAAA"})
    assert 400 <= wrong.status_code < 500
    login = shown(browser.post("/approve", data={"callsign": "DOGGO01a", "approvecode": approvecode}))
    again = browser.post("/approve", data={"callsign": "DOGGO01a", "approvecode": approvecode})
    assert again.status_code == 409

    log_in(browser, login)
    assert "Hello, DOGGO01a" in browser.get("/").text
    browser.cookies.clear()
    assert browser.post("/login", data={"code": login}).status_code == 409


def test_a_session_may_do_what_its_person_may(browser: httpx.Client, registry: enrolld.Client) -> None:
    registry.person.create("DOGGO01a")
    registry.enrollment.create("CAT02b")
    log_in(browser, code_for(registry, "DOGGO01a"))
    # An invitation is anybody's to make; letting in whom somebody else invited is not.
    assert browser.post("/invitations", data={"max_uses": 3}).status_code == 303
    assert browser.post("/reject", data={"callsign": "CAT02b"}).status_code == 403
    assert browser.post("/login-code", data={"callsign": "GREETER"}).status_code == 403
    assert registry.enrollment.get("CAT02b").state == "pending"
    registry.person.delete("DOGGO01a")
    answer = browser.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert COOKIE not in browser.cookies


def test_strangers_and_forgers_get_nowhere(browser: httpx.Client, registry: enrolld.Client) -> None:
    answer = browser.post("/invitations", data={"max_uses": 3})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    browser.cookies.set(COOKIE, "a.forged.session", domain="testserver.local")
    assert browser.post("/invitations", data={"max_uses": 3}).headers["location"] == "/"
    assert registry.pool.list().all() == []
    # These are nginx's word, and this is not nginx's socket.
    forged = {"x-client-verified": "SUCCESS", "x-client-subject": "CN=GREETER", "x-client-serial": "01"}
    assert browser.get("/gate", headers=forged).status_code == 403
    assert browser.post("/gate", headers=forged, data={"ticket": "T-1"}).status_code == 403


def test_a_form_that_is_filled_in_wrongly_says_so(browser: httpx.Client, registry: enrolld.Client) -> None:
    log_in(browser, code_for(registry, "GREETER"))
    for uses in ["0", "many", "10001"]:
        answer = browser.post("/invitations", data={"max_uses": uses})
        assert answer.status_code == 422 and "max_uses" in answer.text
    assert browser.post("/login", data={}).status_code == 422
    script = "<script>alert(1)</script>"
    answer = browser.post("/approve", data={"callsign": script, "approvecode": "X"})
    assert 400 <= answer.status_code < 500 and script not in answer.text
    assert browser.get(f"/invite/{script}").status_code in {200, 404}


def test_wrong_codes_are_limited_for_each_address(browser: httpx.Client, registry: enrolld.Client) -> None:
    statuses = [browser.post("/login", data={"code": f"AAAAAAAAAA{n:02}"}).status_code for n in range(60)]
    assert statuses[0] == 404
    limited = browser.post("/login", data={"code": "AAAAAAAAAAAA"})
    assert limited.status_code == 429 and int(limited.headers["retry-after"]) >= 1, statuses


def test_a_signing_request_becomes_a_certificate(
    browser: httpx.Client, registry: enrolld.Client, tmp_path: Path
) -> None:
    request = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"]
    request += ["-subj", "/CN=DOGGO01a", "-keyout", str(tmp_path / "key.pem")]
    csr = subprocess.run(request, check=True, capture_output=True, text=True).stdout
    log_in(browser, code_for(registry, "GREETER"))
    browser.post("/invitations", data={"max_uses": 1})
    link = shown(browser.get("/"))
    approvecode = shown(browser.post(link, data={"callsign": "DOGGO01a", "csr": csr}))
    login = shown(browser.post("/approve", data={"callsign": "DOGGO01a", "approvecode": approvecode}))
    log_in(browser, login)
    answer = browser.get("/certificate")
    assert answer.text.startswith("-----BEGIN CERTIFICATE-----"), answer.text
    assert "attachment" in answer.headers["content-disposition"]


def test_a_daemon_that_is_away_is_told_without_its_place(browser: httpx.Client) -> None:
    app.state.registry = Registry(enrolld.AsyncClient("/nowhere/enrolld.sock", reconnect_for=0.1))
    answer = browser.post("/login", data={"code": "AAAAAAAAAAAA"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "Try again" in answer.text and "nowhere" not in answer.text
