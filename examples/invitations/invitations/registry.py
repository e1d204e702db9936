"""The database layer: everything that the service stores, and every rule about it, is a call of enrolld.

There is no check before a write here, and no lock: a call succeeds once or is refused. What a visitor may do is decided
by the daemon, to whom each call of a `Session` proves that visitor by their JWT. So the service needs no more than the
grant `operate` with proven actors, and can do nothing for people whose sessions it does not hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import enrolld

LOGIN_CODE_HOURS = 48
"""How long somebody has to log in for the first time."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A client certificate that the web server has verified."""

    callsign: str
    serial: str


class Registry:
    """The part of the registry that needs no session."""

    def __init__(self, client: enrolld.AsyncClient) -> None:
        self._client = client

    async def is_open(self, invitecode: str) -> bool:
        """Tells whether somebody can enroll by this invite code now."""
        return await self._client.pool.check(invitecode)

    async def enroll(self, invitecode: str, callsign: str, csr: str | None) -> enrolld.Enrollment:
        """Enrolls a callsign; of several who race for it one gets it, and a full invitation lets nobody in."""
        pool = enrolld.by_invitecode(invitecode)
        return await self._client.enrollment.create(callsign, pool=pool, csr=csr)

    async def log_in(self, code: str) -> enrolld.CodeUsed:
        """Exchanges a login code for a session, once."""
        return await self._client.code.use(code)

    async def admit(self, ticket: str, gate: Certificate) -> None:
        """Spends a ticket, a one-time token, at a gate, once. Who took it is kept with it."""
        await self._client.token.use(ticket, audit={"gate": gate.callsign, "serial": gate.serial})

    async def session(self, jwt: str) -> Session:
        """The session of a JWT; refused where it has ended or its person was deleted."""
        claims = await self._client.jwt.verify(jwt)
        client = self._client.with_options(actor_jwt=jwt)
        person = await client.person.get(enrolld.by_callsign(str(claims["sub"])))
        return Session(client, person)


class Session:
    """Somebody who has logged in. Every call is on their behalf."""

    def __init__(self, client: enrolld.AsyncClient, person: enrolld.Person) -> None:
        self._client = client
        self.person = person

    async def invite(self, max_uses: int) -> enrolld.Pool:
        """Makes an invitation for this many people."""
        return await self._client.pool.create(owner=self._self, max_uses=max_uses)

    async def invitations(self) -> list[enrolld.Pool]:
        """The visitor's own invitations, oldest first."""
        return await self._client.pool.list(owner=self._self).all()

    async def withdraw(self, invitation: str) -> None:
        """Ends an invitation; who has enrolled by it stays enrolled."""
        await self._client.pool.delete(enrolld.by_pk(invitation))

    async def enrollments(self, invitation: enrolld.Pool) -> list[enrolld.Enrollment]:
        """Those who enrolled by an invitation, oldest first."""
        return await self._client.enrollment.list(pool=enrolld.by_pk(invitation.pk)).all()

    async def approve(self, callsign: str, approvecode: str) -> None:
        """Lets somebody in who can tell their approve code; a signing request that they brought is signed."""
        await self._client.enrollment.approve(enrolld.by_callsign(callsign), approvecode=approvecode)

    async def reject(self, callsign: str) -> None:
        """Turns somebody down, for good."""
        await self._client.enrollment.reject(enrolld.by_callsign(callsign))

    async def login_code(self, callsign: str) -> enrolld.Secret:
        """Makes a login code for somebody who was let in."""
        expires = datetime.now(UTC) + timedelta(hours=LOGIN_CODE_HOURS)
        created = await self._client.code.create({"sub": callsign}, expires=expires)
        assert created.code is not None, "only a dry run has no code"
        return created.code

    async def certificate(self) -> str:
        """The visitor's certificate in PEM."""
        return await self._client.certificate.get(self._self)

    @property
    def _self(self) -> enrolld.Reference:
        return enrolld.by_pk(self.person.pk)
