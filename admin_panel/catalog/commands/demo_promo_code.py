"""The demo's promo code, made through BillingService like any other."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from admin_panel.databases import BILLING_PAGES
from billing_api.billing_service.actors import Actor
from billing_api.billing_service.commands.assign_discount import DiscountTerms
from billing_api.billing_service.commands.create_promo_codes import PromoCodeRules, create_promo_codes
from billing_api.billing_service.models import PromoCode
from shared.errors import AppError

CODE: Final = "CINEMA20"
RATE_BP: Final = 2000
YEARS: Final = 10


def ensure_promo_code(now: datetime) -> bool:
    """Makes CINEMA20 (20 %, one invoice, once per user, stackable) unless it is there; True when made."""
    if PromoCode.objects.using(BILLING_PAGES).filter(code=CODE).exists():
        return False
    terms = DiscountTerms(
        kind="percentage",
        value=RATE_BP,
        label=CODE,
        duration_kind="once",
        starts_at=now - timedelta(days=1),
        ends_at=now + timedelta(days=365 * YEARS),
    )
    try:
        create_promo_codes(
            terms,
            PromoCodeRules(limit_per_user=1),
            code=CODE,
            actor=Actor("system", "seed_catalog"),
            reason="The demo's promo code",
            now=now,
        )
    except AppError as refusal:
        if refusal.code != "promo-code-taken":  # another seed was first
            raise
        return False
    return True
