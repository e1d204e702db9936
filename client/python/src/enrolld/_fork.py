"""Forks of the process: a client begins afresh in the child, and leaves what it has inherited alone.

A child shares the parent's descriptors, the epoll instance of its event loop among them: to close or to deregister one
would reach into the parent. So what was inherited is kept, unused, to the end of the child.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forked(Protocol):
    """A thing that begins afresh in a child."""

    def after_fork(self) -> object:
        """Begins afresh; what was inherited."""


_things: weakref.WeakSet[Forked] = weakref.WeakSet()
_inherited: list[object] = []


def register(thing: Forked) -> None:
    """This begins afresh in every child."""
    _things.add(thing)


def _after_fork() -> None:
    for thing in list(_things):
        _inherited.append(thing.after_fork())


os.register_at_fork(after_in_child=_after_fork)
