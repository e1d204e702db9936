"""The connection of a client: its socket in an event loop, found again when it is lost.

It reconnects only while a request is awaited: a connection that ends before is replaced at the next call.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import NamedTuple

from . import _wire
from ._errors import EnrolldError, ProtocolError, Refused
from ._refusals import Unavailable
from ._socket import check_path, check_peer
from ._wire import Answer, Frames, Kind, Pipeline, Step

log = logging.getLogger("enrolld")

_DELAY_MIN = 0.01
_DELAY_MAX = 0.25
_READ_BYTES = 64 << 10


class Terms(NamedTuple):
    """How a client connects."""

    socket: Path
    name: str
    require_peer: Sequence[str]
    reconnect_for: float
    busy_for: float


def unavailable(why: str) -> Unavailable:
    """The error of a daemon that can not be reached."""
    return Unavailable(why, code="unavailable")


class Backoff:
    """The delays between the attempts of one outage, which lasts from the first attempt to the next answer."""

    def __init__(self, reconnect_for: float) -> None:
        self._until = time.monotonic() + reconnect_for
        self._attempts = 0
        self._why: Refused = unavailable("the daemon closes every connection")

    def failed(self, why: Refused) -> None:
        """Notes the reason of an attempt."""
        self._why = why

    async def wait(self) -> float:
        """Waits for the next attempt; the seconds that are left for it. Fails when the time has passed."""
        delay = 0.0
        if self._attempts:
            delay = min(_DELAY_MIN * 2 ** min(self._attempts - 1, 10), _DELAY_MAX)
            delay = max(delay, self._why.retry_after or 0.0) * (1 + random.random() / 2)
        self._attempts += 1
        left = self._until - time.monotonic()
        await asyncio.sleep(max(0.0, min(delay, left)))
        left = self._until - time.monotonic()
        if left <= 0:
            raise self._why
        return left


def is_passing(error: EnrolldError) -> bool:
    """True for a daemon that is away or has no room, and may be there soon."""
    return isinstance(error, Refused) and error.code in ("unavailable", "busy", "shutting_down")


async def open_socket(terms: Terms) -> socket.socket:
    """A connected socket, whose listener was checked."""
    check_path(terms.socket)
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        try:
            await asyncio.get_running_loop().sock_connect(connected, str(terms.socket))
        except PermissionError:
            raise Refused(
                f"{terms.socket} may not be opened by this user: an administrator can put them into its group and give "
                "a grant in enrolld.toml, under [grants]",
                code="permission_denied",
            ) from None
        except OSError as err:
            raise unavailable(
                f"no daemon answers at {terms.socket}: {err.strerror}; start the daemon with `enrolld`, or name its "
                "socket to the client or in $ENROLLD_SOCKET"
            ) from None
        check_peer(connected, terms.socket, terms.require_peer)
    except BaseException:
        connected.close()
        raise
    return connected


class _Link(asyncio.Protocol):
    """One connection, from its hello to its end."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection | None = connection
        self._frames = Frames()
        self._why: EnrolldError | None = None
        self.transport: asyncio.Transport | None = None
        self.welcomed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.is_full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self._connection:
            transport.write(_wire.hello(self._connection.terms.name))

    def data_received(self, data: bytes) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            now = time.monotonic()
            for kind, number, body in self._frames.feed(data):
                if not self.welcomed.done():
                    self._greeted(kind, body)
                elif connection.pipeline.take(kind, number, body, now) is Step.LOST:
                    self._why = _wire.refusal(body)
                else:
                    connection.backoff = None
            if self._why:
                self.close()
            else:
                connection.flush()
        except EnrolldError as err:
            self._why = err
            if self.welcomed.done():
                connection.pipeline.fail_all(err)
            self.close()

    def _greeted(self, kind: int, body: bytes) -> None:
        if kind == Kind.REFUSED:
            error = _wire.refusal(body)
            if "a client says hello first" in error.message:
                raise ProtocolError("the daemon is older than this client and speaks no JSON; upgrade it")
            raise error
        if kind != Kind.WELCOME:
            raise ProtocolError("what answers is not enrolld: it does not welcome")
        bytes_max = _wire.welcome(body)
        self._frames.bytes_max = bytes_max * _wire.ANSWER_TIMES
        self.welcomed.set_result(bytes_max)

    def close(self) -> None:
        """Ends the connection."""
        if self.transport:
            self.transport.close()
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        if not self.welcomed.done():
            self.welcomed.set_exception(self._why or unavailable("what listens closed the connection without a word"))
        elif connection:
            connection.lost(self)

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        if self._connection:
            self._connection.flush()


class Connection:
    """The open requests of a client and the connection that they go over. All of it runs in one event loop."""

    def __init__(self, terms: Terms, loop: asyncio.AbstractEventLoop) -> None:
        self.terms = terms
        self.loop = loop
        self.pipeline = Pipeline(terms.busy_for)
        self.backoff: Backoff | None = None
        self._link: _Link | None = None
        self._reaching: asyncio.Task[None] | None = None
        self._failure: EnrolldError | None = None
        self._was_connected = False
        self._is_flushing = False
        self._is_closed = False

    def send(self, operation: str, number: int, body: bytes, answer: Answer) -> None:
        """Adds a request. Those of one turn of the loop are written at once."""
        if self._is_closed:
            answer.set_exception(unavailable("the client is closed"))
            return
        self.pipeline.add(operation, number, body, answer)
        if not self._is_flushing:
            self._is_flushing = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        self.flush()

    def flush(self) -> None:
        """Writes what may be written; connects if there is no connection and somebody waits."""
        if self._link is None:
            self._reach()
            return
        if self._link.is_full or not self.pipeline.has_unsent():
            return
        transport = self._link.transport
        if transport and (frames := self.pipeline.fill(time.monotonic())):
            transport.write(frames)
        if self.pipeline.paused_until is not None:
            self.loop.call_later(max(0.0, self.pipeline.paused_until - time.monotonic()) + 0.001, self.flush)

    async def connect(self) -> None:
        """Connects, if it is not connected."""
        self._reach(is_awaited=True)
        if self._reaching:
            await asyncio.shield(self._reaching)
        if self._link is None:
            raise self._failure or unavailable("the client is closed")

    def lost(self, link: _Link) -> None:
        """This connection has ended."""
        if self._link is link:
            self._link = None
            self.pipeline.lost()
            log.debug("the connection to %s was lost", self.terms.socket)
            self._reach()

    async def close(self) -> None:
        """Ends the connection. Requests that are open fail."""
        self._is_closed = True
        self.pipeline.fail_all(unavailable("the client was closed"))
        if self._reaching:
            self._reaching.cancel()
            await asyncio.gather(self._reaching, return_exceptions=True)
        link, self._link = self._link, None
        if link:
            link.close()

    def _reach(self, is_awaited: bool = False) -> None:
        is_awaited = is_awaited or self.pipeline.is_awaited()
        if is_awaited and self._link is None and self._reaching is None and not self._is_closed:
            # The loop keeps tasks weakly.
            self._reaching = self.loop.create_task(self._reach_again())

    async def _reach_again(self) -> None:
        try:
            if self.backoff is None:
                self.backoff = Backoff(self.terms.reconnect_for)
            while True:
                left = await self.backoff.wait()
                try:
                    async with asyncio.timeout(left):
                        await self._reach_once()
                    return
                except TimeoutError:
                    self.backoff.failed(unavailable(f"the daemon at {self.terms.socket} does not answer"))
                except EnrolldError as err:
                    is_absent = isinstance(err, Unavailable) and not self._was_connected
                    if not isinstance(err, Refused) or not is_passing(err) or is_absent:
                        raise
                    self.backoff.failed(err)
        except EnrolldError as err:
            self.backoff = None
            self._failure = err
            self.pipeline.fail_all(err)
        finally:
            self._reaching = None
            if self._link:
                self.flush()

    async def _reach_once(self) -> None:
        connected = await open_socket(self.terms)
        transport, link = await self.loop.create_unix_connection(lambda: _Link(self), sock=connected)
        try:
            self.pipeline.bytes_max = await link.welcomed
        except BaseException:
            transport.close()
            raise
        self._link, self._was_connected = link, True
        log.debug("connected to %s", self.terms.socket)


async def frames_of(terms: Terms, request: bytes) -> AsyncGenerator[tuple[int, bytes], None]:
    """Kind and body of each frame that answers a stream's request, over a connection of its own. Nothing is read ahead,
    so a slow reader needs no more memory than a fast one."""
    loop = asyncio.get_running_loop()
    connected = await open_socket(terms)
    try:
        await loop.sock_sendall(connected, _wire.hello(terms.name))
        frames = Frames()
        is_welcomed = False
        while True:
            data = await loop.sock_recv(connected, _READ_BYTES)
            if not data:
                raise unavailable("the connection of the stream was lost")
            for kind, _, body in frames.feed(data):
                if kind == Kind.WELCOME and not is_welcomed:
                    is_welcomed = True
                    frames.bytes_max = _wire.welcome(body) * _wire.ANSWER_TIMES
                    await loop.sock_sendall(connected, request)
                else:
                    yield kind, body
    except OSError as err:
        raise unavailable(f"the connection of the stream was lost: {err.strerror}") from None
    finally:
        connected.close()
