"""Values of the contract: references to records, secrets, and the absence of an argument."""

from __future__ import annotations

import enum
from typing import Any, Final, TypeAlias


class Secret(str):
    """A text that is not shown by `repr`, such as a login code. As a `str` it is the text itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(..)"


class Named:
    """A name of a record that says which kind of name it is; made by `by_pk` and the like."""

    __slots__ = ("kind", "name")

    def __init__(self, kind: str, name: str) -> None:
        self.kind: Final = kind
        self.name: Final = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and (self.kind, self.name) == (other.kind, other.name)

    def __hash__(self) -> int:
        return hash((self.kind, self.name))

    def __repr__(self) -> str:
        return f"by_{self.kind}(..)" if self.kind == "invitecode" else f"by_{self.kind}({self.name!r})"


Reference: TypeAlias = str | Named
"""A name of a record. A plain text is read kindly: as a primary key where it has the form of one, else as a callsign,
an invite code or another natural name. What a stranger typed is named by `by_callsign` and the like."""

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object, such as the `extra` of a record."""


def by_pk(pk: str) -> Named:
    """The record of this primary key."""
    return Named("pk", pk)


def by_callsign(callsign: str) -> Named:
    """The person or the enrollment of this callsign, also if the text has the form of a primary key."""
    return Named("callsign", callsign)


def by_invitecode(invitecode: str) -> Named:
    """The pool of this invite code, also if the text has the form of a primary key."""
    return Named("invitecode", invitecode)


def by_name(name: str) -> Named:
    """The event's pool of this name or the course of this key, also if the text has the form of a primary key."""
    return Named("name", name)


class Unset(enum.Enum):
    """The type of `UNSET`."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""An argument that is not given. An update leaves such a field as it is, and clears one that is `None`."""
