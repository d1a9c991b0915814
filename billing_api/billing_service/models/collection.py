"""Automatic collection attempts, and the calls that billing-worker sends after a commit."""

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

LIVE_ATTEMPTS = ("planned", "accepted")


class CollectionAttempt(BillingModel):
    """An automatic charge of an invoice; its id is the idempotency key and the payment's id."""

    id = id_field()
    account = account_field()
    invoice = reference("Invoice", related_name="collection_attempts")
    subscription_id = models.UUIDField()
    currency = currency_field()
    amount_minor = minor_field()
    state = models.CharField(
        max_length=16, choices=choices(*LIVE_ATTEMPTS, "succeeded", "failed", "refused", "withdrawn")
    )
    refusal = models.CharField(max_length=64, blank=True)
    decline = models.JSONField(null=True)
    planned_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    class Meta(BillingModel.Meta):
        db_table = "collection_attempt"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["invoice"], condition=Q(state__in=LIVE_ATTEMPTS), name="collection_attempt_one_live"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["account", "planned_at"], name="collection_attempt_account"),
            models.Index(fields=["subscription_id", "planned_at"], name="collection_attempt_sub"),
        ]


class OutgoingOrder(BillingModel):
    """A call to UserAPI still to be made; its id is the Idempotency-Key of the call.

    ``collection``: id = attempt id. ``refund``: staff refund or refund of unused days.
    ``payment_reading``: PayAPI's word on a payment is asked for (``body.why``); it writes nothing there.
    ``cancellation``: a cancellation redriven by the sweeper (id = cancellation id).
    ``close_payments``: ``body.then`` says what follows when PayAPI answers ``closed``:
    ``void`` | ``expire`` | ``write_off``.
    """

    id = id_field()
    account = account_field()
    kind = models.CharField(
        max_length=16,
        choices=choices("collection", "refund", "cancellation", "close_payments", "payment_reading"),
    )
    invoice_id = models.UUIDField(null=True)
    payment_id = models.UUIDField(null=True)
    credit_note_id = models.UUIDField(null=True)
    currency = currency_field()
    amount_minor = minor_field(default=0)
    body = models.JSONField(default=dict)
    state = models.CharField(
        max_length=16, choices=choices("pending", "sent", "done", "refused", "withdrawn")
    )
    attempts = models.IntegerField(default=0)
    next_try_at = models.DateTimeField()
    last_error = models.TextField(blank=True)
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    class Meta(BillingModel.Meta):
        db_table = "outgoing_order"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["invoice_id"],
                condition=Q(kind="close_payments", state="pending"),
                name="outgoing_order_one_closing",
            ),
            models.UniqueConstraint(
                fields=["payment_id"],
                condition=Q(kind="payment_reading", state="pending"),
                name="outgoing_order_one_reading",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["next_try_at"], condition=Q(state="pending"), name="outgoing_order_due"),
            models.Index(fields=["account", "created_at"], name="outgoing_order_account"),
            models.Index(fields=["payment_id"], name="outgoing_order_payment"),
        ]
