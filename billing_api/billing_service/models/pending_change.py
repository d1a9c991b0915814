"""Changes of product that wait for their payment or for the period's end, and what became of them."""

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


class PendingChange(BillingModel):
    """The terms changed to, fixed when it was asked for; dates are of the subscription's zone.

    ``now`` has an invoice (none in a trial) and lapses with ``lapses_at``; ``at_period_end`` waits for the
    next period. ``terms_before`` are the subscription's terms when it was asked for, and, once
    it is carried out, what a refunded change gives back.
    """

    id = id_field()
    account = account_field()
    subscription = reference("Subscription", related_name="changes", db_index=False)
    product = reference("Product")
    price = reference("Price")
    invoice = reference("Invoice", null=True)
    timing = models.CharField(max_length=16, choices=choices("now", "at_period_end"))
    effective_on = models.DateField()
    lapses_at = models.DateTimeField(null=True)
    unit_minor = minor_field()
    currency = currency_field()
    interval_unit = models.CharField(max_length=16)
    interval_count = models.IntegerField()
    term_periods = models.IntegerField(null=True)
    moves_anchor = models.BooleanField()
    terms_before = models.JSONField(default=dict)
    state = models.CharField(max_length=16, choices=choices("open", "done", "lapsed", "replaced", "undone"))
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    class Meta(BillingModel.Meta):
        db_table = "pending_change"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["subscription"], condition=Q(state="open"), name="pending_change_one_open"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["account", "created_at"], name="pending_change_account"),
            models.Index(fields=["subscription", "created_at"], name="pending_change_sub"),
            models.Index(fields=["lapses_at"], condition=Q(state="open"), name="pending_change_lapsing"),
        ]
