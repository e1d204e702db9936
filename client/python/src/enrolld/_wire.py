"""The wire without I/O (sans-I/O): frames, bodies in JSON, and the pipeline of open requests.

An answer finds its caller by its id. A request is open from its call to its answer, across connections: a lost
connection and a `busy` answer make it unsent again. Unsent requests are sent in the order of their ids, which is the
order of the calls. One whose caller has gone keeps its id until its answer has come and is dropped.
"""

from __future__ import annotations

import enum
import heapq
import json
import os
import random
import struct
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol

from ._errors import EnrolldError, ProtocolError, Refused
from ._refusals import REFUSALS, TooLarge
from ._values import Named

PROTOCOL_VERSION = 4
IN_FLIGHT_MAX = 256
"""Requests in flight on one connection: the daemon reads no further until answers have left."""
FRAME_BYTES_MAX = 1 << 20
"""The largest request, until the welcome names another bound."""
ANSWER_TIMES = 4
"""The largest answer, as a multiple of the largest request."""
TURN_BYTES_MAX = 128 << 10
"""Bytes that are written at once, unless a request is larger."""
BUSY_WAIT = 0.05
"""Seconds of the pause after a `busy` that names none."""

_HEADER = struct.Struct(">IBHQ")
_HEADER_BYTES = 11


class Kind(enum.IntEnum):
    """The kind of a frame."""

    HELLO = 1
    WELCOME = 2
    REQUEST = 3
    REPLY = 4
    REFUSED = 5
    STREAM_ITEM = 6
    STREAM_END = 7
    STREAM_BEGUN = 8


class Step(enum.Enum):
    """The effect of a frame on the connection."""

    ANSWERED = 1
    """A request was answered."""
    AGAIN = 2
    """A request is sent again after the pause."""
    LOST = 3
    """The connection has ended; the open requests are sent over the next one."""


def _plain(value: object) -> object:
    if isinstance(value, Named):
        return {value.kind: value.name}
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time needs a time zone, such as datetime.timezone.utc")
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(
        f"{type(value).__name__} has no JSON; give text, numbers, booleans, None, lists and mappings of them"
    )


_encode = json.JSONEncoder(
    default=_plain, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
).encode


def frame(kind: Kind, operation: int, number: int, body: bytes) -> bytes:
    """A frame."""
    return _HEADER.pack(_HEADER_BYTES + len(body), kind, operation, number) + body


def hello(client: str) -> bytes:
    """The first frame of a connection in JSON."""
    text = _encode({"magic": "enrolld", "protocol": PROTOCOL_VERSION, "client": client})
    return frame(Kind.HELLO, 0, 0, text.encode())


def body(members: Mapping[str, Any]) -> bytes:
    """The body of a request."""
    try:
        return _encode(members).encode()
    except UnicodeEncodeError as err:
        raise ValueError("a text has half a character (a lone surrogate), which has no UTF-8") from err


def new_key() -> str:
    """A new idempotency key: a UUID of version 7, so that keys ascend."""
    micros = time.time_ns() // 1000
    millis, part = divmod(micros, 1000)
    low = int.from_bytes(os.urandom(8), "big") >> 2
    text = f"{(millis << 80) | (0x7000 + part * 4) << 64 | (0b10 << 62) | low:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Frames:
    """The read buffer of a connection, which turns bytes into frames. A length is checked before its bytes arrive."""

    __slots__ = ("_bytes", "bytes_max")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.bytes_max = FRAME_BYTES_MAX * 16

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Kind, id and body of each frame that is complete with these bytes."""
        buffer = self._bytes
        buffer += data
        start, end = 0, len(buffer)
        try:
            while end - start >= 15:
                length, kind, _, number = _HEADER.unpack_from(buffer, start)
                if not _HEADER_BYTES <= length <= self.bytes_max:
                    raise ProtocolError(f"the daemon sent a frame of {length} bytes")
                stop = start + 4 + length
                if stop > end:
                    break
                found = bytes(buffer[start + 15 : stop])
                start = stop
                yield kind, number, found
        finally:
            del buffer[:start]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    if first <= 250:
        return first, at + 1
    width = {251: 2, 252: 4}[first]
    return int.from_bytes(data[at + 1 : at + 1 + width], "little"), at + 1 + width


def _compact_refusal(data: bytes) -> tuple[str, str, dict[str, Any]]:
    """A refusal in bincode: a connection that is refused before its hello was read has not chosen JSON yet."""
    code, at = _varint(data, 0)
    length, at = _varint(data, at)
    message, at = data[at : at + length].decode(), at + length
    details: dict[str, Any] = {}
    if data[at] == 1:
        length, at = _varint(data, at + 1)
        details = json.loads(data[at : at + length])
    names = list(REFUSALS)
    return (names[code - 1] if 0 < code <= len(names) else f"code_{code}"), message, details


def refusal(data: bytes, operation: str = "") -> Refused:
    """The exception of a refusal's body."""
    try:
        if data[:1] == b"{":
            error = json.loads(data)["error"]
            code, message, details = error["code"], error["message"], error.get("details")
        else:
            code, message, details = _compact_refusal(data)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as err:
        raise ProtocolError(f"the daemon sent a refusal that can not be read: {err}") from None
    return REFUSALS.get(code, Refused)(message, code=code, operation=operation, details=details)


def member(data: bytes, name: str) -> Any:
    """The only member of an answer's body."""
    try:
        return json.loads(data)[name]
    except (ValueError, KeyError, TypeError) as err:
        raise ProtocolError(f"the daemon sent an answer that can not be read: {err}") from None


def welcome(data: bytes) -> int:
    """The largest request that the daemon of this welcome takes, in bytes."""
    try:
        found = json.loads(data)
        protocol, daemon, bytes_max = found["protocol"], found["daemon"], found["frame_bytes_max"]
    except (ValueError, KeyError, TypeError):
        raise ProtocolError("what answers is not enrolld: its welcome can not be read") from None
    if protocol != PROTOCOL_VERSION:
        raise ProtocolError(
            f"what answers is enrolld {daemon} with protocol {protocol}; this client speaks {PROTOCOL_VERSION}"
        )
    return int(bytes_max)


class Answer(Protocol):
    """The place of an answer: a future of asyncio or of a thread."""

    def done(self) -> bool:
        """True once there is an answer, or nobody waits for it."""
        ...

    def set_result(self, result: Any, /) -> None:
        """Answers."""

    def set_exception(self, exception: BaseException, /) -> None:
        """Fails."""


class Call:
    """A request and the place of its answer."""

    __slots__ = ("answer", "busy_since", "frame", "is_sent", "number", "operation")

    def __init__(self, operation: str, number: int, data: bytes, answer: Answer) -> None:
        self.operation = operation
        self.number = number
        self.frame = data
        self.answer = answer
        self.is_sent = False
        self.busy_since: float | None = None

    def succeed(self, result: Any) -> None:
        """Answers, if somebody waits."""
        try:
            if not self.answer.done():
                self.answer.set_result(result)
        except Exception:
            # A future of a thread may be canceled meanwhile.
            if not self.answer.done():
                raise

    def fail(self, error: BaseException) -> None:
        """Fails, if somebody waits."""
        try:
            if not self.answer.done():
                self.answer.set_exception(error)
        except Exception:
            if not self.answer.done():
                raise


class Pipeline:
    """The open requests of a client."""

    def __init__(self, busy_for: float) -> None:
        self._open: dict[int, Call] = {}
        self._unsent: list[int] = []
        self._in_flight = 0
        self._last = 0
        self._busy_for = busy_for
        self.paused_until: float | None = None
        """The end of a pause after `busy`. It holds back all requests, so that none overtakes the refused one."""
        self.bytes_max = FRAME_BYTES_MAX

    def __len__(self) -> int:
        return len(self._open)

    def add(self, operation: str, number: int, data: bytes, answer: Answer) -> None:
        """Adds a request with this body."""
        self._last += 1
        call = Call(operation, self._last, frame(Kind.REQUEST, number, self._last, data), answer)
        self._open[self._last] = call
        heapq.heappush(self._unsent, self._last)

    def fill(self, now: float) -> bytes:
        """The frames that may be sent now."""
        if self.paused_until is not None:
            if now < self.paused_until:
                return b""
            self.paused_until = None
        frames: list[bytes] = []
        size = 0
        while self._unsent and self._in_flight < IN_FLIGHT_MAX and size < TURN_BYTES_MAX:
            call = self._open[heapq.heappop(self._unsent)]
            if call.answer.done():
                del self._open[call.number]
            elif len(call.frame) - 4 > self.bytes_max:
                del self._open[call.number]
                why = f"the request takes {len(call.frame) - 4} bytes; the daemon takes at most {self.bytes_max}"
                call.fail(TooLarge(why, code="too_large", operation=call.operation))
            else:
                call.is_sent = True
                self._in_flight += 1
                size += len(call.frame)
                frames.append(call.frame)
        return b"".join(frames)

    def has_unsent(self) -> bool:
        """True if a request waits to be sent, and one more may be in flight."""
        return bool(self._unsent) and self._in_flight < IN_FLIGHT_MAX

    def take(self, kind: int, number: int, data: bytes, now: float) -> Step:
        """Handles a frame. An error ends the connection, and the open requests fail with it."""
        if kind == Kind.REPLY:
            call = self._remove(number)
            try:
                call.succeed(member(data, "ok"))
            except ProtocolError as err:
                call.fail(err)
            return Step.ANSWERED
        if kind != Kind.REFUSED:
            raise ProtocolError(f"the daemon sent an unexpected frame of kind {kind}")
        found = self._open.get(number)
        error = refusal(data, found.operation if found else "")
        if number == 0 and error.code not in ("busy", "shutting_down", "outcome_unknown"):
            raise error
        if number == 0 or error.code in ("shutting_down", "outcome_unknown"):
            # Sent again under its idempotency key, a request gets its outcome.
            return Step.LOST
        if error.code == "busy" and found and self._is_again(found, error, now):
            return Step.AGAIN
        self._remove(number).fail(error)
        return Step.ANSWERED

    def lost(self) -> None:
        """Handles a lost connection: requests that are still awaited become unsent."""
        self._open = {number: call for number, call in self._open.items() if not call.answer.done()}
        for call in self._open.values():
            call.is_sent = False
        self._unsent = sorted(self._open)
        self._in_flight = 0
        self.paused_until = None

    def fail_all(self, error: EnrolldError) -> None:
        """Answers all open requests with this error."""
        calls = list(self._open.values())
        self._open, self._unsent, self._in_flight, self.paused_until = {}, [], 0, None
        for call in calls:
            call.fail(error)

    def is_awaited(self) -> bool:
        """True if somebody waits for an answer."""
        return any(not call.answer.done() for call in self._open.values())

    def _is_again(self, call: Call, error: Refused, now: float) -> bool:
        wait = error.retry_after
        wait = min(BUSY_WAIT if wait is None else wait, self._busy_for) * (1 + random.random() / 2)
        if call.busy_since is None:
            call.busy_since = now
        if now + wait > call.busy_since + self._busy_for:
            return False
        if call.is_sent:
            call.is_sent = False
            self._in_flight -= 1
            heapq.heappush(self._unsent, call.number)
        self.paused_until = max(self.paused_until or 0.0, now + wait)
        return True

    def _remove(self, number: int) -> Call:
        call = self._open.pop(number, None)
        if call is None:
            raise ProtocolError(f"the daemon answered request {number}, which is not open")
        if call.is_sent:
            self._in_flight -= 1
        return call
