"""The fixtures of pytest: `enrolld_socket` and `enrolld_client`, with an empty registry for each test, and
`enrolld_session_socket`, with one for all tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ._client import Client
from .testing import sandbox


@pytest.fixture
def enrolld_socket() -> Iterator[Path]:
    """The socket of a private daemon with an empty registry."""
    with sandbox() as socket:
        yield socket


@pytest.fixture
def enrolld_client(enrolld_socket: Path) -> Iterator[Client]:
    """A client of a private daemon with an empty registry."""
    with Client(enrolld_socket) as client:
        yield client


@pytest.fixture(scope="session")
def enrolld_session_socket() -> Iterator[Path]:
    """The socket of a private daemon that all tests of a worker share."""
    with sandbox() as socket:
        yield socket
