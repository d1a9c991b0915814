"""A small world for the stories of commands: a catalogue, customers, payments as PayAPI tells of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from billing_api.billing_service import queries
from billing_api.billing_service.commands.apply_catalog_event import apply_catalog_event
from billing_api.billing_service.commands.apply_method_event import apply_method_event
from billing_api.billing_service.commands.apply_payment_event import PaymentApplied, apply_payment_event
from billing_api.billing_service.commands.start_subscription import SubscriptionStarted, start_subscription
from billing_api.billing_service.database import cursor
from billing_api.billing_service.models import Invoice, PromoCode, Subscription
from billing_api.billing_service.offers import CustomerSnapshot
from shared.ids import new_id
from shared.money import Money
from shared.period import IntervalUnit
from shared.queue.messages.catalog import LocalizedText, PriceState, ProductState
from shared.queue.messages.payments import (
    Decline,
    DeclineClass,
    PaymentMethodState,
    PaymentState,
    PaymentStatus,
    RefundState,
)

ALL = "billing_api.billing_service.commands"


class World:
    """``now`` moves by ``pass_time``; ids of the catalogue are attributes."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.basic, self.basic_price = self.product("basic", 49900)
        self.film, self.film_price = self.product("film", 29900, kind="one_time", interval=None)
        self._sequences: dict[UUID, int] = {}

    def pass_time(self, **delta: float) -> datetime:
        self.now += timedelta(**delta)
        return self.now

    def product(
        self,
        slug: str,
        amount: int,
        *,
        kind: str = "recurring",
        interval: IntervalUnit | None = IntervalUnit.MONTH,
        product_id: UUID | None = None,
        price_id: UUID | None = None,
        sequence: int = 1,
        status: str = "published",
        terms: dict[str, Any] | None = None,
        **price: Any,
    ) -> tuple[UUID, UUID]:
        """``terms``: what the product says beside its price; a trial needs no card unless they say so."""
        product_id, price_id = product_id or new_id(), price_id or new_id()
        title = LocalizedText(ru=f"Подписка {slug}", en=f"{slug} plan")
        state = ProductState(
            product_id=product_id,
            slug=slug,
            kind=kind,
            group="cinema" if kind == "recurring" else "films",
            description=LocalizedText(ru="", en=""),
            grants=[f"collection:{slug}"],
            prices=[
                PriceState(
                    price_id=price_id,
                    amount=Money(amount),
                    interval_unit=interval,
                    is_default=True,
                    **price,
                )
            ],
            status=status,
            updated_at=self.now,
            **{"trial_needs_method": False, "title": title, **(terms or {})},
        )
        apply_catalog_event(state, sequence=sequence, now=self.now)
        return product_id, price_id

    def saves_card(
        self, customer: CustomerSnapshot, fingerprint: str, *, method_id: UUID | None = None, **more: Any
    ) -> UUID:
        """``payment_method.saved`` as PayAPI tells it; gives the method's id."""
        method_id = method_id or new_id()
        state = PaymentMethodState(
            **{
                "payment_method_id": method_id,
                "user_id": customer.user_id,
                "provider": "cloudpayments",
                "status": "active",
                "card_mask": "4242 42** **** 4242",
                "card_brand": "visa",
                "expires_month": 12,
                "expires_year": 2030,
                "fingerprint": fingerprint,
                "created_at": self.now,
                "updated_at": self.now,
                **more,
            }
        )
        sequence = self._sequences[method_id] = self._sequences.get(method_id, 0) + 1
        apply_method_event(state, sequence=sequence, now=self.now)
        return method_id

    def customer(self, user_id: UUID | None = None, sequence: int = 1) -> CustomerSnapshot:
        user_id = user_id or new_id()
        return CustomerSnapshot(
            user_id=user_id,
            sequence=sequence,
            locale="ru",
            time_zone="Europe/Moscow",
            email_hash=f"hash-{user_id}",
            email=f"{user_id}@example.org",
            document_name="Анна Иванова",
        )

    def promo_code(self, code: str = "SPRING", **columns: Any) -> PromoCode:
        values: dict[str, Any] = {
            "kind": "percentage",
            "value": 1000,
            "created_at": self.now,
            "created_by": "test",
        }
        return PromoCode.objects.create(code=code, **{**values, **columns})

    def buy(
        self, customer: CustomerSnapshot, product_id: UUID | None = None, **more: Any
    ) -> SubscriptionStarted:
        return start_subscription(customer, product_id=product_id or self.basic, now=self.now, **more)

    def payment(
        self,
        invoice_id: UUID | None,
        user_id: UUID,
        status: str = "succeeded",
        *,
        amount: int | None = None,
        payment_id: UUID | None = None,
        initiator: str = "customer",
        refunds: list[RefundState] | None = None,
        decline: str | None = None,
        currency: str = "RUB",
        provider: str = "cloudpayments",
        **more: Any,
    ) -> PaymentState:
        if amount is None:
            amount = Invoice.objects.get(id=invoice_id).amount_due_minor
        money = Money(amount, currency)
        done = [one for one in refunds or [] if one.status == "succeeded"]
        captured = status in ("succeeded", "partially_refunded", "refunded") or (
            status == "cancelled" and bool(done)
        )
        return PaymentState(
            payment_id=payment_id or new_id(),
            invoice_id=invoice_id,
            user_id=user_id,
            purpose="invoice",
            initiator=initiator,
            provider=provider,
            status=PaymentStatus(status),
            amount=money,
            captured=money if captured else Money(0, currency),
            refunded=Money(sum(one.amount.amount for one in done), currency),
            refunds=refunds or [],
            decline=Decline(decline_class=DeclineClass(decline), code="x", message="x") if decline else None,
            card_mask="4242 42** **** 4242",
            created_at=self.now,
            succeeded_at=self.now if captured else None,
            updated_at=self.now,
            **more,
        )

    def hear(self, state: PaymentState, sequence: int | None = None) -> PaymentApplied:
        """The event arrives; sequences count up by themselves."""
        if sequence is None:
            sequence = self._sequences[state.payment_id] = self._sequences.get(state.payment_id, 0) + 1
        return apply_payment_event(state, sequence=sequence, now=self.now)

    def pay(self, started: SubscriptionStarted, customer: CustomerSnapshot, **more: Any) -> PaymentState:
        state = self.payment(started.invoice_id, customer.user_id, **more)
        self.hear(state)
        return state

    def refund(self, state: PaymentState, amount: int | None = None, **more: Any) -> PaymentState:
        """The same payment after (a further) refund."""
        refund = RefundState(
            refund_id=new_id(),
            amount=Money(state.captured.amount if amount is None else amount),
            status="succeeded",
            reason="asked",
            created_at=self.now,
            succeeded_at=self.now,
            **more,
        )
        refunds = [*state.refunds, refund]
        total = sum(one.amount.amount for one in refunds if one.status == "succeeded")
        whole = total == state.captured.amount
        return state.model_copy(
            update={
                "refunds": refunds,
                "refunded": Money(total),
                "status": PaymentStatus.REFUNDED if whole else PaymentStatus.PARTIALLY_REFUNDED,
            }
        )

    def subscription(self, started: SubscriptionStarted) -> Subscription:
        return Subscription.objects.get(id=started.subscription_id)

    def invoice(self, invoice_id: UUID | None) -> Invoice:
        return Invoice.objects.get(id=invoice_id)

    def balance(self, customer: CustomerSnapshot) -> int:
        """From the customer's view."""
        return queries.account_view(customer.user_id)["balance"]["amount"]

    def available(self, customer: CustomerSnapshot) -> int:
        return queries.account_view(customer.user_id)["available"]["amount"]


def events() -> list[str]:
    """Types of the events written so far, oldest first."""
    with cursor() as database:
        database.execute("SELECT event_type FROM outbox ORDER BY id")
        return [row[0] for row in database.fetchall()]


def event_data(event_type: str) -> list[dict[str, Any]]:
    with cursor() as database:
        database.execute(
            "SELECT envelope->'data' FROM outbox WHERE event_type = %s ORDER BY id", (event_type,)
        )
        rows = [row[0] for row in database.fetchall()]
    import json

    return [json.loads(row) if isinstance(row, str) else row for row in rows]
