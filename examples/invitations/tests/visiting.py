"""Visits: steps of a browser that several tests take."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable

import httpx

import enrolld

PATIENCE = 60.0

_CODE = re.compile("<code>([^<]*)</code>")


def make_greeter(registry: enrolld.Client) -> None:
    """Makes the first who may let others in."""
    for permission in ["/enrollments/", "/codes/"]:
        registry.permission.grant("greeter", permission)
    registry.person.create("GREETER", roles=["greeter"])


def code_for(registry: enrolld.Client, callsign: str) -> str:
    """A login code, by the hand of an administrator."""
    code = registry.code.create({"sub": callsign}).code
    assert code is not None
    return code


def log_in(browser: httpx.Client, code: str) -> None:
    """Logs in, in place of whoever was logged in before."""
    browser.cookies.clear()
    answer = browser.post("/login", data={"code": code})
    assert answer.status_code == 303, answer.text


def shown(answer: httpx.Response) -> str:
    """The code on a page."""
    assert answer.status_code == 200, answer.text
    found = _CODE.search(answer.text)
    assert found, answer.text
    return html.unescape(found[1])


def until(what: str, is_so: Callable[[], bool]) -> None:
    """Looks again until it is so, at most for as long as patience goes."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, f"still waiting: {what}"
        time.sleep(0.05)
