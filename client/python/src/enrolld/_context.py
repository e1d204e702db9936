"""The origin of the requests of a part of a program, such as of one request to a web service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ORIGIN: ContextVar[str | None] = ContextVar("enrolld_origin", default=None)


@contextmanager
def origin(text: str | None) -> Iterator[None]:
    """Within it, calls of this task or thread have this origin, unless they name another one."""
    token = _ORIGIN.set(text)
    try:
        yield
    finally:
        _ORIGIN.reset(token)


def current_origin() -> str | None:
    """The origin that was set for the code that runs now."""
    return _ORIGIN.get()
