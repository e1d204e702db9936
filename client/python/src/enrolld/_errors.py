"""Errors of a call: a refusal of the daemon, a deadline that has passed, or a peer that is not enrolld."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar


class EnrolldError(Exception):
    """The base of every error of this package."""

    http_status: ClassVar[int] = 500
    """The status with which a web service passes this on."""


class Refused(EnrolldError):
    """An answer that says no. Each code has a class of its own; a code of a newer daemon has this one."""

    http_status: ClassVar[int] = 409

    def __init__(
        self, message: str, *, code: str = "", operation: str = "", details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        """The stable code, such as `not_found`."""
        self.message = message
        """The problem and the way out, for people."""
        self.operation = operation
        """The operation that was refused, such as `person.get`; empty where it was the connection."""
        self.details: Mapping[str, Any] = details or {}
        """Details for programs."""

    @property
    def retry_after(self) -> float | None:
        """Seconds after which to try again, where the daemon names them."""
        wait = self.details.get("retry_after_ms")
        return wait / 1000 if isinstance(wait, int | float) else None

    @property
    def error_id(self) -> str | None:
        """The id under which the daemon has logged an internal error."""
        found = self.details.get("id") if self.code == "internal" else None
        return found if isinstance(found, str) else None

    def __reduce__(self) -> tuple[Callable[..., Refused], tuple[Any, ...]]:
        return _again, (type(self), self.message, self.code, self.operation, dict(self.details))


def _again(kind: type[Refused], message: str, code: str, operation: str, details: dict[str, Any]) -> Refused:
    return kind(message, code=code, operation=operation, details=details)


class DeadlineExceeded(EnrolldError, TimeoutError):
    """No answer came within the timeout of the call. A write may have been done or not; the same call under the same
    idempotency key tells which."""

    http_status: ClassVar[int] = 504


class ProtocolError(EnrolldError):
    """The peer does not speak the protocol, or another version of it."""

    http_status: ClassVar[int] = 502
