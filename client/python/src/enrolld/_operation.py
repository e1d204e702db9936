"""A line of the operations table, and the options that every call takes."""

from __future__ import annotations

import threading
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


_NAMES = frozenset(Options.__annotations__)


def check(options: Options, of: str) -> None:
    """Refuses an option that does not exist, as Python does for other arguments, and one of another kind."""
    if not options:
        return
    for name in options.keys() - _NAMES:
        raise TypeError(f"{of} has no argument {name!r}; help() shows those that it has, and the options of every call")
    timeout = options.get("timeout")
    if timeout is not None:
        if isinstance(timeout, bool) or not isinstance(timeout, int | float):
            raise TypeError(f"timeout is a number of seconds, or None for no bound, and not a {type(timeout).__name__}")
        if not 0 <= timeout <= threading.TIMEOUT_MAX:
            raise ValueError(f"timeout is a number of seconds from 0 on, or None for no bound, and not {timeout}")
    if not isinstance(options.get("dry_run", False), bool):
        raise TypeError(f"dry_run is True or False, and not a {type(options.get('dry_run')).__name__}")
