"""Invoices, their lines and the counters of document numbers."""

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


class Invoice(BillingModel):
    """An issued document: a trigger refuses changes to what it says; only how it stands may move.

    ``amount_due_minor`` = total - balance applied - paid - credited while open - written off. The balance
    applied is negative on a ``debt``: it asks for what the account owes, and sells nothing.
    """

    id = id_field()
    account = account_field(related_name="invoices")
    subscription = reference("Subscription", null=True, related_name="invoices")
    number = models.CharField(max_length=32, unique=True, null=True)  # given by the last statement
    kind = models.CharField(
        max_length=16, choices=choices("first", "renewal", "change", "purchase", "charge", "debt")
    )
    currency = currency_field()
    list_minor = minor_field()
    discount_minor = minor_field()
    total_minor = minor_field()
    vat_minor = minor_field()
    balance_applied_minor = minor_field()
    steps = models.JSONField(default=list)
    customer_snapshot = models.JSONField(default=dict)  # no name, no e-mail
    corrects_id = models.UUIDField(null=True)  # the invoice that a correcting charge or a debt goes back to
    reason = models.TextField(blank=True)
    period_start_on = models.DateField(null=True)
    period_end_on = models.DateField(null=True)
    issued_at = models.DateTimeField()
    due_at = models.DateTimeField()

    status = models.CharField(
        max_length=16, choices=choices("draft", "open", "paid", "void", "uncollectible")
    )
    collection = models.CharField(
        max_length=16,
        choices=choices("none", "processing", "action_required", "failed", "partially_paid", "overdue"),
        default="none",
    )
    paid_minor = minor_field(default=0)
    credited_minor = minor_field(default=0)
    credited_unpaid_minor = minor_field(default=0)  # the part of it credited before the invoice was paid
    written_off_minor = minor_field(default=0)
    amount_due_minor = minor_field()
    paid_at = models.DateTimeField(null=True)
    overdue_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)  # void or uncollectible
    collects_automatically = models.BooleanField(default=False)
    next_collection_at = models.DateTimeField(null=True)
    collection_failures = models.IntegerField(default=0)
    first_failed_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()

    class Meta(BillingModel.Meta):
        db_table = "invoice"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["subscription", "period_start_on"],
                condition=Q(kind__in=("first", "renewal")) & ~Q(status="void"),
                name="invoice_one_per_period",
            ),
            models.CheckConstraint(
                condition=Q(amount_due_minor__gte=0)
                & Q(paid_minor__gte=0)
                & Q(credited_minor__gte=0)
                & (Q(balance_applied_minor__gte=0) | Q(kind="debt")),
                name="invoice_amounts_not_negative",
            ),
            models.CheckConstraint(
                condition=~Q(kind="debt") | Q(total_minor=0, vat_minor=0, balance_applied_minor__lt=0),
                name="invoice_debt_sells_nothing",
            ),
            models.CheckConstraint(
                condition=Q(credited_minor__lte=models.F("total_minor")) | Q(total_minor__lt=0),
                name="invoice_credited_within_total",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["account", "issued_at"], name="invoice_account"),
            models.Index(
                fields=["next_collection_at"], condition=Q(status="open"), name="invoice_to_collect"
            ),
            models.Index(fields=["due_at"], condition=Q(status="open"), name="invoice_open_due"),
        ]

    def __str__(self) -> str:
        return self.number or str(self.id)


class InvoiceLine(BillingModel):
    """A line with the steps that explain its figure; never updated. A credit line is negative."""

    id = id_field()
    account = account_field()
    invoice = reference("Invoice", related_name="lines", db_index=False)
    position = models.IntegerField()
    kind = models.CharField(max_length=16)
    description = models.JSONField()  # {"ru": ..., "en": ...}
    product_id = models.UUIDField(null=True)
    price_id = models.UUIDField(null=True)
    product_snapshot = models.JSONField(default=dict)
    quantity = models.IntegerField()
    list_minor = minor_field()
    discount_minor = minor_field()
    net_minor = minor_field()  # after discounts, VAT included
    vat_minor = minor_field()
    vat_rate_bp = models.IntegerField()
    period_start_on = models.DateField(null=True)
    period_end_on = models.DateField(null=True)
    steps = models.JSONField()

    class Meta(BillingModel.Meta):
        db_table = "invoice_line"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["invoice", "position"], name="invoice_line_position"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["account"], name="invoice_line_account")
        ]


class DocumentCounter(BillingModel):
    """The last number given in a series (``invoice``, ``credit_note``) and year."""

    id = models.BigAutoField(primary_key=True)
    series = models.CharField(max_length=16)
    year = models.IntegerField()
    last_number = models.BigIntegerField()

    class Meta(BillingModel.Meta):
        db_table = "document_counter"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["series", "year"], name="document_counter_once"),
        ]
