"""Subscriptions and one-time purchases: what was agreed and where it stands."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from billing_api.billing_service.models.base import (
    BillingModel,
    account_field,
    choices,
    currency_field,
    id_field,
    minor_field,
    reference,
)

OVER = ("cancelled", "expired")
STATUSES = choices("incomplete", "trialing", "active", "past_due", "paused", *OVER)


class Subscription(BillingModel):
    """``unit_minor``, interval and grace are the terms agreed at the start; the catalogue does not move them.

    Dates are of ``time_zone``. ``access_until`` None with ``grants_access`` means access without an end.
    """

    id = id_field()
    account = account_field(related_name="subscriptions")
    kind = models.CharField(max_length=16, choices=choices("recurring", "one_time"))
    product = reference("Product")
    price = reference("Price")
    product_group = models.CharField(max_length=128)
    promo_code = reference("PromoCode", null=True)
    unit_minor = minor_field()
    currency = currency_field()
    interval_unit = models.CharField(max_length=16, null=True)  # None for a one-time purchase
    interval_count = models.IntegerField(default=1)
    grace_days = models.IntegerField()
    # Days after the paid time at which the product's reduced rights end: its day of cancellation.
    reduced_days = models.IntegerField(default=21, db_default=21)
    rental_days = models.IntegerField(null=True)
    term_periods = models.IntegerField(null=True)
    time_zone = models.CharField(max_length=64)

    status = models.CharField(max_length=16, choices=STATUSES)
    cancel_at_period_end = models.BooleanField(default=False)
    anchor_on = models.DateField()
    next_number = models.IntegerField(default=0)
    periods_billed = models.IntegerField(default=0)
    period_start_on = models.DateField(null=True)
    period_end_on = models.DateField(null=True)
    paid_through_on = models.DateField(null=True)
    remaining_days = models.IntegerField(null=True)
    ended_on = models.DateField(null=True)
    trial_ends_at = models.DateTimeField(null=True)
    trial_reminded_at = models.DateTimeField(null=True)
    past_due_at = models.DateTimeField(null=True)
    price_noticed_minor = models.BigIntegerField(null=True)  # the new price the user has been told of
    price_noticed_at = models.DateTimeField(null=True)
    next_invoice_at = models.DateTimeField(null=True)
    grants_access = models.BooleanField(default=False)
    access_until = models.DateTimeField(null=True)
    latest_invoice_id = models.UUIDField(null=True)
    ended_at = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=64, blank=True)
    billing_failures = models.IntegerField(default=0)  # of the run in a row; 3 set the subscription aside
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta(BillingModel.Meta):
        db_table = "subscription"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["account", "product_group"],
                condition=Q(kind="recurring") & ~Q(status__in=OVER),
                name="subscription_one_live_per_group",
            ),
            # A film bought stays bought: other products of the group may be bought beside it.
            models.UniqueConstraint(
                fields=["account", "product"],
                condition=Q(kind="one_time") & ~Q(status__in=OVER),
                name="subscription_one_live_purchase",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["account", "created_at"], name="subscription_account"),
            models.Index(
                fields=["next_invoice_at"],
                condition=Q(status__in=("trialing", "active")),
                name="subscription_due",
            ),
            models.Index(fields=["status", "period_end_on"], name="subscription_ending"),
        ]
