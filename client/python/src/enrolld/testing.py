"""Private daemons for tests: each has an empty registry in a temporary directory, and all of it is gone at the end.

With pytest a test asks for the fixture `enrolld_client` or `enrolld_socket`. Other tests use `sandbox`:

    with enrolld.testing.sandbox() as socket, enrolld.Client(socket) as client:
        client.person.create("DOGGO01a")
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_END_SECONDS = 30


@contextmanager
def sandbox(enrollctl: str | os.PathLike[str] | None = None, args: Sequence[str] = ()) -> Iterator[Path]:
    """Runs a daemon and gives its socket.

    The program is `enrollctl`, `$ENROLLCTL`, or the one in the path; the arguments are those of `enrollctl sandbox`,
    such as `--config`.
    """
    program = str(enrollctl or os.environ.get("ENROLLCTL") or shutil.which("enrollctl") or "")
    if not program:
        raise FileNotFoundError("enrollctl is not in the path; install the package enrolld, or name it in $ENROLLCTL")
    shell = 'echo "$ENROLLD_SOCKET"; cat > /dev/null'
    # In a session of its own, so that an interrupt ends the test first.
    process = subprocess.Popen(
        [program, "sandbox", *args, "--", "sh", "-c", shell],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin and process.stdout
    try:
        socket = process.stdout.readline().strip()
        if not socket:
            raise RuntimeError(f"{program} sandbox has ended with {process.wait(_END_SECONDS)}")
        yield Path(socket)
    finally:
        process.stdin.close()
        try:
            process.wait(_END_SECONDS)
        finally:
            process.kill()
            process.stdout.close()
