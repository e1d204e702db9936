#!/usr/bin/env python3
"""Makes the synchronous half of the client and of its tests from the asynchronous one.

`unasync.py` writes the files; `unasync.py --check` fails where one of them is out of date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
FILES = [
    ("src/enrolld/_operations.py", "src/enrolld/_operations_sync.py"),
    ("src/enrolld/_pages.py", "src/enrolld/_pages_sync.py"),
    ("tests/test_async_operations.py", "tests/test_operations.py"),
]
"""Each asynchronous file, and the one that is made from it."""

RULES = [
    (r"\basync (def|for|with)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAsyncGenerator\[(.+), None\]", r"Iterator[\1]"),
    (r"\bAsyncGenerator\b", "Iterator"),
    (r"\bAsync(\w+)", r"\1"),
    (r"\b__a(enter|exit|iter|next)__\b", r"__\1__"),
    (r"\baclose\b", "close"),
    (r"\banext\b", "next"),
    (r"\basyncio\.sleep\b", "time.sleep"),
    (r"\b_operations\b", "_operations_sync"),
    (r"from \._pages import", "from ._pages_sync import"),
    (r"from \._calls import", "from ._calls_sync import"),
    (r"@asynchronous\n", ""),
    (r"from running import asynchronous\n", ""),
]


def sync_of(text: str, source: str) -> str:
    """The synchronous text of an asynchronous one."""
    for pattern, replacement in RULES:
        text = re.sub(pattern, replacement, text)
    first, _, rest = text.partition("\n")
    head = f"# Generated from {Path(source).name} by tools/unasync.py. Do not change it by hand.\n"
    return head + (rest if first.startswith("# Generated") else text)


def main() -> int:
    """Writes or checks every file."""
    is_check = "--check" in sys.argv[1:]
    out_of_date = []
    for source, target in FILES:
        text = sync_of((HERE / source).read_text(), source)
        path = HERE / target
        if not path.exists() or path.read_text() != text:
            out_of_date.append(target)
            if not is_check:
                path.write_text(text)
    if is_check and out_of_date:
        print("out of date, tools/unasync.py writes them anew:", *out_of_date, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
