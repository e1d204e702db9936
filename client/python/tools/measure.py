#!/usr/bin/env python3
"""Measures three transports from one asyncio process: JSON on the socket, bincode read by Python, and a child process.

    enrollctl sandbox -- client/python/tools/measure.py

For each it tells calls a second of 64 tasks that read a person, the milliseconds of a lone call, and the CPU time of a
call on the client's side, its child's included. JSON is measured by the whole client; the other two do less than a
client must: they know one operation, no options, no deadlines and no reconnection. Rounds are in turn, and ratios are
of the same round.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import struct
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

import enrolld
from enrolld._wire import Frames, Kind, frame

CALLSIGN = "DOGGO01a"
TASKS, CALLS, LONE_CALLS, ROUNDS = 64, 12_800, 1_000, 5
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Call = Callable[[], Awaitable[enrolld.Person]]


class Reader:
    """Reads bincode."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def number(self) -> int:
        first = self.data[self.at]
        self.at += 1
        if first <= 250:
            return first
        width = {251: 2, 252: 4, 253: 8}[first]
        self.at += width
        return int.from_bytes(self.data[self.at - width : self.at], "little")

    def text(self) -> str:
        length = self.number()
        self.at += length
        return self.data[self.at - length : self.at].decode()

    def pk(self) -> str:
        self.at += 16
        text = self.data[self.at - 16 : self.at].hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def time(self) -> datetime:
        folded = self.number()
        return EPOCH + timedelta(microseconds=(folded >> 1) ^ -(folded & 1))

    def flag(self) -> bool:
        self.at += 1
        return self.data[self.at - 1] == 1

    def person(self) -> enrolld.Person:
        pk, callsign, extra = self.pk(), self.text(), json.loads(self.text())
        roles = [self.text() for _ in range(self.number())]
        supervisor = self.pk() if self.flag() else None
        certificate = self.flag()
        assert not self.flag(), "the person was not revoked"
        created, updated = self.time(), self.time()
        deleted = self.time() if self.flag() else None
        return enrolld.Person(
            pk=pk,
            callsign=callsign,
            extra=extra,
            roles=roles,
            supervisor=supervisor,
            certificate=certificate,
            revocation=None,
            created=created,
            updated=updated,
            deleted=deleted,
        )


class Bincode(asyncio.Protocol):
    """The binary wire, for one operation."""

    def __init__(self) -> None:
        self.frames, self.waiting, self.last, self.out = Frames(), dict[int, asyncio.Future[bytes]](), 0, list[bytes]()
        self.welcomed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(frame(Kind.HELLO, 0, 0, b"enrolld\0" + struct.pack("BB", 3, 7) + b"measure"))

    def data_received(self, data: bytes) -> None:
        for kind, number, body in self.frames.feed(data):
            if kind == Kind.WELCOME:
                self.welcomed.set_result(None)
            else:
                self.waiting.pop(number).set_result(body)

    async def call(self) -> enrolld.Person:
        name = CALLSIGN.encode()
        self.last += 1
        if not self.out:
            asyncio.get_running_loop().call_soon(self.flush)
        self.out.append(frame(Kind.REQUEST, 2, self.last, b"\0\0\0\0\0" + bytes([len(name)]) + name + b"\0"))
        answer = self.waiting[self.last] = asyncio.get_running_loop().create_future()
        return Reader(await answer).person()

    def flush(self) -> None:
        self.transport.write(b"".join(self.out))
        self.out.clear()


class Child:
    """`enrollctl call`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin and process.stdout
        self.process, self.stdin, self.stdout = process, process.stdin, process.stdout
        self.waiting: deque[asyncio.Future[bytes]] = deque()
        self.reader = asyncio.create_task(self.read())

    async def read(self) -> None:
        while line := await self.stdout.readline():
            self.waiting.popleft().set_result(line)

    async def call(self) -> enrolld.Person:
        self.stdin.write(json.dumps({"op": "person.get", "args": {"person": CALLSIGN}}).encode() + b"\n")
        answer = asyncio.get_running_loop().create_future()
        self.waiting.append(answer)
        return enrolld.Person.from_json(json.loads(await answer)["ok"])


def cpu_of(pid: int | None) -> float:
    """Seconds of CPU that this process and a child have taken."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    seconds = own.ru_utime + own.ru_stime
    if pid:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


async def measured(call: Call, pid: int | None) -> tuple[float, float, float]:
    """Calls a second, milliseconds of a lone call, microseconds of CPU of a call."""

    async def task() -> None:
        for _ in range(CALLS // TASKS):
            assert (await call()).callsign == CALLSIGN

    cpu, begun = cpu_of(pid), time.perf_counter()
    await asyncio.gather(*[task() for _ in range(TASKS)])
    rate, cpu = CALLS / (time.perf_counter() - begun), cpu_of(pid) - cpu
    lone = []
    for _ in range(LONE_CALLS):
        begun = time.perf_counter()
        await call()
        lone.append(time.perf_counter() - begun)
    return rate, statistics.median(lone) * 1e3, cpu / CALLS * 1e6


async def main() -> None:
    """Measures all of them, in turn."""
    socket = str(enrolld.default_socket())
    async with enrolld.AsyncClient(socket) as client:
        await client.person.create(CALLSIGN, extra={"team": "red"}, roles=["member"])
        _, bincode = await asyncio.get_running_loop().create_unix_connection(Bincode, socket)
        await bincode.welcomed
        pipe = asyncio.subprocess.PIPE
        child = Child(
            await asyncio.create_subprocess_exec("enrollctl", "--socket", socket, "call", stdin=pipe, stdout=pipe)
        )
        assert await bincode.call() == await child.call() == await client.person.get(CALLSIGN)
        ways: dict[str, tuple[Call, int | None]] = {
            "JSON on the socket": (lambda: client.person.get(CALLSIGN), None),
            "bincode in Python": (bincode.call, None),
            "enrollctl call": (child.call, child.process.pid),
        }
        results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, (call, pid) in ways.items():
                results[name].append(await measured(call, pid))
        child.reader.cancel()
        child.stdin.close()
        await child.process.wait()
    base = results["JSON on the socket"]
    for name, rounds in results.items():
        rate, lone, cpu = (statistics.median(values) for values in zip(*rounds, strict=True))
        ratio = statistics.median(other[0] / one[0] for one, other in zip(base, rounds, strict=True))
        told: Any = f"{name:20} {rate:8.0f} calls/s (x {ratio:.2f})  lone call {lone:.3f} ms  CPU {cpu:5.1f} us/call"
        print(told)
    print("load of the machine:", *os.getloadavg())


if __name__ == "__main__":
    asyncio.run(main())
