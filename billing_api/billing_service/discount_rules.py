"""Loads the discounts that may work on an invoice, and keeps what each invoice used of them."""

from __future__ import annotations

from collections.abc import Container, Iterable
from datetime import date, datetime
from typing import Final
from uuid import UUID

from django.db.models import Count, F, Min, Q, QuerySet, Sum

from billing_api.billing_service.domain import promo_codes
from billing_api.billing_service.domain.discounts.base import Discount, Duration, DurationKind, Source
from billing_api.billing_service.domain.pricing import AppliedDiscount
from billing_api.billing_service.locks import wait_turn
from billing_api.billing_service.models import (
    Account,
    DiscountUse,
    Invoice,
    PersonalDiscount,
    PromoCode,
    PromoRedemption,
    Promotion,
    TrialUse,
)
from shared.errors import invalid

_SOURCE_NAMES: Final = {
    Source.PROMOTION: "promotion",
    Source.PERSONAL: "personal",
    Source.PROMO_CODE: "promo_code",
}


def is_new_customer(account: Account | None) -> bool:
    """Whether the account has never paid an invoice nor had a trial."""
    if account is None:
        return True
    has_paid = Invoice.objects.filter(account=account, status="paid").exists()
    return not has_paid and not TrialUse.objects.filter(account=account).exists()


def load(
    account: Account | None,
    subscription_id: UUID | None,
    promo_code: PromoCode | None,
    now: datetime,
    taken: Container[str] | None = None,
) -> list[Discount]:
    """Every discount that may work for the account, with how much of it was used so far.

    A promotion and a personal discount count their uses over the account, a promo code over its subscription.
    ``taken``: as after a sale that takes these discounts; its buyer is no new customer any more.
    """
    found: list[Discount] = []
    for promotion in _promotions(account, now):
        uses = _uses(account, promotion.id)
        if promotion.segment == "new_customers" and not uses.exists():
            is_new = is_new_customer(account) if taken is None else str(promotion.id) in taken
            if not is_new:
                continue
        left = (
            None if promotion.budget_minor is None else promotion.budget_minor - promotion.budget_spent_minor
        )
        found.append(_discount(promotion, Source.PROMOTION, uses, left))
    if account is not None:
        for personal in PersonalDiscount.objects.filter(account=account, ended_at__isnull=True):
            found.append(_discount(personal, Source.PERSONAL, _uses(account, personal.id)))
    if promo_code is not None:
        uses = _uses(account, promo_code.id).filter(subscription_id=subscription_id)
        found.append(_discount(promo_code, Source.PROMO_CODE, uses))
    return found


def _promotions(account: Account | None, now: datetime) -> QuerySet[Promotion]:
    # A window that is over still matters to those whose repeating promotion began inside it.
    begun = DiscountUse.objects.filter(account=account).exclude(state="released").values("discount_id")
    open_now = Q(ends_at__isnull=True) | Q(ends_at__gt=now)
    return Promotion.objects.filter(is_active=True).filter(open_now | Q(id__in=begun))


def _uses(account: Account | None, discount_id: UUID) -> QuerySet[DiscountUse]:
    return DiscountUse.objects.filter(account=account, discount_id=discount_id).exclude(state="released")


def _discount(
    row: Promotion | PersonalDiscount | PromoCode,
    source: Source,
    uses: QuerySet[DiscountUse],
    budget_left_minor: int | None = None,
) -> Discount:
    used = uses.aggregate(count=Count("id"), days=Sum("days_taken"), first=Min("used_on"))
    return Discount(
        id=str(row.id),
        kind=row.kind,
        source=source,
        value=row.value,
        currency=row.currency,
        created_at=row.created_at,
        priority=row.priority,
        exclusive=row.is_exclusive,
        product_ids=frozenset(row.product_ids),
        duration=Duration(DurationKind(row.duration_kind), row.duration_count),
        started_on=used["first"],
        invoices_used=used["count"],
        days_used=used["days"] or 0,
        window_starts_at=row.starts_at,
        window_ends_at=row.ends_at,
        budget_left_minor=budget_left_minor,
        label=row.label or getattr(row, "code", ""),
    )


def find_promo_code(code: str | None) -> PromoCode | None:
    """The stored code, None for no code; raises ``promo-code-unknown``."""
    if not code:
        return None
    found = PromoCode.objects.filter(code=promo_codes.normalise(code)).first()
    if found is None:
        raise invalid("promo-code-unknown", "There is no such promo code.", rule="promo-code-unknown")
    return found


def check_promo_code(
    row: PromoCode, account: Account | None, purchase: promo_codes.Purchase, now: datetime
) -> None:
    """Raises the refusal of the first rule of the code that does not hold."""
    own = PromoRedemption.objects.filter(account=account, promo_code=row).exclude(state="released")
    rules = promo_codes.PromoCode(
        code=row.code,
        currency=row.currency,
        is_active=row.is_active,
        window_starts_at=row.starts_at,
        window_ends_at=row.ends_at,
        total_limit=row.redemption_limit,
        per_user_limit=row.limit_per_user,
        first_purchase_only=row.first_purchase_only,
        minimum_amount_minor=row.minimum_minor,
        product_ids=frozenset(row.product_ids),
        redeemed_total=row.redemptions,
        redeemed_by_user=own.count() if account else 0,
    )
    refused = promo_codes.check(rules, purchase, now=now)
    if refused is not None:
        raise refused


def reserve_promo_code(
    row: PromoCode, account: Account, subscription_id: UUID, invoice_id: UUID | None, now: datetime
) -> None:
    """One redemption, never beyond the limit however many try: raises ``promo-code-exhausted``.

    The limit is kept by one conditional statement, the limit per user by the account's lock and a unique key.
    """
    wait_turn(row.id)
    moved = (
        PromoCode.objects.filter(id=row.id)
        .filter(Q(redemption_limit__isnull=True) | Q(redemptions__lt=F("redemption_limit")))
        .update(redemptions=F("redemptions") + 1)
    )
    if not moved:
        raise invalid(
            "promo-code-exhausted", "This promo code has been used up.", rule="promo-code-exhausted"
        )
    taken = set(
        PromoRedemption.objects.filter(account=account, promo_code=row)
        .exclude(state="released")
        .values_list("ordinal", flat=True)
    )
    ordinal = next(number for number in range(1, len(taken) + 2) if number not in taken)
    PromoRedemption.objects.create(
        account=account,
        promo_code=row,
        subscription_id=subscription_id,
        invoice_id=invoice_id,
        ordinal=ordinal,
        state="reserved",
        reserved_at=now,
    )


def promo_code_is_used(account: Account, subscription_id: UUID) -> bool:
    """Whether an invoice that stands, paid or given up, has the discount of the subscription's code."""
    uses = DiscountUse.objects.filter(account=account, subscription_id=subscription_id, source="promo_code")
    return uses.filter(state="committed").exists()


def commit_promo_code(account: Account, subscription_id: UUID, now: datetime) -> None:
    """The first payment makes the redemption final; so does the write-off of an invoice that used it."""
    PromoRedemption.objects.filter(account=account, subscription_id=subscription_id, state="reserved").update(
        state="committed", settled_at=now
    )


def release_promo_code(account: Account, subscription_id: UUID, now: datetime) -> None:
    """Gives back a redemption that was never paid for; a committed one stays."""
    for redemption in PromoRedemption.objects.filter(
        account=account, subscription_id=subscription_id, state="reserved"
    ):
        redemption.state, redemption.settled_at = "released", now
        redemption.store("state", "settled_at")
        PromoCode.objects.filter(id=redemption.promo_code_id).update(redemptions=F("redemptions") - 1)


def reserve_budgets(applied: Iterable[AppliedDiscount]) -> UUID | None:
    """Takes each promotion's part out of its budget; the id of the first that could not pay, else None.

    One that was ended since the pricing pays nothing.
    """
    promotions = [one for one in applied if one.source is Source.PROMOTION]
    for one in sorted(promotions, key=lambda each: each.discount_id):
        wait_turn(one.discount_id)
        room = Q(budget_minor__isnull=True) | Q(budget_minor__gte=F("budget_spent_minor") + one.amount_minor)
        moved = (
            Promotion.objects.filter(id=one.discount_id, is_active=True)
            .filter(room)
            .update(budget_spent_minor=F("budget_spent_minor") + one.amount_minor)
        )
        if not moved:
            return UUID(one.discount_id)
    return None


def keep_uses(account: Account, invoice: Invoice, applied: Iterable[AppliedDiscount], day: date) -> None:
    """What the invoice used, reserved until it is paid."""
    DiscountUse.objects.bulk_create(
        [
            DiscountUse(
                account=account,
                subscription_id=invoice.subscription_id,
                invoice=invoice,
                source=_SOURCE_NAMES[one.source],
                discount_id=UUID(one.discount_id),
                amount_minor=one.amount_minor,
                days_taken=one.days_taken,
                used_on=day,
                state="reserved",
            )
            for one in applied
        ]
    )


def commit_uses(invoice: Invoice) -> None:
    DiscountUse.objects.filter(invoice=invoice, state="reserved").update(state="committed")


def release_uses(invoice: Invoice) -> None:
    """A voided invoice gives back what it reserved, budgets included."""
    for use in DiscountUse.objects.filter(invoice=invoice, state="reserved").order_by("discount_id"):
        use.state = "released"
        use.store("state")
        if use.source == "promotion":
            Promotion.objects.filter(id=use.discount_id).update(
                budget_spent_minor=F("budget_spent_minor") - use.amount_minor
            )
