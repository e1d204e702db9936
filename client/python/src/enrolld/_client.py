"""The clients: one for threads, one for the tasks of an event loop, with the same names."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from . import _calls, _calls_sync
from ._connection import Terms
from ._operation import Operation, Options
from ._operations import TABLE, AsyncAreas
from ._operations_sync import Areas
from ._socket import default_socket
from ._version import __version__

Socket = str | os.PathLike[str] | None


def _terms(
    socket: Socket, name: str | None, require_peer: str | Sequence[str], reconnect_for: float, busy_for: float
) -> Terms:
    required = [require_peer] if isinstance(require_peer, str) else list(require_peer)
    name = name or f"enrolld-python/{__version__}"
    return Terms(Path(socket) if socket else default_socket(), name, required, reconnect_for, busy_for)


def _raw(op: str) -> Operation[Any]:
    """An operation whose answer stays JSON. One that is not known is taken for a write."""
    known = TABLE.get(op)
    return Operation(known.number if known else 0, op, known.is_write if known else True, None)


class AsyncClient(AsyncAreas):
    """A client for the tasks of one event loop, which share one connection. It connects with the first call, or with
    `async with`.

        async with enrolld.AsyncClient() as client:
            person = await client.person.create("DOGGO01a", extra={"team": "red"})
    """

    def __init__(
        self,
        socket: Socket = None,
        *,
        name: str | None = None,
        require_peer: str | Sequence[str] = (),
        reconnect_for: float = 2.0,
        busy_for: float = 10.0,
        **options: Unpack[Options],
    ) -> None:
        """A client of the daemon at this socket, the usual one by default.

        - `name`: The client's name in the daemon's log.
        - `require_peer`: The users as whom the daemon may run; root, `enrolld` and this user by default.
        - `reconnect_for`: Seconds for which a daemon that went away is looked for.
        - `busy_for`: Seconds for which a request is sent again to a daemon that is busy.

        The others are options of every call.
        """
        super().__init__(_calls.Shared(_terms(socket, name, require_peer, reconnect_for, busy_for)), options)

    def with_options(self, **options: Unpack[Options]) -> AsyncClient:
        """This client, over the same connection, with other options."""
        client = object.__new__(AsyncClient)
        AsyncAreas.__init__(client, self._shared, {**self._options, **options})
        return client

    async def raw(self, op: str, args: Mapping[str, Any] | None = None, **options: Unpack[Options]) -> Any:
        """Calls an operation by its name, also one that this client does not know; the answer is JSON."""
        return await self.call(_raw(op), args or {}, options)

    async def connect(self) -> None:
        """Connects, if it is not connected. The first call does so, too."""
        await self._shared.connection().connect()

    async def aclose(self) -> None:
        """Ends the connection. A later call makes another one."""
        await self._shared.close()

    async def __aenter__(self) -> AsyncClient:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class Client(Areas):
    """A client for threads, which share one connection. It connects with the first call, or with `with`.

    with enrolld.Client() as client:
        person = client.person.create("DOGGO01a", extra={"team": "red"})
    """

    def __init__(
        self,
        socket: Socket = None,
        *,
        name: str | None = None,
        require_peer: str | Sequence[str] = (),
        reconnect_for: float = 2.0,
        busy_for: float = 10.0,
        **options: Unpack[Options],
    ) -> None:
        """A client of the daemon at this socket, the usual one by default; see `AsyncClient`."""
        super().__init__(_calls_sync.Shared(_terms(socket, name, require_peer, reconnect_for, busy_for)), options)

    def with_options(self, **options: Unpack[Options]) -> Client:
        """This client, over the same connection, with other options."""
        client = object.__new__(Client)
        Areas.__init__(client, self._shared, {**self._options, **options})
        return client

    def raw(self, op: str, args: Mapping[str, Any] | None = None, **options: Unpack[Options]) -> Any:
        """Calls an operation by its name, also one that this client does not know; the answer is JSON."""
        return self.call(_raw(op), args or {}, options)

    def connect(self) -> None:
        """Connects, if it is not connected. The first call does so, too."""
        found = self._shared.loop()
        found.run(found.connection.connect())

    def close(self) -> None:
        """Ends the connection. A later call makes another one."""
        self._shared.close()

    def __enter__(self) -> Client:
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
