"""A daemon that does what a test says, and a proxy in front of a real one."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from enrolld._wire import Frames, Kind, frame

WELCOME: dict[str, Any] = {
    "protocol": 4,
    "daemon": "9.9.9",
    "grant": "admin",
    "frame_bytes_max": 1 << 20,
    "later": [1],
}

Answer = Callable[["Session", int, dict[str, Any]], Awaitable[None]]


class Session:
    """A connection of the fake daemon."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, kind: Kind, number: int, body: Any) -> None:
        """Sends a frame."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.writer.write(frame(kind, 0, number, data))

    def reply(self, number: int, value: Any) -> None:
        self.send(Kind.REPLY, number, {"ok": value})

    def refuse(self, number: int, code: str, **details: Any) -> None:
        self.send(Kind.REFUSED, number, {"error": {"code": code, "message": f"it is {code}", "details": details}})


@asynccontextmanager
async def fake_daemon(answer: Answer, hello: bytes | None = None) -> AsyncIterator[Path]:
    """Listens; every request is given to `answer`. With `hello`, that is said to every client in place of a welcome."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session, frames = Session(reader, writer), Frames()
        try:
            while data := await reader.read(1 << 16):
                for kind, number, body in frames.feed(data):
                    if kind == Kind.HELLO and hello is not None:
                        writer.write(hello)
                        await writer.drain()
                        return
                    if kind == Kind.HELLO:
                        session.send(Kind.WELCOME, 0, WELCOME)
                    else:
                        await answer(session, number, json.loads(body))
        except ConnectionError:
            pass
        finally:
            writer.close()

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "fake.sock"
        async with await asyncio.start_unix_server(serve, path):
            yield path


class Proxy:
    """Passes bytes on to a daemon and back, late and in small pieces; its connections can be cut."""

    def __init__(self, daemon: Path) -> None:
        self.daemon = daemon
        self.connections = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        back, forth = await asyncio.open_unix_connection(self.daemon)
        self._writers |= {writer, forth}
        tasks = [asyncio.create_task(self._pass_on(reader, forth)), asyncio.create_task(self._pass_on(back, writer))]
        self._tasks.update(tasks)
        await asyncio.gather(*tasks, return_exceptions=True)

    def cut(self) -> None:
        """Cuts every connection, wherever a frame may be."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(random.randint(1, 1 << 14)):
                if random.random() < 0.2:
                    await asyncio.sleep(random.random() / 500)
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def proxy(daemon: Path) -> AsyncIterator[tuple[Proxy, Path]]:
    """A proxy and its socket."""
    found = Proxy(daemon)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "proxy.sock"
        async with await asyncio.start_unix_server(found.serve, path):
            yield found, path
            found.cut()
