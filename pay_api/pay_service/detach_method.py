"""Detaches a saved payment method: no later use of it, queued work included."""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import UUID

from pay_api import repository
from pay_api.pay_service import transitions
from pay_api.pay_service.context import Context
from shared.errors import conflict, not_found

_TRIES: Final = 10
_PAUSE_SECONDS: Final = 0.3


async def detach_method(ctx: Context, user_id: UUID, method_id: UUID) -> None:
    """Waits a little for a charge that is just going out; then 409 ``payment-in-progress``.

    So no call with the token begins after this is committed. Detached already: nothing changes.
    """
    for _ in range(_TRIES):
        if await _try(ctx, user_id, method_id):
            return
        await asyncio.sleep(_PAUSE_SECONDS)
    refusal = conflict("payment-in-progress", "A charge of this payment method is under way.")
    refusal.retry_after_seconds = 2
    raise refusal


async def _try(ctx: Context, user_id: UUID, method_id: UUID) -> bool:
    now = ctx.clock.now()
    async with ctx.sessions.begin() as session:
        method = await repository.lock_method(session, method_id)
        if method is None or method.user_id != user_id:
            raise not_found("payment-method")
        if method.status == "detached":
            return True
        if await repository.charges_at_work(session, method_id):
            return False
        method.status, method.detached_at, method.updated_at = "detached", now, now
        await session.flush()
        await transitions.tell_method(session, method, "payment_method.detached", now)
    return True
