"""Credit notes: corrections of issued invoices, linked to their lines."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from billing_api.billing_service.models.base import (
    BillingModel,
    account_field,
    currency_field,
    id_field,
    minor_field,
    reference,
)


class CreditNote(BillingModel):
    id = id_field()
    account = account_field(related_name="credit_notes")
    invoice = reference("Invoice", related_name="credit_notes")
    subscription_id = models.UUIDField(null=True)
    number = models.CharField(max_length=32, unique=True, null=True)  # given by the last statement
    currency = currency_field()
    total_minor = minor_field()
    vat_minor = minor_field()
    reason = models.TextField()
    refund_id = models.UUIDField(null=True)
    issued_at = models.DateTimeField()

    class Meta(BillingModel.Meta):
        db_table = "credit_note"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=models.Q(total_minor__gt=0), name="credit_note_positive"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["account", "issued_at"], name="credit_note_account")
        ]


class CreditNoteLine(BillingModel):
    id = id_field()
    account = account_field()
    credit_note = reference("CreditNote", related_name="lines")
    invoice_line = reference("InvoiceLine", related_name="credits")
    amount_minor = minor_field()
    vat_minor = minor_field()
    vat_rate_bp = models.IntegerField()

    class Meta(BillingModel.Meta):
        db_table = "credit_note_line"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["account"], name="credit_note_line_account")
        ]
