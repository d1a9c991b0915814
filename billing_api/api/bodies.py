"""Bodies of answers: rows of BillingService as other services and users see them (docs/contracts.md §3)."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing_api.api.fields import MinorField, PeriodField, StepsField, TextField


class LineBody(serializers.Serializer[Any]):
    """A line of an invoice with the steps that explain its figure."""

    id = serializers.UUIDField()
    kind = serializers.CharField()
    description = TextField()
    product_id = serializers.UUIDField(allow_null=True)
    price_id = serializers.UUIDField(allow_null=True)
    quantity = serializers.IntegerField()
    list_amount = MinorField("list_minor")
    discount = MinorField("discount_minor")
    net = MinorField("net_minor")
    vat = MinorField("vat_minor")
    vat_rate_bp = serializers.IntegerField()
    period = PeriodField()
    steps = StepsField()

    def to_representation(self, instance: Any) -> Any:
        # Lines have no currency of their own: it is the invoice's.
        instance.currency = instance.invoice.currency
        return super().to_representation(instance)


class InvoiceBody(serializers.Serializer[Any]):
    """``InvoiceView``."""

    id = serializers.UUIDField()
    number = serializers.CharField(allow_null=True)
    user_id = serializers.UUIDField(source="account.user_id")
    subscription_id = serializers.UUIDField(allow_null=True)
    kind = serializers.ChoiceField(["first", "renewal", "change", "purchase", "charge"])
    status = serializers.ChoiceField(["draft", "open", "paid", "void", "uncollectible"])
    collection = serializers.CharField()
    total = MinorField("total_minor")
    vat = MinorField("vat_minor")
    balance_applied = MinorField("balance_applied_minor")
    paid = MinorField("paid_minor")
    credited = MinorField("credited_minor")
    amount_due = MinorField("amount_due_minor")
    lines = LineBody(many=True, source="ordered_lines")
    issued_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True)


class SubscriptionBody(serializers.Serializer[Any]):
    """``SubscriptionView``."""

    id = serializers.UUIDField()
    user_id = serializers.UUIDField(source="account.user_id")
    kind = serializers.ChoiceField(["recurring", "one_time"])
    product_id = serializers.UUIDField()
    price_id = serializers.UUIDField()
    product_group = serializers.CharField()
    status = serializers.CharField()
    cancel_at_period_end = serializers.BooleanField()
    access_until = serializers.DateTimeField(allow_null=True)
    current_period = PeriodField()
    trial_ends_at = serializers.DateTimeField(allow_null=True)
    next_invoice_at = serializers.DateTimeField(allow_null=True)
    pending_change = serializers.SerializerMethodField()
    latest_invoice_id = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()

    @extend_schema_field({"type": ["object", "null"]})
    def get_pending_change(self, subscription: Any) -> None:
        return None


class AccountBody(serializers.Serializer[Any]):
    """A personal account; ``balance`` above zero is prepaid money."""

    user_id = serializers.UUIDField()
    balance = MinorField("balance_minor")
    currency = serializers.CharField()
    time_zone = serializers.CharField()


class ChargeBody(serializers.Serializer[Any]):
    """What an account was charged for: a line of an issued invoice."""

    id = serializers.UUIDField()
    invoice_id = serializers.UUIDField()
    invoice_number = serializers.CharField(source="invoice.number", allow_null=True)
    invoice_status = serializers.CharField(source="invoice.status")
    kind = serializers.CharField()
    description = TextField()
    quantity = serializers.IntegerField()
    list_amount = MinorField("list_minor")
    discount = MinorField("discount_minor")
    net = MinorField("net_minor")
    vat = MinorField("vat_minor")
    vat_rate_bp = serializers.IntegerField()
    period = PeriodField()
    steps = StepsField()
    charged_at = serializers.DateTimeField(source="invoice.issued_at")

    def to_representation(self, instance: Any) -> Any:
        instance.currency = instance.invoice.currency
        return super().to_representation(instance)


class PaymentBody(serializers.Serializer[Any]):
    """A payment as billing sees it."""

    id = serializers.UUIDField()
    invoice_id = serializers.UUIDField(allow_null=True)
    status = serializers.CharField()
    initiator = serializers.ChoiceField(["customer", "merchant"])
    amount = MinorField("amount_minor")
    captured = MinorField("captured_minor")
    refunded = MinorField("refunded_minor")
    card_mask = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    succeeded_at = serializers.DateTimeField(allow_null=True)


class AccessBasisBody(serializers.Serializer[Any]):
    """Why a user has access: a subscription or purchase and the resources it grants until when."""

    subscription_id = serializers.UUIDField(source="id")
    user_id = serializers.UUIDField(source="account.user_id")
    kind = serializers.CharField()
    status = serializers.CharField()
    product_id = serializers.UUIDField()
    resources = serializers.ListField(child=serializers.CharField(), source="product.grants")
    until = serializers.DateTimeField(source="access_until", allow_null=True)


class QuoteBody(serializers.Serializer[Any]):
    """``QuoteView``, for the documentation: the quote is formed by ``quotes.render``."""

    product_id = serializers.UUIDField()
    price_id = serializers.UUIDField()
    currency = serializers.CharField()
    lines = serializers.ListField(child=serializers.DictField())
    subtotal = MinorField("subtotal_minor")
    discount = MinorField("discount_minor")
    total = MinorField("total_minor")
    vat = MinorField("vat_minor")
    balance_applied = MinorField("balance_applied_minor")
    amount_due = MinorField("amount_due_minor")
    period = PeriodField()
    trial_days = serializers.IntegerField()
    renews_at = serializers.DateTimeField(allow_null=True)
    promo_code = serializers.CharField(allow_null=True)
    next_total = MinorField("next_total_minor", allow_null=True)


class StartedBody(serializers.Serializer[Any]):
    """A subscription and its open (or already paid) invoice."""

    subscription = SubscriptionBody()
    invoice = InvoiceBody(allow_null=True)


class ChangedBody(serializers.Serializer[Any]):
    """A subscription after a change."""

    subscription = SubscriptionBody()


class CancellationBody(serializers.Serializer[Any]):
    """What PayAPI is to be asked for, and the id to ask with."""

    cancellation_id = serializers.UUIDField()
    payment_id = serializers.UUIDField()
    action = serializers.ChoiceField(["void", "refund"])
    amount = MinorField("amount_minor")


class BillingRunBody(serializers.Serializer[Any]):
    """A billing run; ``id`` null when nothing was due."""

    id = serializers.UUIDField(allow_null=True)
    as_of = serializers.DateTimeField()
    due = serializers.IntegerField()
    shards = serializers.IntegerField()
    status = serializers.CharField()


class ShardBody(serializers.Serializer[Any]):
    """What a shard of a run did."""

    invoices = serializers.IntegerField()
    errors = serializers.IntegerField()  # type: ignore[assignment]
    skipped = serializers.IntegerField()


class AttemptsBody(serializers.Serializer[Any]):
    """How many collection attempts were planned."""

    attempts = serializers.IntegerField()


class InvariantBody(serializers.Serializer[Any]):
    """One invariant and, when broken, examples of what breaks it."""

    name = serializers.CharField()
    holds = serializers.BooleanField()
    violations = serializers.ListField(child=serializers.CharField())


class InvariantsBody(serializers.Serializer[Any]):
    """All invariants of the Billing database."""

    holds = serializers.BooleanField()
    items = InvariantBody(many=True)


class QuiescenceBody(serializers.Serializer[Any]):
    """Whether anything is still under way here."""

    quiet = serializers.BooleanField()
    pending = serializers.DictField(child=serializers.IntegerField())
    ticks = serializers.DictField(child=serializers.DateTimeField())


class MovementBody(serializers.Serializer[Any]):
    """A movement of the personal account, signed from the customer's view."""

    at = serializers.DateTimeField()
    document = serializers.DictField()
    description = TextField()
    amount = MinorField("amount_minor")
    balance = MinorField("balance_minor")


class StatementBody(serializers.Serializer[Any]):
    """A statement: opening balance + movements = closing balance."""

    account = AccountBody()
    opening_balance = MinorField("opening_balance_minor")
    movements = MovementBody(many=True)
    closing_balance = MinorField("closing_balance_minor")
