"""Ends a request that has waited too long, before its caller gives up: 503, and the key may come again."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pay_api import timeouts
from shared import logs, wait_budget

_ENDLESS: Final = "/events"  # a stream lives as long as its browser

log = logs.logger(__name__)


class BoundedRequests:
    """Gives each request its wait budget (``timeouts.REQUEST``); raises TimeoutError when it is spent.

    Nothing is lost by it: what was sent to the provider stands in the database, and the reconciler asks.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].endswith(_ENDLESS):
            await self._app(scope, receive, send)
            return
        over = False

        async def send_in_time(message: Message) -> None:
            if not over:
                await send(message)

        with wait_budget.within(timeouts.REQUEST):
            work = asyncio.ensure_future(self._app(scope, receive, send_in_time))
        try:
            await asyncio.wait({work}, timeout=timeouts.REQUEST)
            if not work.done():
                over = True
                await self._undo(work, scope["path"])
        except asyncio.CancelledError:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
            raise
        if over:
            raise TimeoutError("the request has waited for too long")
        work.result()

    async def _undo(self, work: asyncio.Future[None], path: str) -> None:
        """A connection that hangs may hang in its own undoing too: that goes on without the caller."""
        work.cancel()
        await asyncio.wait({work}, timeout=timeouts.UNDOING)
        log.error("request-out-of-time", path=path, undone=work.done())
        if work.done():
            with contextlib.suppress(asyncio.CancelledError, Exception):
                work.result()
