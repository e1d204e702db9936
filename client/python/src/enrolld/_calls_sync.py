"""The calls of a synchronous client, which all threads share one connection for.

An event loop in a thread of its own owns the connection, so that pipeline, deadlines and reconnection are those of the
asynchronous client. A call hands its encoded request over and waits for a future of its own; it makes no task.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import weakref
from collections.abc import Coroutine, Mapping
from typing import Any, Generic, TypeVar

from . import _calls, _fork
from ._calls import late, read_answer, request_body
from ._connection import Connection, Terms
from ._operation import Operation, Options, check
from ._pages_sync import Pages

T = TypeVar("T")

__all__ = ["Calls", "Pages", "Shared", "Stream"]


class _Loop:
    """An event loop in a thread of its own, with a connection."""

    def __init__(self, terms: Terms) -> None:
        self.loop = asyncio.new_event_loop()
        self.connection = Connection(terms, self.loop)
        self._thread = threading.Thread(target=self._run, name="enrolld", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.loop.run_forever()
            self.loop.run_until_complete(self.connection.close())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        finally:
            self.loop.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine in the loop and waits for it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """Ends the connection and the thread."""
        if self._thread.is_alive() and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.loop.stop)
            if threading.current_thread() is not self._thread:
                self._thread.join()


class Shared:
    """The loop that a client and its copies share. It is started by the first call."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self._lock = threading.Lock()
        self._loop: _Loop | None = None
        self._end: Any = None
        _fork.register(self)

    def loop(self) -> _Loop:
        """The loop of this process."""
        found = self._loop
        if found is None:
            with self._lock:
                found = self._loop
                if found is None:
                    found = self._loop = _Loop(self.terms)
                    self._end = weakref.finalize(self, _Loop.stop, found)
        return found

    def close(self) -> None:
        """Ends the connection; the next call makes another one."""
        with self._lock:
            found, self._loop = self._loop, None
        if found:
            self._end.detach()
            found.stop()

    def after_fork(self) -> object:
        """Begins afresh in a child, where the thread is not."""
        inherited, self._loop, self._lock = self._loop, None, threading.Lock()
        if self._end:
            self._end.detach()
        return inherited


class Calls:
    """The calls of a client."""

    def __init__(self, shared: Shared, options: Options) -> None:
        check(options, "a client")
        self._shared = shared
        self._options = options

    @property
    def _calls(self) -> Calls:
        return self

    def call(self, operation: Operation[T], args: Mapping[str, Any], options: Options) -> T:
        """Sends a request and waits for its answer."""
        body = request_body(operation, args, options, self._options)
        found = self._shared.loop()
        answer: concurrent.futures.Future[Any] = concurrent.futures.Future()
        found.loop.call_soon_threadsafe(found.connection.send, operation.name, operation.number, body, answer)
        timeout = options.get("timeout", self._options.get("timeout"))
        try:
            value = answer.result(timeout)
        except concurrent.futures.TimeoutError:
            if not answer.cancel() and not answer.done():
                raise
            if not answer.cancelled():
                return read_answer(operation, answer.result())
            raise late(operation, timeout or 0.0) from None
        except BaseException:
            # Such as an interrupt: the answer is dropped when it comes.
            answer.cancel()
            raise
        return read_answer(operation, value)

    def pages(self, operation: Operation[T], args: dict[str, Any], options: Options) -> Pages[T]:
        """A list."""
        return Pages(self, operation, args, options)

    def stream(self, operation: Operation[T], args: dict[str, Any], options: Options) -> Stream[T]:
        """A stream of changes."""
        return Stream(self._shared, operation, args, options, self._options, can_resume=True)

    def walk(self, operation: Operation[T], args: dict[str, Any], options: Options) -> Stream[T]:
        """A stream of items from one state."""
        return Stream(self._shared, operation, args, options, self._options, can_resume=False)


class Stream(Generic[T]):
    """Items over a connection of their own; see `AsyncStream`."""

    def __init__(
        self,
        shared: Shared,
        operation: Operation[T],
        args: dict[str, Any],
        options: Options,
        defaults: Options,
        *,
        can_resume: bool,
    ) -> None:
        self._shared = shared
        self._stream = _calls.AsyncStream(shared.terms, operation, args, options, defaults, can_resume=can_resume)

    def __iter__(self) -> Stream[T]:
        return self

    def __next__(self) -> T:
        try:
            return self._shared.loop().run(self._next())
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self) -> Stream[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the stream."""
        self._shared.loop().run(self._stream.aclose())

    async def _next(self) -> T:
        return await anext(self._stream)
