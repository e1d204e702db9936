"""The web service: routes, each one call of the registry and one page.

`uvicorn --uds SOCKET --proxy-headers --forwarded-allow-ips '*' invitations.app:app` serves it behind nginx, in any
number of worker processes; `ENROLLD_SOCKET` names the daemon's socket where it is not the usual one.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

from fastapi import FastAPI, Form, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.exceptions import HTTPException as AnyHttpException

import enrolld
from enrolld.asgi import OriginMiddleware

from . import pages
from .registry import Registry
from .visitor import COOKIE, TheCertificate, TheRegistry, TheSession

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
"""Headers of every answer: pages load nothing from elsewhere, and codes stay out of caches and other sites' logs."""

TIMEOUT = 10.0
"""Seconds for which a visitor waits for one answer of the daemon."""

Text = Annotated[str, Form(max_length=256)]
Pem = Annotated[str, Form(max_length=16384)]
Uses = Annotated[int, Form(ge=1, le=10_000)]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    """Keeps one client for each worker process; all requests share its connection."""
    async with enrolld.AsyncClient(timeout=TIMEOUT) as client:
        app.state.registry = Registry(client)
        yield


app = FastAPI(lifespan=lifespan, default_response_class=HTMLResponse, openapi_url=None)
app.add_middleware(OriginMiddleware)  # The daemon counts wrong codes for each address.


@app.exception_handler(enrolld.EnrolldError)
async def refuse(request: Request, error: enrolld.EnrolldError) -> Response:
    """Passes on why the daemon says no, or that it does not answer."""
    if isinstance(error, enrolld.JwtInvalid):
        ended = RedirectResponse("/", 303, HEADERS)
        ended.delete_cookie(COOKIE, secure=True, httponly=True)
        return ended
    headers = dict(HEADERS)
    seconds = error.retry_after if isinstance(error, enrolld.Refused) else None
    if error.http_status >= 500 or seconds is not None:
        headers["retry-after"] = str(math.ceil(seconds or 1))
    if error.http_status < 500 and isinstance(error, enrolld.Refused):
        page = pages.refused("That did not work", error.message)
    else:
        # The reason names sockets and disks of this machine; the daemon's log has it.
        page = pages.refused("Try again in a moment", "The registry does not answer.")
    return HTMLResponse(page, error.http_status, headers)


@app.exception_handler(AnyHttpException)
async def refuse_request(request: Request, error: AnyHttpException) -> Response:
    """Says why a request is not served, or sends the visitor elsewhere."""
    headers = {**HEADERS, **(error.headers or {})}
    return HTMLResponse(pages.refused("That did not work", error.detail), error.status_code, headers)


@app.exception_handler(RequestValidationError)
async def refuse_form(request: Request, error: RequestValidationError) -> Response:
    """Says which fields of a form are wrong."""
    fields = ", ".join(str(wrong["loc"][-1]) for wrong in error.errors())
    return HTMLResponse(pages.refused("That did not work", f"Please fill in again: {fields}"), 422, HEADERS)


def answer(page: str) -> HTMLResponse:
    """A page with the headers that all have."""
    return HTMLResponse(page, headers=HEADERS)


@app.get("/style.css")
async def style() -> Response:
    """The one style sheet."""
    return Response(pages.STYLE, media_type="text/css")


@app.get("/")
async def front(request: Request, registry: TheRegistry) -> Response:
    """A stranger's page, or that of somebody who has logged in."""
    jwt = request.cookies.get(COOKIE)
    if jwt is None:
        return answer(pages.front())
    session = await registry.session(jwt)
    invitations = [(pool, await session.enrollments(pool)) for pool in await session.invitations()]
    return answer(pages.home(session.person, invitations))


@app.get("/invite/{invitecode}")
async def invitation(invitecode: str, registry: TheRegistry) -> Response:
    """The page behind an invite link."""
    return answer(pages.invitation(invitecode, await registry.is_open(invitecode)))


@app.post("/invite/{invitecode}")
async def enroll(invitecode: str, callsign: Text, registry: TheRegistry, csr: Pem = "") -> Response:
    """Enrolls a callsign by an invite link."""
    return answer(pages.enrolled(await registry.enroll(invitecode, callsign.strip(), csr.strip() or None)))


@app.post("/login")
async def log_in(code: Text, registry: TheRegistry) -> Response:
    """Exchanges a login code for a session, which the browser keeps in a cookie."""
    used = await registry.log_in(code)
    response = RedirectResponse("/", 303, HEADERS)
    seconds = int((used.expires - datetime.now(UTC)).total_seconds())
    assert used.jwt is not None, "only a dry run has no JWT"
    # Strict: forms of other sites come without it.
    response.set_cookie(COOKIE, used.jwt, max_age=seconds, secure=True, httponly=True, samesite="strict")
    return response


@app.post("/logout")
async def log_out() -> Response:
    """Forgets the session in this browser."""
    response = RedirectResponse("/", 303, HEADERS)
    response.delete_cookie(COOKIE, secure=True, httponly=True)
    return response


@app.post("/invitations")
async def invite(max_uses: Uses, session: TheSession) -> Response:
    """Makes an invite link."""
    await session.invite(max_uses)
    return RedirectResponse("/", 303, HEADERS)


@app.post("/invitations/{invitation}/withdraw")
async def withdraw(invitation: str, session: TheSession) -> Response:
    """Ends an invite link."""
    await session.withdraw(invitation)
    return RedirectResponse("/", 303, HEADERS)


@app.post("/approve")
async def approve(callsign: Text, approvecode: Text, session: TheSession) -> Response:
    """Lets somebody in, and shows the login code to hand on."""
    await session.approve(callsign, approvecode)
    return answer(pages.login_code(callsign, await session.login_code(callsign)))


@app.post("/reject")
async def reject(callsign: Text, session: TheSession) -> Response:
    """Turns somebody down."""
    await session.reject(callsign)
    return RedirectResponse("/", 303, HEADERS)


@app.post("/login-code")
async def login_code(callsign: Text, session: TheSession) -> Response:
    """Makes another login code, for somebody who has lost the first."""
    return answer(pages.login_code(callsign, await session.login_code(callsign)))


@app.get("/certificate")
async def certificate(session: TheSession) -> Response:
    """The visitor's certificate, as a file."""
    headers = {**HEADERS, "content-disposition": 'attachment; filename="certificate.pem"'}
    return PlainTextResponse(await session.certificate(), headers=headers)


@app.get("/gate")
async def gate(certificate: TheCertificate) -> Response:
    """The page of a gate."""
    return answer(pages.gate(certificate.callsign))


@app.post("/gate")
async def admit(ticket: Text, certificate: TheCertificate, registry: TheRegistry) -> Response:
    """Admits the bearer of a ticket that was not spent before."""
    await registry.admit(ticket, certificate)
    return answer(pages.admitted())
