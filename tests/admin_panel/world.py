# ruff: noqa: E501 - rows of a table stay on one line
"""Fills the billing and users databases with a customer's story, through BillingService's own commands.

Run as a process (it needs AdminPanel's Django, other tests of the same run have BillingAPI's):
``python -m tests.admin_panel.world`` prints the ids as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from typing import Any
from uuid import UUID

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "admin_panel.config.settings")


def build() -> dict[str, Any]:
    """One customer with a paid and an open invoice, a payment declined and one made, a discount."""
    import django

    django.setup()
    from admin_panel.catalog.commands.publish import product_state
    from admin_panel.catalog.models import Product
    from admin_panel.settings import clock
    from billing_api.billing_service.commands.apply_catalog_event import apply_catalog_event
    from billing_api.billing_service.commands.start_subscription import start_subscription
    from billing_api.billing_service.models import Account, Invoice, Subscription
    from billing_api.billing_service.offers import CustomerSnapshot
    from shared.ids import new_id

    now = clock().now()
    for product in Product.objects.using("movies").all():
        apply_catalog_event(product_state(product), sequence=1, now=now)
    user_id = new_id()
    email = f"clara.{user_id.hex[-6:]}@example.org"
    clara = CustomerSnapshot(user_id, 1, "ru", "Europe/Moscow", user_id.hex, email, "Клара Пример")
    premium = Product.objects.using("movies").get(slug="premium")
    film, other_film = Product.objects.using("movies").filter(kind="one_time").order_by("rank")[:2]
    first = start_subscription(clara, product_id=premium.pk, now=now)
    assert first.invoice_id is not None
    declined = _pay(user_id, first.invoice_id, now, ok=False)
    paid = _pay(user_id, first.invoice_id, now + timedelta(seconds=30), ok=True)
    transfer = _transfer(user_id, now + timedelta(seconds=40))
    doubted = _under_review(user_id, now + timedelta(seconds=50))
    second = start_subscription(clara, product_id=film.pk, now=now + timedelta(minutes=1))
    spent = _spent(film.pk, other_film.pk, now)
    changed = _changed(premium.pk, Product.objects.using("movies").get(slug="family").pk, now)
    account = Account.objects.get(user_id=user_id)
    promotion, finding = _promotion(now), _finding(account, paid, now)
    _lost_refund(account, doubted, now)
    _user_row(user_id, email)
    return {
        "user_id": str(user_id),
        "email": email,
        "account_id": str(account.pk),
        "subscription_id": str(Subscription.objects.get(pk=first.subscription_id).pk),
        "paid_invoice_id": str(first.invoice_id),
        "paid_line_id": str(Invoice.objects.get(pk=first.invoice_id).lines.get().pk),
        "paid_number": Invoice.objects.get(pk=first.invoice_id).number,
        "open_invoice_id": str(second.invoice_id),
        "payment_id": str(paid),
        "spent_payment_id": str(spent),
        "changed_payment_id": str(changed),
        "declined_payment_id": str(declined),
        "transfer_id": str(transfer),
        "doubted_payment_id": str(doubted),
        "product_id": str(premium.pk),
        "promotion_id": str(promotion),
        "review_item_id": str(finding),
    }


def _spent(film_id: UUID, other_film_id: UUID, now: Any) -> UUID:
    """A payment of somebody else's that was too much: the rest of it bought another film."""
    from billing_api.billing_service.commands.start_subscription import start_subscription
    from billing_api.billing_service.offers import CustomerSnapshot
    from shared.ids import new_id

    user_id = new_id()
    dina = CustomerSnapshot(user_id, 1, "ru", "Europe/Moscow", user_id.hex, f"{user_id}@example.org", "Дина")
    bought = start_subscription(dina, product_id=film_id, now=now)
    assert bought.invoice_id is not None
    payment_id = _pay(user_id, bought.invoice_id, now, ok=True, more_minor=10_000)
    start_subscription(dina, product_id=other_film_id, now=now)
    return payment_id


def _changed(premium_id: UUID, family_id: UUID, now: Any) -> UUID:
    """A payment of somebody else's whose days a change of product has credited."""
    from billing_api.billing_service.commands.change_product import change_product
    from billing_api.billing_service.commands.start_subscription import start_subscription
    from billing_api.billing_service.offers import CustomerSnapshot
    from shared.ids import new_id

    user_id = new_id()
    zoya = CustomerSnapshot(user_id, 1, "ru", "Europe/Moscow", user_id.hex, f"{user_id}@example.org", "Зоя")
    bought = start_subscription(zoya, product_id=premium_id, now=now)
    assert bought.invoice_id is not None
    payment_id = _pay(user_id, bought.invoice_id, now, ok=True)
    changed = change_product(bought.subscription_id, product_id=family_id, now=now + timedelta(minutes=1))
    assert changed.invoice_id is not None
    _pay(user_id, changed.invoice_id, now + timedelta(minutes=2), ok=True)
    return payment_id


def _pay(user_id: UUID, invoice_id: UUID, now: Any, *, ok: bool, more_minor: int = 0) -> UUID:
    from billing_api.billing_service.commands.apply_payment_event import apply_payment_event
    from billing_api.billing_service.models import Invoice
    from shared.ids import new_id
    from shared.money import Money
    from shared.queue.messages.payments import Decline, DeclineClass, PaymentState, PaymentStatus

    amount = Money(Invoice.objects.get(pk=invoice_id).amount_due_minor + more_minor)
    decline = Decline(
        decline_class=DeclineClass.SOFT, code="insufficient-funds", message="На карте недостаточно средств."
    )
    payment_id = new_id()
    state = PaymentState(
        payment_id=payment_id,
        invoice_id=invoice_id,
        user_id=user_id,
        purpose="invoice",
        initiator="customer",
        provider="cloudpayments",
        status=PaymentStatus.SUCCEEDED if ok else PaymentStatus.FAILED,
        amount=amount,
        captured=amount if ok else Money(0),
        refunded=Money(0),
        decline=None if ok else decline,
        card_mask="400000******3055",
        created_at=now,
        succeeded_at=now if ok else None,
        updated_at=now,
    )
    apply_payment_event(state, sequence=1, now=now)
    return payment_id


def _transfer(user_id: UUID, now: Any) -> UUID:
    """A bank transfer that is awaited."""
    from billing_api.billing_service.commands.apply_payment_event import apply_payment_event
    from shared.ids import new_id
    from shared.money import Money
    from shared.queue.messages.payments import PaymentState, PaymentStatus

    payment_id = new_id()
    state = PaymentState(
        payment_id=payment_id,
        invoice_id=new_id(),
        user_id=user_id,
        purpose="invoice",
        initiator="customer",
        provider="bank_transfer",
        status=PaymentStatus.ACTION_REQUIRED,
        amount=Money(49900),
        captured=Money(0),
        refunded=Money(0),
        created_at=now,
        updated_at=now,
    )
    apply_payment_event(state, sequence=1, now=now)
    return payment_id


def _under_review(user_id: UUID, now: Any) -> UUID:
    """A card payment the provider told something else of than was asked."""
    from billing_api.billing_service.commands.apply_payment_event import apply_payment_event
    from shared.ids import new_id
    from shared.money import Money
    from shared.queue.messages.payments import PaymentState, PaymentStatus

    payment_id = new_id()
    state = PaymentState(
        payment_id=payment_id,
        invoice_id=new_id(),
        user_id=user_id,
        purpose="invoice",
        initiator="customer",
        provider="cloudpayments",
        status=PaymentStatus.NEEDS_REVIEW,
        amount=Money(49900),
        captured=Money(0),
        refunded=Money(0),
        card_mask="400000******3055",
        created_at=now,
        updated_at=now,
    )
    apply_payment_event(state, sequence=1, now=now)
    return payment_id


def _lost_refund(account: Any, payment_id: UUID, now: Any) -> None:
    """PayAPI asked for a person about a refund of it."""
    from billing_api.billing_service.reports import REFUND_UNKNOWN, report
    from shared.ids import new_id

    detail = {"payment_id": str(payment_id), "amount_minor": 10000, "currency": "RUB"}
    report(REFUND_UNKNOWN, account, ("refund", new_id()), detail, now)


def _promotion(now: Any) -> UUID:
    """One that is still to come, so that no price of the story changes."""
    from billing_api.billing_service.actors import SYSTEM
    from billing_api.billing_service.commands.assign_discount import DiscountTerms
    from billing_api.billing_service.commands.create_promotion import PromotionRules, create_promotion

    terms = DiscountTerms("percentage", 1000, label="Next winter", starts_at=now + timedelta(days=300))
    done = create_promotion(
        terms, PromotionRules(budget_minor=500_000), actor=SYSTEM, reason="world", now=now
    )
    assert done.promotion_id is not None
    return done.promotion_id


def _finding(account: Any, payment_id: UUID, now: Any) -> UUID:
    """Something to look at about the paid payment."""
    from billing_api.billing_service.models import ReviewItem
    from billing_api.billing_service.reports import report

    detail = {"why": "captured-differs", "asked_because": "overdue"}
    report("payment_disagrees", account, ("payment", payment_id), detail, now)
    return ReviewItem.objects.get(subject_id=payment_id).pk


def _user_row(user_id: UUID, email: str) -> None:
    """UserAPI's rows, written as UserAPI's own role."""
    import psycopg2

    with psycopg2.connect(os.environ["USERS_SERVICE_URL"]) as users, users.cursor() as cursor:
        cursor.execute(
            "INSERT INTO users (id, email, email_normalized, password_hash, full_name, phone, locale, time_zone,"
            " status, token_epoch, password_changed_at, created_at, updated_at) VALUES (%s, %s, %s, '-',"
            " 'Клара Пример', '+79990000000', 'ru', 'Europe/Moscow', 'active', 1, now(), now(), now())",
            (str(user_id), email, email),
        )
        cursor.execute(
            "INSERT INTO access_rights (user_id, source, resource, until, granted_at)"
            " VALUES (%s, 'subscription:1', 'collection:all', now() + interval '1 month', now())",
            (str(user_id),),
        )
    users.close()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(build()) + "\n")
