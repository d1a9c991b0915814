"""Promotions, personal discounts, and what each invoice used of a discount."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from billing_api.billing_service.models.base import (
    BillingModel,
    account_field,
    choices,
    currency_field,
    id_field,
    minor_field,
    reference,
)

DURATIONS = choices("once", "repeating_invoices", "repeating_months", "forever")


class DiscountTerms(BillingModel):
    """What any discount says; ``value`` is in the unit of its kind (see domain/discounts)."""

    kind = models.CharField(max_length=32)
    value = models.BigIntegerField()
    currency = currency_field()
    label = models.CharField(max_length=255, blank=True)
    priority = models.IntegerField(default=0)
    is_exclusive = models.BooleanField(default=False)
    product_ids = models.JSONField(default=list, blank=True)  # empty: every product
    duration_kind = models.CharField(max_length=32, choices=DURATIONS, default="once")
    duration_count = models.IntegerField(default=1)
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta(BillingModel.Meta):
        abstract = True


class Promotion(DiscountTerms):
    """Applies by itself; ``segment`` is ``all`` or ``new_customers``; its budget cannot be overspent."""

    id = id_field()
    segment = models.CharField(max_length=32, choices=choices("all", "new_customers"), default="all")
    is_active = models.BooleanField(default=True)
    budget_minor = models.BigIntegerField(null=True, blank=True)
    budget_spent_minor = minor_field(default=0)  # reserved and committed

    class Meta(DiscountTerms.Meta):
        abstract = False
        db_table = "promotion"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(budget_spent_minor__gte=0)
                & (
                    models.Q(budget_minor__isnull=True)
                    | models.Q(budget_spent_minor__lte=models.F("budget_minor"))
                ),
                name="promotion_within_budget",
            ),
        ]


class PersonalDiscount(DiscountTerms):
    """Given to one user by an admin, with a reason."""

    id = id_field()
    account = account_field(related_name="personal_discounts")
    reason = models.TextField()
    given_by = models.CharField(max_length=128)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.TextField(blank=True)

    class Meta(DiscountTerms.Meta):
        abstract = False
        db_table = "personal_discount"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["account", "created_at"], name="personal_discount_account")
        ]


class DiscountUse(BillingModel):
    """One discount on one invoice: reserved with it, committed by its payment, released when it is voided."""

    id = id_field()
    account = account_field()
    subscription_id = models.UUIDField(null=True)
    invoice = reference("Invoice")
    source = models.CharField(max_length=16, choices=choices("promotion", "personal", "promo_code"))
    discount_id = models.UUIDField()
    amount_minor = minor_field()
    days_taken = models.IntegerField(default=0)
    used_on = models.DateField()
    state = models.CharField(max_length=16, choices=choices("reserved", "committed", "released"))

    class Meta(BillingModel.Meta):
        db_table = "discount_use"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["invoice", "discount_id"], name="discount_use_once_per_invoice"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["account", "discount_id"], name="discount_use_account"),
            models.Index(fields=["discount_id"], name="discount_use_discount"),
        ]
