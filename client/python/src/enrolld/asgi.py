"""A middleware for ASGI: calls within a request to a web service have the remote address as their origin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ._context import origin

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class OriginMiddleware:
    """Sets the origin of each request, which is the address in the scope.

    Behind a proxy the server must put that of the visitor there, as uvicorn does with `--proxy-headers`.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request under its origin."""
        client = scope.get("client") if scope["type"] in ("http", "websocket") else None
        if not client or not client[0]:
            await self.app(scope, receive, send)
            return
        with origin(str(client[0])):
            await self.app(scope, receive, send)
