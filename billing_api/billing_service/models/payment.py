"""Payments and refunds as billing sees them, and the cancellations users asked for."""

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


class Payment(BillingModel):
    """The newest known state of a payment; the id is the same in every service.

    ``allocated_minor`` went to the invoice, ``to_balance_minor`` became balance; both once it was posted.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    account = account_field(related_name="payments")
    invoice = reference("Invoice", null=True, related_name="payments")
    sequence = models.BigIntegerField()
    initiator = models.CharField(max_length=16)
    provider = models.CharField(max_length=32)
    status = models.CharField(max_length=24)
    currency = currency_field()
    amount_minor = minor_field()
    captured_minor = minor_field(default=0)
    refunded_minor = minor_field(default=0)
    allocated_minor = minor_field(default=0)
    to_balance_minor = minor_field(default=0)
    is_late = models.BooleanField(default=False)
    decline = models.JSONField(null=True)
    card_mask = models.CharField(max_length=32, blank=True)
    payment_method_id = models.UUIDField(null=True)
    created_at = models.DateTimeField()
    succeeded_at = models.DateTimeField(null=True)
    posted_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()

    class Meta(BillingModel.Meta):
        db_table = "payment"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["account", "created_at"], name="payment_account")
        ]


class Refund(BillingModel):
    """Money that went back, once it has; the id is PayAPI's."""

    id = models.UUIDField(primary_key=True, editable=False)
    account = account_field(related_name="refunds")
    payment = reference("Payment", related_name="refund_rows")
    currency = currency_field()
    amount_minor = minor_field()
    reason = models.TextField(blank=True)
    origin = models.CharField(max_length=16)
    cancellation_id = models.UUIDField(null=True)
    refund_order_id = models.UUIDField(null=True)
    credited_minor = minor_field(default=0)
    succeeded_at = models.DateTimeField()

    class Meta(BillingModel.Meta):
        db_table = "refund"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["account", "succeeded_at"], name="refund_account")
        ]


class PaymentCancellation(BillingModel):
    """A user's cancellation: the rule was applied and the amount fixed; open until the event of its end."""

    id = id_field()
    account = account_field()
    payment_id = models.UUIDField()
    invoice = reference("Invoice")
    subscription_id = models.UUIDField(null=True)
    action = models.CharField(max_length=16, choices=choices("void", "refund"))
    currency = currency_field()
    amount_minor = minor_field()
    state = models.CharField(max_length=16, choices=choices("open", "done", "failed"))
    requested_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    class Meta(BillingModel.Meta):
        db_table = "payment_cancellation"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["payment_id"], condition=Q(state="open"), name="payment_cancellation_one_open"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["account", "requested_at"], name="payment_cancellation_account")
        ]
