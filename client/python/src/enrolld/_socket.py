"""The daemon's socket: its default path, and the check of who listens there before anything is sent."""

from __future__ import annotations

import os
import pwd
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

from ._refusals import InvalidArgument, Unavailable

PATH_BYTES_MAX = 107
_SYSTEM = Path("/run/enrolld/enrolld.sock")
_SERVICE_USER = "enrolld"


def default_socket() -> Path:
    """The socket of `$ENROLLD_SOCKET`, of the system for root, and else of this user.

    That is in `$XDG_RUNTIME_DIR` or below the state directory. A user without a socket of their own gets the system's,
    if there is its directory.
    """
    named = os.environ.get("ENROLLD_SOCKET")
    if named:
        return Path(named)
    if os.geteuid() == 0:
        return _SYSTEM

    def directory(name: str) -> Path | None:
        # The XDG specification has relative paths ignored.
        path = os.environ.get(name, "")
        return Path(path) if path.startswith("/") else None

    own = None
    if runtime := directory("XDG_RUNTIME_DIR"):
        own = runtime / "enrolld/enrolld.sock"
    elif state := directory("XDG_STATE_HOME"):
        own = state / "enrolld/run/enrolld.sock"
    elif home := directory("HOME"):
        own = home / ".local/state/enrolld/run/enrolld.sock"
    # os.path.exists is False where a service may not look, such as a home that its unit hides; Path.exists raises.
    if own is not None and (os.path.exists(own) or not os.path.exists(_SYSTEM.parent)):
        return own
    return _SYSTEM


def check_path(path: Path) -> None:
    """Refuses a path that no socket can have."""
    length = len(os.fsencode(path))
    if length > PATH_BYTES_MAX:
        raise InvalidArgument(
            f"{path}: a socket's path has at most {PATH_BYTES_MAX} bytes, and this one has {length}",
            code="invalid_argument",
        )


def check_peer(connected: socket.socket, path: Path, required: Sequence[str]) -> None:
    """Refuses a listener that runs as none of these users, by name or uid. Without any: as neither root, nor this user,
    nor `enrolld`."""
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", credentials)[1]
    accepted = [_uid_of(user) for user in required] if required else [0, os.geteuid(), _uid_of(_SERVICE_USER)]
    if uid not in accepted:
        users = " or ".join(required) if required else f"root, {_SERVICE_USER} or uid {os.geteuid()}"
        raise Unavailable(
            f"nothing was sent: what listens at {path} runs as uid {uid}, and not as {users}; if that is right, name "
            "the user with require_peer",
            code="unavailable",
        )


def _uid_of(user: str) -> int | None:
    if user.isdecimal():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None
