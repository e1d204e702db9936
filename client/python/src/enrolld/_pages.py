"""Lists: iterators over the items of all pages."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._operation import Operation, Options
from ._refusals import TooLarge

if TYPE_CHECKING:
    from ._calls import AsyncCalls

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """A part of a list. It may hold fewer items than asked for, even none, while `next` is set."""

    items: list[T]
    """The items, in the list's order."""
    next: str | None
    """Pass this as `after` to go on; none at the end of the list."""


class AsyncPages(Generic[T]):
    """A list. Iterating over it asks for one page after the other."""

    def __init__(self, calls: AsyncCalls, operation: Operation[T], args: dict[str, Any], options: Options) -> None:
        self._calls = calls
        self._operation = operation
        self._args = args
        self._options = options

    async def page(self) -> Page[T]:
        """The first page alone."""
        return await self._page(self._args)

    async def pages(self) -> AsyncGenerator[Page[T], None]:
        """Every page. One that does not fit a frame is asked for again in halves."""
        args = dict(self._args)
        while True:
            try:
                page = await self._page(args)
            except TooLarge:
                limit = args.get("limit") or 100
                if limit <= 1:
                    raise
                args["limit"] = limit // 2
                continue
            yield page
            if page.next is None:
                return
            args["after"] = page.next

    async def all(self) -> list[T]:
        """The items of all pages."""
        return [item async for item in self]

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        async for page in self.pages():
            for item in page.items:
                yield item

    async def _page(self, args: dict[str, Any]) -> Page[T]:
        read = self._operation.read
        plain = Operation[Any](self._operation.number, self._operation.name, False, None)
        value = await self._calls.call(plain, args, self._options)
        items = value["items"] if read is None else [read(item) for item in value["items"]]
        return Page(items=items, next=value["next"])
