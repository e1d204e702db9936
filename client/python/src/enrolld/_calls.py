"""The calls of an asynchronous client, which all its tasks share one connection for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Generic, TypeVar

from . import _fork, _wire
from ._connection import Backoff, Connection, Terms, frames_of, is_passing
from ._context import current_origin
from ._errors import DeadlineExceeded, EnrolldError, ProtocolError, Refused
from ._operation import Operation, Options, check
from ._pages import AsyncPages
from ._wire import Kind

T = TypeVar("T")

__all__ = ["AsyncCalls", "AsyncPages", "AsyncStream"]


def request_body(operation: Operation[Any], args: Mapping[str, Any], options: Options, defaults: Options) -> bytes:
    """The body of a request, with the options of this call, of the context and of the client."""
    check(options, operation.name)
    asked: dict[str, Any] = {"args": args}
    if not operation.number:
        asked["op"] = operation.name
    get = options.get
    actor, proof = get("actor"), get("actor_jwt")
    if actor is None and proof is None:
        actor, proof = defaults.get("actor"), defaults.get("actor_jwt")
    if actor is not None:
        asked["actor"] = actor
    if proof is not None:
        asked["actor_jwt"] = proof
    origin = get("origin") or current_origin() or defaults.get("origin")
    if origin is not None:
        asked["origin"] = origin
    if get("dry_run", defaults.get("dry_run")):
        asked["dry_run"] = True
    elif operation.is_write:
        asked["key"] = get("idempotency_key") or _wire.new_key()
    return _wire.body(asked)


def read_answer(operation: Operation[T], value: Any) -> T:
    """The answer of an operation from its JSON."""
    read = operation.read
    if read is None:
        return value  # type: ignore[no-any-return]
    try:
        return read(value)
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise ProtocolError(f"the answer of {operation.name} can not be read: {err!r}") from err


def late(operation: Operation[Any], timeout: float) -> DeadlineExceeded:
    """The error of a call whose time has passed."""
    if operation.is_write:
        then = "whether it was done, the same call under the same idempotency_key tells"
    else:
        then = "try again, or give it a longer timeout"
    return DeadlineExceeded(f"{operation.name} was not answered within {timeout} s; {then}")


class Shared:
    """The connection that a client and its copies share. It belongs to the event loop that it was made in."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self._connection: Connection | None = None
        _fork.register(self)

    def connection(self) -> Connection:
        """The connection of this loop. Fails in another loop than that of the first call."""
        connection = self._connection
        if connection is None:
            connection = self._connection = Connection(self.terms, asyncio.get_running_loop())
        elif connection.loop is not asyncio.get_running_loop():
            raise RuntimeError(
                "this client is connected in another event loop; make a client for each loop, or close it"
            )
        return connection

    async def close(self) -> None:
        """Ends the connection; the next call makes another one."""
        connection, self._connection = self._connection, None
        if connection:
            await connection.close()

    def after_fork(self) -> object:
        """Begins afresh in a child."""
        inherited, self._connection = self._connection, None
        return inherited


class AsyncCalls:
    """The calls of a client."""

    def __init__(self, shared: Shared, options: Options) -> None:
        check(options, "a client")
        self._shared = shared
        self._options = options

    @property
    def _calls(self) -> AsyncCalls:
        return self

    async def call(self, operation: Operation[T], args: Mapping[str, Any], options: Options) -> T:
        """Sends a request and waits for its answer."""
        body = request_body(operation, args, options, self._options)
        connection = self._shared.connection()
        answer = connection.loop.create_future()
        connection.send(operation.name, operation.number, body, answer)
        timeout = options.get("timeout", self._options.get("timeout"))
        if timeout is None:
            return read_answer(operation, await answer)
        timer = connection.loop.call_later(timeout, _expire, answer, operation, timeout)
        try:
            return read_answer(operation, await answer)
        finally:
            timer.cancel()

    def pages(self, operation: Operation[T], args: dict[str, Any], options: Options) -> AsyncPages[T]:
        """A list."""
        return AsyncPages(self, operation, args, options)

    def stream(self, operation: Operation[T], args: dict[str, Any], options: Options) -> AsyncStream[T]:
        """A stream of changes."""
        return AsyncStream(self._shared.terms, operation, args, options, self._options, can_resume=True)

    def walk(self, operation: Operation[T], args: dict[str, Any], options: Options) -> AsyncStream[T]:
        """A stream of items from one state."""
        return AsyncStream(self._shared.terms, operation, args, options, self._options, can_resume=False)


def _expire(answer: asyncio.Future[Any], operation: Operation[Any], timeout: float) -> None:
    if not answer.done():
        answer.set_exception(late(operation, timeout))


class AsyncStream(Generic[T]):
    """Items over a connection of their own. A stream of changes that is lost goes on with the change that comes next; a
    walk over one state fails, and may be begun again.

    It is used once. Leaving it, or `aclose`, closes its connection.
    """

    def __init__(
        self,
        terms: Terms,
        operation: Operation[T],
        args: dict[str, Any],
        options: Options,
        defaults: Options,
        *,
        can_resume: bool,
    ) -> None:
        self._terms = terms
        self._operation = operation
        self._args = args
        self._options = options
        self._defaults = defaults
        self._can_resume = can_resume
        self._is_begun = False
        self._items: AsyncGenerator[T, None] | None = None
        self._source: Any = None

    def __aiter__(self) -> AsyncStream[T]:
        return self

    async def __anext__(self) -> T:
        if self._items is None:
            self._items = self._all()
        return await anext(self._items)

    async def __aenter__(self) -> AsyncStream[T]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the stream."""
        items, self._items = self._items, self._nothing()
        if items is not None:
            await items.aclose()

    async def _nothing(self) -> AsyncGenerator[T, None]:
        return
        yield

    async def _all(self) -> AsyncGenerator[T, None]:
        backoff: Backoff | None = None
        while True:
            try:
                if backoff:
                    await backoff.wait()
                source = self._over_one_connection()
                try:
                    async for item in source:
                        backoff = None
                        yield item
                finally:
                    await source.aclose()
                return
            except EnrolldError as err:
                if not isinstance(err, Refused) or not is_passing(err) or (self._is_begun and not self._can_resume):
                    raise
                if not self._is_begun and err.code == "unavailable":
                    raise
                backoff = backoff or Backoff(self._terms.reconnect_for)
                backoff.failed(err)

    async def _over_one_connection(self) -> AsyncGenerator[T, None]:
        body = request_body(self._operation, self._args, self._options, self._defaults)
        frames = frames_of(self._terms, _wire.frame(Kind.REQUEST, self._operation.number, 1, body))
        try:
            async for kind, found in frames:
                if kind == Kind.STREAM_ITEM:
                    value = _wire.member(found, "ok")
                    item = read_answer(self._operation, value)
                    if self._can_resume:
                        self._args = {**self._args, "since": value["seq"]}
                    yield item
                elif kind == Kind.STREAM_BEGUN:
                    self._is_begun = True
                    self._args = _wire.member(found, "args")
                elif kind == Kind.STREAM_END:
                    return
                elif kind == Kind.REFUSED:
                    raise _wire.refusal(found, self._operation.name)
                else:
                    raise ProtocolError(f"the daemon sent an unexpected frame of kind {kind}")
        finally:
            await frames.aclose()
