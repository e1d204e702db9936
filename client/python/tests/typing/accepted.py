"""What type checkers accept of the client; it is checked and not run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import assert_type

import enrolld


def threads(client: enrolld.Client) -> None:
    assert_type(client.person.create("DOGGO01a", extra={"team": "red"}, timeout=1.0), enrolld.Person)
    assert_type(client.person.get(enrolld.by_callsign("DOGGO01a")).roles, list[str])
    assert_type(client.code.create({"sub": "X"}, expires=datetime.now(UTC)).code, enrolld.Secret | None)
    assert_type(client.role.assign("DOGGO01a", "member", actor="BOSS", dry_run=True), bool)
    for person in client.person.list(limit=10):
        assert_type(person, enrolld.Person)
    for change in client.changes.follow(since=7):
        assert_type(change.seq, int)
    client.pool.update("K7QWM2XA", expires=None)
    assert_type(client.with_options(actor="BOSS"), enrolld.Client)


async def tasks(client: enrolld.AsyncClient) -> None:
    assert_type(await client.person.create("DOGGO01a"), enrolld.Person)
    async for person in client.person.list():
        assert_type(person.created, datetime)
    async with client.changes.follow() as changes:
        assert_type(await anext(changes), enrolld.Change)
