"""The connection: answers at their callers, deadlines, cancellation, reconnection, `busy`, other versions, forks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fake_daemon import Session, fake_daemon, proxy
from running import asynchronous

import enrolld
from enrolld._wire import Kind, frame, new_key

CANCELLATIONS = 10_000

PERSON: dict[str, Any] = {
    "pk": "019aab01-997b-774b-bfff-ffffffffffff",
    "callsign": "DOGGO01a",
    "extra": {},
    "roles": [],
    "supervisor": None,
    "certificate": False,
    "revocation": None,
    "created": "2026-01-01T00:00:00Z",
    "updated": "2026-01-01T00:00:00Z",
    "deleted": None,
}


@asynchronous
async def test_no_answer_reaches_another_caller_after_many_cancellations(enrolld_socket: Path) -> None:
    names = [f"DOG{number:02}" for number in range(64)]
    async with proxy(enrolld_socket) as (_, path), enrolld.AsyncClient(path) as client:
        for name in names:
            await client.person.create(name)
        canceled = answered = 0

        async def caller(name: str) -> None:
            nonlocal canceled, answered
            while canceled < CANCELLATIONS:
                task = asyncio.create_task(client.person.get(name))
                if random.random() < 0.9:
                    # Within the second turn it is on its way.
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                    await asyncio.sleep(random.random() / 200)
                    task.cancel()
                try:
                    person = await task
                except asyncio.CancelledError:
                    canceled += 1
                else:
                    answered += 1
                    assert person.callsign == name

        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(caller(name))
        assert canceled >= CANCELLATIONS and answered > CANCELLATIONS / 100
        connection = client._shared.connection()
        await client.server.status()
        assert len(connection.pipeline) == 0, "every place was given back"


@asynchronous
async def test_the_key_of_a_canceled_write_tells_what_became_of_it(enrolld_socket: Path) -> None:
    async with proxy(enrolld_socket) as (slow, path), enrolld.AsyncClient(path) as client:
        for number in range(40):
            key, name = new_key(), f"DOG{number:02}"
            task = asyncio.create_task(client.person.create(name, idempotency_key=key))
            await asyncio.sleep(random.random() / 200)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            if number % 10 == 9:
                slow.cut()
            person = await client.person.create(name, idempotency_key=key)
            assert person.callsign == name
        assert len(await client.person.list().all()) == 40


@asynchronous
async def test_a_lost_connection_is_found_again_and_no_write_is_done_twice(enrolld_socket: Path) -> None:
    async with proxy(enrolld_socket) as (cutting, path), enrolld.AsyncClient(path) as client:
        names = [f"DOG{number:03}" for number in range(400)]
        for some in range(0, 400, 20):
            asked = [asyncio.create_task(client.person.create(name)) for name in names[some : some + 20]]
            await asyncio.sleep(random.random() / 200)
            cutting.cut()
            assert [person.callsign for person in await asyncio.gather(*asked)] == names[some : some + 20]
        assert cutting.connections > 10
        assert [person.callsign for person in await client.person.list().all()] == names, "in the order of the calls"


@asynchronous
async def test_a_stream_goes_on_after_a_lost_connection(enrolld_socket: Path) -> None:
    async with proxy(enrolld_socket) as (cutting, path), enrolld.AsyncClient(path) as client:
        seen: list[int] = []
        async with client.changes.follow(since=0) as changes:
            for number in range(60):
                await client.person.create(f"DOG{number:02}")
                if number % 7 == 3:
                    cutting.cut()
                seen.append((await anext(changes)).seq)
        assert seen == list(range(1, 61))


@asynchronous
async def test_a_deadline_is_kept_and_a_late_answer_is_dropped() -> None:
    late: list[int] = []

    async def answer(session: Session, number: int, body: dict[str, Any]) -> None:
        late.append(number)
        if len(late) == 2:
            session.reply(late[0], "late")
            session.reply(late[1], "its own")

    async with fake_daemon(answer) as path, enrolld.AsyncClient(path) as client:
        begun = time.monotonic()
        with pytest.raises(enrolld.DeadlineExceeded) as caught:
            await client.server.metrics(timeout=0.1)
        assert 0.09 < time.monotonic() - begun < 5
        assert isinstance(caught.value, TimeoutError) and caught.value.http_status == 504
        assert await client.server.metrics(timeout=5) == "its own"


@asynchronous
async def test_busy_is_asked_again_in_the_order_of_the_calls() -> None:
    taken: list[str] = []
    is_busy = True

    async def answer(session: Session, number: int, body: dict[str, Any]) -> None:
        nonlocal is_busy
        if is_busy:
            is_busy = False
            session.refuse(number, "busy", retry_after_ms=50)
            return
        taken.append(body["args"]["callsign"])
        session.reply(number, {**PERSON, "callsign": body["args"]["callsign"]})

    async with fake_daemon(answer) as path, enrolld.AsyncClient(path) as client:
        first = asyncio.create_task(client.person.create("A"))
        await asyncio.sleep(0.02)
        await asyncio.gather(first, client.person.create("B"), client.person.create("C"))
        assert taken == ["A", "B", "C"]

    async def never(session: Session, number: int, body: dict[str, Any]) -> None:
        session.refuse(number, "busy", retry_after_ms=20)

    async with fake_daemon(never) as path, enrolld.AsyncClient(path, busy_for=0.2) as client:
        with pytest.raises(enrolld.Busy) as caught:
            await client.server.metrics()
        assert caught.value.retry_after == 0.02 and caught.value.http_status == 503


@asynchronous
async def test_a_newer_daemon_is_understood() -> None:
    async def answer(session: Session, number: int, body: dict[str, Any]) -> None:
        if body["args"].get("person") == "X":
            session.refuse(number, "out_of_cheese", shelf=7)
            return
        newer = {"reason": "eaten_by_a_grue", "at": "2026-01-01T00:00:00Z", "by": 7}
        session.reply(number, {**PERSON, "revocation": newer, "mood": "fine"})

    async with fake_daemon(answer) as path, enrolld.AsyncClient(path) as client:
        person = await client.person.get("DOGGO01a")
        assert person.revocation is not None and person.revocation.reason == "eaten_by_a_grue"
        with pytest.raises(enrolld.Refused) as caught:
            await client.person.get("X")
        refused = caught.value
        assert type(refused) is enrolld.Refused and refused.code == "out_of_cheese" and refused.details == {"shelf": 7}


@asynchronous
async def test_an_older_daemon_and_one_that_refuses_the_connection_are_told_in_words() -> None:
    async def answer(session: Session, number: int, body: dict[str, Any]) -> None:
        raise AssertionError("nothing is asked")

    def compact(code: int, message: str, details: str = "") -> bytes:
        told = bytes([1, len(details)]) + details.encode() if details else b"\0"
        return frame(Kind.REFUSED, 0, 0, bytes([code, len(message)]) + message.encode() + told)

    for hello, error, words in [
        (compact(3, "this is enrolld; a client says hello first"), enrolld.ProtocolError, "upgrade it"),
        (compact(4, "uid 7 has no grant here"), enrolld.PermissionDenied, "no grant"),
        (compact(9, "no room", '{"retry_after_ms":10}'), enrolld.Busy, "no room"),
        (frame(Kind.WELCOME, 0, 0, b'{"protocol":5,"daemon":"7","frame_bytes_max":9}'), enrolld.ProtocolError, "5"),
        (frame(Kind.WELCOME, 0, 0, b"?"), enrolld.ProtocolError, "not enrolld"),
        (frame(Kind.REPLY, 0, 1, b"{}"), enrolld.ProtocolError, "not enrolld"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", enrolld.ProtocolError, "bytes"),
        (b"", enrolld.Unavailable, "without a word"),
    ]:
        async with fake_daemon(answer, hello) as path:
            client = enrolld.AsyncClient(path, reconnect_for=0.3)
            with pytest.raises(error, match=words):
                await client.server.metrics()


@asynchronous
async def test_answers_that_can_not_be_read_fail_their_own_call() -> None:
    async def answer(session: Session, number: int, body: dict[str, Any]) -> None:
        person = body["args"].get("person")
        if person == "text":
            session.send(Kind.REPLY, number, b"{")
        elif person == "other":
            session.reply(number, {"pk": 7})
        elif person == "foreign":
            session.reply(number + 7, PERSON)
        else:
            session.reply(number, PERSON)

    async with fake_daemon(answer) as path, enrolld.AsyncClient(path) as client:
        for person in ("text", "other", "foreign"):
            with pytest.raises(enrolld.ProtocolError):
                await client.person.get(person)
            assert (await client.person.get("DOGGO01a")).callsign == "DOGGO01a"


@asynchronous
async def test_a_daemon_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    client = enrolld.AsyncClient(tmp_path / "none.sock")
    begun = time.monotonic()
    with pytest.raises(enrolld.Unavailable, match=r"none\.sock"):
        await client.server.status()
    assert time.monotonic() - begun < 1
    with pytest.raises(enrolld.InvalidArgument, match="107 bytes"):
        await enrolld.AsyncClient(tmp_path / ("x" * 200)).connect()
    with pytest.raises(enrolld.Unavailable, match="nobody-of-this-name"):
        async with fake_daemon(_never) as path:
            await enrolld.AsyncClient(path, require_peer="nobody-of-this-name").connect()


async def _never(session: Session, number: int, body: dict[str, Any]) -> None:
    raise AssertionError("nothing is asked")


@asynchronous
async def test_what_can_not_be_sent_is_refused_before_it_is_sent(enrolld_socket: Path) -> None:
    async with enrolld.AsyncClient(enrolld_socket) as client:
        with pytest.raises(enrolld.TooLarge):
            await client.person.create("DOGGO01a", extra={"text": "x" * (2 << 20)})
        with pytest.raises(ValueError, match="half a character"):
            await client.person.create("\ud800")
        with pytest.raises(ValueError):
            await client.person.create("DOGGO01a", extra={"n": float("nan")})
        with pytest.raises(TypeError):
            await client.person.create("DOGGO01a", extra={"n": object()})
        await client.person.create("DOGGO01a")


def test_a_client_belongs_to_one_event_loop(enrolld_socket: Path) -> None:
    client = enrolld.AsyncClient(enrolld_socket)

    async def ask() -> None:
        await client.server.status()

    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    first.run_until_complete(ask())
    with pytest.raises(RuntimeError, match="another event loop"):
        second.run_until_complete(ask())
    first.run_until_complete(client.aclose())
    second.run_until_complete(ask())
    second.run_until_complete(client.aclose())
    first.close()
    second.close()


def _in_child(run: Any) -> int:
    """The exit code of a child that runs this."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            run()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_child_begins_afresh_and_leaves_its_parents_connection_alone(enrolld_socket: Path) -> None:
    with enrolld.Client(enrolld_socket) as client:
        client.person.create("DOGGO01a")
        assert all(_in_child(lambda: client.person.get("DOGGO01a")) == 0 for _ in range(3))
        assert client.person.get("DOGGO01a").callsign == "DOGGO01a"

        def close() -> None:
            client.close()
            client.person.get("DOGGO01a")

        assert _in_child(close) == 0
        assert client.person.get("DOGGO01a").callsign == "DOGGO01a"


@asynchronous
async def test_a_child_of_a_loop_begins_afresh_in_a_loop_of_its_own(enrolld_socket: Path) -> None:
    async with enrolld.AsyncClient(enrolld_socket) as client:
        await client.person.create("DOGGO01a")

        def child() -> None:
            asyncio.events._set_running_loop(None)

            async def ask() -> None:
                for _ in range(10):
                    await client.person.get("DOGGO01a")

            asyncio.run(ask())

        for _ in range(3):
            assert _in_child(child) == 0
            assert (await client.person.get("DOGGO01a", timeout=5)).callsign == "DOGGO01a"


def test_threads_share_one_connection(enrolld_socket: Path) -> None:
    with enrolld.Client(enrolld_socket) as client:
        names = [f"DOG{number:02}" for number in range(16)]

        def work(name: str) -> int:
            client.person.create(name)
            with enrolld.origin(name):
                for _ in range(100):
                    assert client.person.get(name).callsign == name
            return client.server.status().connections

        with ThreadPoolExecutor(16) as threads:
            assert set(threads.map(work, names)) == {1}


def test_a_deadline_of_a_thread_is_kept() -> None:
    ready, done = threading.Event(), threading.Event()
    paths: list[Path] = []

    async def silent(session: Session, number: int, body: dict[str, Any]) -> None:
        if body["args"].get("person") == "DOGGO01a":
            session.reply(number, PERSON)

    async def serve() -> None:
        async with fake_daemon(silent) as path:
            paths.append(path)
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(30)
    try:
        with enrolld.Client(paths[0]) as client:
            with pytest.raises(enrolld.DeadlineExceeded):
                client.person.get("X", timeout=0.05)
            assert client.person.get("DOGGO01a", timeout=5).callsign == "DOGGO01a"
    finally:
        done.set()
        thread.join()


def test_a_client_that_was_closed_connects_again(enrolld_socket: Path) -> None:
    client = enrolld.Client(enrolld_socket)
    for _ in range(2):
        assert client.server.status().version == enrolld.__version__
        client.close()
    before = threading.active_count()
    other = enrolld.Client(enrolld_socket)
    other.server.status()
    assert threading.active_count() == before + 1
    del other
    deadline = time.monotonic() + 30
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before, "a client that is gone leaves no thread"


def test_logs_and_errors_tell_no_secret(enrolld_socket: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), enrolld.Client(enrolld_socket) as client:
        code = str(client.code.create({"sub": "X"}).code)
        jwt = str(client.code.use(code).jwt)
        with pytest.raises(enrolld.TokenReuse) as caught:
            client.code.use(code)
        client.token.use("a-token-that-is-secret")
    told = caplog.text + repr(caught.value) + repr(caught.value.__dict__) + repr(client)
    assert "connected" in caplog.text
    assert not any(secret in told for secret in (code, jwt, "a-token-that-is-secret"))


def test_errors_pickle() -> None:
    error = enrolld.TokenReuse("used", code="token_reuse", operation="code.use", details={"retry_after_ms": 1500})
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is enrolld.TokenReuse
    assert (again.code, again.message, again.operation, again.retry_after) == ("token_reuse", "used", "code.use", 1.5)
    late = pickle.loads(pickle.dumps(enrolld.DeadlineExceeded("late")))
    assert isinstance(late, TimeoutError) and str(late) == "late"
    internal = enrolld.Internal("failed", code="internal", details={"id": "7f"})
    assert internal.error_id == "7f" and internal.http_status == 500
