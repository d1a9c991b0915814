"""Sends BillingService's orders to UserAPI: no transaction is open during a call, and the id is the key."""

from __future__ import annotations

import asyncio
from typing import Final

from django.db import close_old_connections
from prometheus_client import Counter

from billing_api.billing_service import orders
from billing_api.billing_service.answers import OrderAnswer
from billing_api.billing_service.clients.user_api import UserApi
from billing_api.billing_service.commands.settle_close_answer import settle_close_answer
from billing_api.billing_service.commands.settle_collection_answer import settle_collection_answer
from billing_api.billing_service.commands.settle_refund_answer import settle_refund_answer
from billing_api.billing_service.models import OutgoingOrder
from shared import correlation, logs
from shared.clock import Clock
from shared.errors import AppError, Kind
from shared.ids import derived_id, new_id
from shared.money import Money

ORDERS: Final = Counter("billing_orders_total", "Orders sent to UserAPI", ["kind", "outcome"])
_IDLE_SECONDS: Final = 0.3
_NOT_NOW: Final = {Kind.UNAVAILABLE, Kind.TOO_MANY, Kind.BROKEN_INVARIANT}
# Conflicts that pass by themselves; every other refusal is final.
_PASSING: Final = {"payment-in-progress", "request-in-progress", "account-busy"}

log = logs.logger(__name__)


class Sender:
    """Takes due orders and sends them; whatever is not known afterwards is sent again with the same key."""

    def __init__(self, user_api: UserApi, clock: Clock) -> None:
        self._user_api = user_api
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Works until ``stop``."""
        while not stop.is_set():
            if await self.send_due():
                continue
            try:
                async with asyncio.timeout(_IDLE_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue

    async def send_due(self) -> int:
        """Sends what is due now; gives how many orders that were."""
        due = await asyncio.to_thread(self._claim)
        ended = await asyncio.gather(*(self._send(order) for order in due), return_exceptions=True)
        for order, failure in zip(due, ended, strict=True):
            if isinstance(failure, Exception):  # its lease ends, and it is sent again with the same key
                log.error("order-not-settled", order_id=str(order.id), kind=order.kind, exc_info=failure)
        return len(due)

    def _claim(self) -> list[OutgoingOrder]:
        close_old_connections()
        return orders.claim(self._clock.now())

    async def _send(self, order: OutgoingOrder) -> None:
        with correlation.correlated(str(new_id())):
            answer = await self._call(order)
            ORDERS.labels(order.kind, answer.code or answer.result or answer.outcome).inc()
            log.info(
                "order-sent",
                kind=order.kind,
                order_id=str(order.id),
                attempts=order.attempts,
                outcome=answer.outcome,
                code=answer.code,
                result=answer.result,
            )
            await asyncio.to_thread(self._settle, order, answer)

    async def _call(self, order: OutgoingOrder) -> OrderAnswer:
        try:
            return OrderAnswer("accepted", result=await self._dispatch(order))
        except AppError as error:
            passing = error.kind in _NOT_NOW or error.code in _PASSING
            return OrderAnswer("later" if passing else "refused", error.code)

    async def _dispatch(self, order: OutgoingOrder) -> str:
        """Makes the call of an order; gives the result of closing payments, else nothing."""
        amount = Money(order.amount_minor, order.currency)
        reason = str(order.body.get("reason") or order.kind)
        if order.kind == "collection":
            await self._user_api.collect(order.id, order.body)
        elif order.kind == "close_payments":
            assert order.invoice_id is not None
            # 'in flight' would be replayed for ever under one key; closing again is harmless by itself.
            key = derived_id(order.id, f"try-{order.attempts}")
            return await self._user_api.close_payments(key, invoice_id=order.invoice_id)
        else:
            assert order.payment_id is not None
            send = self._user_api.refund if order.kind == "refund" else self._user_api.redrive_cancellation
            await send(order.id, payment_id=order.payment_id, amount=amount, reason=reason)
        return ""

    def _settle(self, order: OutgoingOrder, answer: OrderAnswer) -> None:
        close_old_connections()
        now = self._clock.now()
        if order.kind == "collection":
            settle_collection_answer(order.id, answer, now=now)
        elif order.kind == "close_payments":
            settle_close_answer(order.id, answer, now=now)
        else:
            settle_refund_answer(order.id, answer, now=now)
