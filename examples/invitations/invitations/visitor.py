"""Visitors: who sent a request, by the session in their cookie or by the certificate that nginx has verified."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from .registry import Certificate, Registry, Session

COOKIE = "__Host-session"
"""The prefix makes browsers insist on TLS and on this host alone."""

_SUBJECT = re.compile(r"CN=([^,+=\\\"<>;#]+)")
"""A subject of the authority's: a CN and nothing else."""


def registry(request: Request) -> Registry:
    """The registry, which the lifespan of the service has opened."""
    found = request.app.state.registry
    assert isinstance(found, Registry)
    return found


async def session(request: Request, registry: Annotated[Registry, Depends(registry)]) -> Session:
    """The session of a request; without one the visitor is sent to log in."""
    jwt = request.cookies.get(COOKIE)
    if jwt is None:
        raise HTTPException(303, headers={"location": "/"})
    return await registry.session(jwt)


def certificate(request: Request) -> Certificate:
    """The client certificate of a request.

    Its headers are nginx's word. They count only on the Unix socket, which nobody but nginx can open, and nginx
    overwrites those that a client has sent. A request by way of a port has no such word.
    """
    server = request.scope.get("server")
    is_from_nginx = server is not None and server[1] is None
    headers = request.headers
    subject = _SUBJECT.fullmatch(headers.get("x-client-subject", ""))
    if not is_from_nginx or headers.get("x-client-verified") != "SUCCESS" or subject is None:
        raise HTTPException(403, "This page takes a valid client certificate.")
    return Certificate(subject[1], headers.get("x-client-serial", ""))


TheRegistry = Annotated[Registry, Depends(registry)]
TheSession = Annotated[Session, Depends(session)]
TheCertificate = Annotated[Certificate, Depends(certificate)]
