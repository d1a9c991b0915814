"""Redrives cancellations that stay open: whoever was to carry them to PayAPI may have died on the way."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import close_old_connections

from billing_api.billing_service import locks
from billing_api.billing_service.database import atomic
from billing_api.billing_service.models import OutgoingOrder, PaymentCancellation
from shared import logs
from shared.clock import Clock

# UserAPI carries a cancellation on within seconds; PayAPI's answer comes by event within seconds more.
PATIENCE: Final = timedelta(minutes=2)
AGAIN_AFTER: Final = timedelta(minutes=10)
BATCH: Final = 100
_PAUSE_SECONDS: Final = 5.0

log = logs.logger(__name__)


class Sweeper:
    """Looks for cancellations that nobody carries on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Works until ``stop``."""
        while not stop.is_set():
            await asyncio.to_thread(self._sweep)
            try:
                async with asyncio.timeout(_PAUSE_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue

    def _sweep(self) -> None:
        close_old_connections()
        redriven = sweep(self._clock.now())
        if redriven:
            log.warning("cancellations-redriven", count=redriven)


def sweep(now: datetime) -> int:
    """Orders the redrive of every cancellation open for too long; gives how many."""
    stuck = PaymentCancellation.objects.filter(state="open", requested_at__lte=now - PATIENCE)
    listed = stuck.order_by("requested_at").values_list("id", "account_id")[:BATCH]
    return sum(_redrive(cancellation_id, account_id, now) for cancellation_id, account_id in list(listed))


def _redrive(cancellation_id: UUID, account_id: UUID, now: datetime) -> bool:
    with atomic():
        account = locks.lock_account(account_id)
        cancellation = PaymentCancellation.objects.get(id=cancellation_id)
        if cancellation.state != "open":
            return False
        order, is_new = OutgoingOrder.objects.get_or_create(
            id=cancellation.id,
            defaults={
                "account": account,
                "kind": "cancellation",
                "invoice_id": cancellation.invoice_id,
                "payment_id": cancellation.payment_id,
                "currency": cancellation.currency,
                "amount_minor": cancellation.amount_minor,
                "body": {"reason": "cancelled by the customer", "action": cancellation.action},
                "state": "pending",
                "next_try_at": now,
                "created_at": now,
            },
        )
        if is_new:
            return True
        if order.state != "sent" or order.settled_at is None or order.settled_at > now - AGAIN_AFTER:
            return False
        # UserAPI took it and no event came: the same key asks PayAPI the same again.
        order.state, order.next_try_at, order.settled_at = "pending", now, None
        order.store("state", "next_try_at", "settled_at")
        return True
