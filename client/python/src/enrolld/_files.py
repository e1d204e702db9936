"""Files that only their owner may read, such as private keys."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_private(path: str | os.PathLike[str], content: str | bytes | None) -> Path:
    """Writes a file of mode 0600, whole or not at all. What is `None`, as in a dry run, is refused."""
    if content is None:
        raise ValueError("there is nothing to write: a dry run answers without secrets")
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    return path
