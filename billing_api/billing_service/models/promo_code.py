"""Promo codes and their redemptions."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from billing_api.billing_service.models.base import (
    BillingModel,
    account_field,
    choices,
    id_field,
    minor_field,
    reference,
)
from billing_api.billing_service.models.discount import DiscountTerms


class PromoCode(DiscountTerms):
    """``code`` is stored in upper case. ``redemptions`` counts reserved and committed ones."""

    id = id_field()
    code = models.CharField(max_length=64, unique=True)
    batch_id = models.UUIDField(null=True, blank=True)
    redemption_limit = models.IntegerField(null=True, blank=True)
    redemptions = models.IntegerField(default=0)
    limit_per_user = models.IntegerField(default=1)
    first_purchase_only = models.BooleanField(default=False)
    minimum_minor = minor_field(default=0)
    is_active = models.BooleanField(default=True)
    created_by = models.CharField(max_length=128)
    reason = models.TextField(blank=True)

    class Meta(DiscountTerms.Meta):
        abstract = False
        db_table = "promo_code"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(redemptions__gte=0)
                & (Q(redemption_limit__isnull=True) | Q(redemptions__lte=F("redemption_limit"))),
                name="promo_code_within_limit",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["batch_id"], name="promo_code_batch")]

    def __str__(self) -> str:
        return self.code


class PromoRedemption(BillingModel):
    """One redemption of a code; a repeating code counts one for all its invoices."""

    id = id_field()
    account = account_field()
    promo_code = reference("PromoCode", related_name="redemption_rows")
    subscription_id = models.UUIDField()
    invoice_id = models.UUIDField(null=True)  # None during a trial
    ordinal = models.IntegerField()  # 1 .. limit_per_user
    state = models.CharField(max_length=16, choices=choices("reserved", "committed", "released"))
    reserved_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    class Meta(BillingModel.Meta):
        db_table = "promo_redemption"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["account", "promo_code", "ordinal"],
                condition=~Q(state="released"),
                name="promo_redemption_within_user_limit",
            ),
            models.UniqueConstraint(
                fields=["subscription_id", "promo_code"],
                condition=~Q(state="released"),
                name="promo_redemption_once_per_subscription",
            ),
        ]
