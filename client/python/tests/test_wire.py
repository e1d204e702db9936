"""The wire without I/O, and what needs no daemon."""

from __future__ import annotations

import asyncio
import os
import random
import re
import uuid
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest

import enrolld
from enrolld import _wire
from enrolld._context import current_origin
from enrolld._socket import default_socket
from enrolld._wire import Frames, Kind, frame
from enrolld.asgi import OriginMiddleware

ROOT = Path(__file__).resolve().parents[3]


def test_frames_come_out_whole_wherever_the_bytes_are_cut() -> None:
    whole = (
        frame(Kind.REPLY, 7, 1, b"hello") + frame(Kind.REFUSED, 7, 1 << 63, b"") + frame(Kind.REPLY, 7, 3, b"x" * 99)
    )
    expected = [(4, 1, b"hello"), (5, 1 << 63, b""), (4, 3, b"x" * 99)]
    for cut in range(len(whole) + 1):
        frames = Frames()
        assert [*frames.feed(whole[:cut]), *frames.feed(whole[cut:])] == expected
    frames = Frames()
    assert [found for byte in whole for found in frames.feed(bytes([byte]))] == expected


def test_a_length_out_of_bounds_is_refused_before_its_bytes_arrive() -> None:
    for length in (0, 10, 1 << 31):
        with pytest.raises(enrolld.ProtocolError):
            list(Frames().feed(length.to_bytes(4, "big") + bytes(11)))


def test_bytes_of_a_stranger_are_an_error_of_the_protocol() -> None:
    random.seed(7)
    for _ in range(20_000):
        data = random.randbytes(random.randint(0, 40))
        try:
            _wire.refusal(data)
        except enrolld.ProtocolError:
            pass
        with pytest.raises(enrolld.ProtocolError):
            _wire.welcome(data)


def test_the_golden_frames_are_read_and_written() -> None:
    golden = ROOT / "tests/golden/wire.txt"
    if not golden.exists():
        pytest.skip("SKIPPED: there is no repository around the tests")
    lines = [line.split() for line in golden.read_text().splitlines()]
    frames = {(words[0], words[1]): bytes.fromhex(words[2]) for words in lines if words[1] in ("json", "frame")}
    assert _wire.hello("golden") == frames["hello", "json"]
    [(kind, _, body)] = Frames().feed(frames["welcome", "json"])
    assert (kind, _wire.welcome(body)) == (Kind.WELCOME, 1 << 20)
    for encoding in ("json", "frame"):
        [(kind, number, body)] = Frames().feed(frames["refused", encoding])
        refused = _wire.refusal(body)
        assert (kind, number) == (Kind.REFUSED, 7)
        assert isinstance(refused, enrolld.NotFound) and refused.message == "nobody" and refused.details == {"a": 1}
    [(kind, _, body)] = Frames().feed(frames["reply", "json"])
    assert kind == Kind.REPLY and _wire.member(body, "ok") is True
    [(kind, _, body)] = Frames().feed(frames["begun", "json"])
    assert kind == Kind.STREAM_BEGUN and _wire.member(body, "args") == {"since": 9}


def test_keys_are_uuids_that_ascend() -> None:
    keys = [_wire.new_key() for _ in range(1000)]
    assert len(set(keys)) == 1000
    assert all(uuid.UUID(key).version == 7 and uuid.UUID(key).variant == uuid.RFC_4122 for key in keys)
    assert keys[0][:8] <= keys[-1][:8]


def test_the_socket_is_found_as_by_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ENROLLD_SOCKET", "x.sock")
    assert default_socket() == Path("x.sock")
    monkeypatch.delenv("ENROLLD_SOCKET")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_socket() == Path("/run/enrolld/enrolld.sock")
    monkeypatch.setattr("os.geteuid", lambda: 7)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "enrolld").mkdir()
    (tmp_path / "enrolld/enrolld.sock").touch()
    assert default_socket() == tmp_path / "enrolld/enrolld.sock"


def test_a_home_that_may_not_be_looked_into_has_no_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ENROLLD_SOCKET", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 7)
    monkeypatch.setenv("HOME", str(tmp_path))
    # The unit of a service hides homes from it, and says so.
    stat = os.stat

    def denied(path: Any, *args: Any, **options: Any) -> os.stat_result:
        if str(path).startswith(str(tmp_path)):
            raise PermissionError(path)
        return stat(path, *args, **options)

    monkeypatch.setattr("os.stat", denied)
    found = default_socket()
    monkeypatch.undo()
    system = Path("/run/enrolld/enrolld.sock")
    assert found == (system if system.parent.exists() else tmp_path / ".local/state/enrolld/run/enrolld.sock")


@pytest.mark.parametrize(
    ("option", "error", "word"),
    [
        ({"idempotency_kye": "x"}, TypeError, "idempotency_kye"),
        ({"timeout": True}, TypeError, "seconds"),
        ({"timeout": "2"}, TypeError, "not a str"),
        ({"timeout": -1}, ValueError, "from 0 on"),
        ({"timeout": float("nan")}, ValueError, "nan"),
        ({"timeout": 1e300}, ValueError, "1e"),
        ({"dry_run": "no"}, TypeError, "True or False"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_sent(
    option: dict[str, Any], error: type[Exception], word: str
) -> None:
    client = enrolld.Client("/nowhere/enrolld.sock")
    calls: list[Callable[[], object]] = [
        lambda: client.person.create("DOGGO01a", **option),
        lambda: next(client.changes.follow(**option)),
        lambda: client.person.list(**option).all(),
        lambda: client.with_options(**option),
        lambda: enrolld.Client("/nowhere/enrolld.sock", **option),
    ]
    for call in calls:
        with pytest.raises(error, match=word):
            call()


def test_a_middleware_sets_the_origin_of_a_request() -> None:
    seen: list[str | None] = []

    async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        seen.append(current_origin())

    async def main() -> None:
        served = OriginMiddleware(app)
        scopes: list[dict[str, Any]] = [
            {"type": "http", "client": ["203.0.113.9", 1]},
            {"type": "websocket", "client": ("::1", 2)},
            {"type": "http", "client": None},
            {"type": "lifespan"},
        ]
        await asyncio.gather(*[served(scope, None, None) for scope in scopes])  # type: ignore[arg-type]

    asyncio.run(main())
    assert sorted(seen, key=str) == ["203.0.113.9", "::1", None, None]
    assert current_origin() is None


def test_the_version_is_that_of_the_workspace() -> None:
    cargo = ROOT / "Cargo.toml"
    if not cargo.exists():
        pytest.skip("SKIPPED: there is no repository around the tests")
    workspace = re.search(r'^version = "(.*)"', cargo.read_text(), re.M)
    package = re.search(r'^version = "(.*)"', (ROOT / "client/python/pyproject.toml").read_text(), re.M)
    assert workspace and package and workspace[1] == package[1] == enrolld.__version__
    for name in ("LICENSE-MIT", "LICENSE-APACHE"):
        assert (ROOT / name).read_text() == (ROOT / "client/python" / name).read_text()
