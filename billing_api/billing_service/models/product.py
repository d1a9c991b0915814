"""Products and prices as the catalogue published them; the newest version wins."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from billing_api.billing_service.models.base import (
    BillingModel,
    choices,
    currency_field,
    minor_field,
    reference,
)


class Product(BillingModel):
    id = models.UUIDField(primary_key=True, editable=False)
    sequence = models.BigIntegerField()  # of the catalogue event
    slug = models.CharField(max_length=128)
    kind = models.CharField(max_length=16, choices=choices("recurring", "one_time"))
    product_group = models.CharField(max_length=128)
    title = models.JSONField()  # {"ru": ..., "en": ...}
    grants = models.JSONField(default=list)
    # Those of them that go on after the grace, until the day of cancellation; none: access is blocked then.
    reduced_grants = models.JSONField(
        default=list, db_default=models.Value([], output_field=models.JSONField())
    )
    grace_days = models.IntegerField(default=3)
    trial_needs_method = models.BooleanField(default=True)
    # What a trial comes to when nobody can be charged at its end.
    trial_without_method = models.CharField(
        max_length=16, choices=choices("cancel", "invoice"), default="cancel", db_default="cancel"
    )
    refund_window_days = models.IntegerField(default=14)
    rank = models.IntegerField(default=0)
    change_policy = models.JSONField(default=dict)  # {} takes the defaults of domain/proration.py
    dunning_policy = models.JSONField(default=dict)  # {} takes the defaults of domain/dunning.py
    status = models.CharField(max_length=16, choices=choices("published", "retired"))
    updated_at = models.DateTimeField()

    class Meta(BillingModel.Meta):
        db_table = "product"

    def __str__(self) -> str:
        return self.slug


class Price(BillingModel):
    id = models.UUIDField(primary_key=True, editable=False)
    product = reference("Product", related_name="prices")
    amount_minor = minor_field()
    minimum_minor = models.BigIntegerField(null=True)  # discounts stop there; None: at zero
    currency = currency_field()
    interval_unit = models.CharField(max_length=16, null=True)  # None for a one-time product
    interval_count = models.IntegerField(default=1)
    term_periods = models.IntegerField(null=True)  # after so many the subscription ends; None: never
    trial_days = models.IntegerField(default=0)
    access_days = models.IntegerField(null=True)
    is_default = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    # From this moment the newest amount holds, for running subscriptions too; None: for new ones only.
    valid_from_at = models.DateTimeField(null=True)
    next_amount_minor = models.BigIntegerField(null=True)  # the newest amount while its moment is ahead

    class Meta(BillingModel.Meta):
        db_table = "price"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=models.Q(amount_minor__gte=0), name="price_not_negative"),
            models.CheckConstraint(
                condition=models.Q(minimum_minor__isnull=True) | models.Q(minimum_minor__gte=0),
                name="price_minimum_not_negative",
            ),
        ]
