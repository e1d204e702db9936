"""A line of the operations table, and the options that every call takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar

from ._values import Reference

T = TypeVar("T")


class Operation(NamedTuple, Generic[T]):
    """An operation."""

    number: int
    """Its number on the wire; 0 for one that this client does not know."""
    name: str
    """Its name, such as `person.get`."""
    is_write: bool
    """True for a write, which is sent under an idempotency key."""
    read: Callable[[Any], T] | None
    """Makes its answer, or one item of it, from JSON."""


class Options(TypedDict, total=False):
    """The options of a call; those that are not given are the client's."""

    actor: Reference | None
    """The person on whose behalf it is done, on this process' word."""
    actor_jwt: str | None
    """A session JWT of the daemon's that proves the actor."""
    origin: str | None
    """Where the attempt came from, such as a remote address. `enrolld.origin` sets it for a part of a program."""
    idempotency_key: str | None
    """A UUID: a write that is sent again under it is not done again and gets the first answer. Every write has one, a
    new one by default."""
    dry_run: bool
    """Do everything but commit, and answer without secrets."""
    timeout: float | None
    """Seconds until `DeadlineExceeded`."""
