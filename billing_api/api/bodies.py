"""Bodies of answers for the documentation; BillingService's queries form them (docs/contracts.md §3)."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from billing_api.api.fields import ExplanationField, MoneyField, PeriodField, StepsField, TextField


class QuoteLineBody(serializers.Serializer[Any]):
    """A line of an invoice that was not written."""

    kind = serializers.CharField()
    description = TextField()
    product_id = serializers.UUIDField(allow_null=True)
    price_id = serializers.UUIDField(allow_null=True)
    quantity = serializers.IntegerField()
    list_amount = MoneyField()
    discount = MoneyField()
    net = MoneyField()
    vat = MoneyField()
    vat_rate_bp = serializers.IntegerField()
    period = PeriodField()
    steps = StepsField()
    explanation = ExplanationField()


class LineBody(QuoteLineBody):
    """A line of an invoice with the steps that explain its figure."""

    id = serializers.UUIDField()


class InvoiceBody(serializers.Serializer[Any]):
    """``InvoiceView``."""

    id = serializers.UUIDField()
    number = serializers.CharField(allow_null=True)
    user_id = serializers.UUIDField()
    subscription_id = serializers.UUIDField(allow_null=True)
    kind = serializers.ChoiceField(["first", "renewal", "change", "purchase", "charge", "debt"])
    status = serializers.ChoiceField(["draft", "open", "paid", "void", "uncollectible"])
    collection = serializers.CharField()
    total = MoneyField()
    vat = MoneyField()
    balance_applied = MoneyField()
    paid = MoneyField()
    credited = MoneyField()
    amount_due = MoneyField()
    lines = LineBody(many=True)
    steps = StepsField()
    explanation = ExplanationField()
    reason = serializers.CharField(allow_null=True)
    issued_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True)


class FiguresBody(serializers.Serializer[Any]):
    """The figures of a line."""

    list_amount = MoneyField()
    discount = MoneyField()
    net = MoneyField()
    vat = MoneyField()
    vat_rate_bp = serializers.IntegerField()


class LineProofBody(serializers.Serializer[Any]):
    """A line, stored and worked out again; ``recomputed`` is null when its steps contradict themselves."""

    line_id = serializers.UUIDField()
    position = serializers.IntegerField()
    description = TextField()
    agrees = serializers.BooleanField()
    stored = FiguresBody()
    recomputed = FiguresBody(allow_null=True)
    fault = serializers.CharField(allow_null=True)
    verdict = TextField()
    steps = StepsField()
    explanation = ExplanationField()


class DueProofBody(serializers.Serializer[Any]):
    """What was to be paid when the invoice was issued, stored and worked out again."""

    agrees = serializers.BooleanField()
    stored = MoneyField()
    recomputed = MoneyField(allow_null=True)
    fault = serializers.CharField(allow_null=True)
    verdict = TextField()
    steps = StepsField()
    explanation = ExplanationField()


class InvoiceProofBody(serializers.Serializer[Any]):
    """``ProofView``: why each amount, and whether it follows."""

    invoice_id = serializers.UUIDField()
    number = serializers.CharField(allow_null=True)
    agrees = serializers.BooleanField()
    lines = LineProofBody(many=True)
    amount_due_at_issue = DueProofBody()


class CreditNoteLineBody(serializers.Serializer[Any]):
    """What is credited of one line of the invoice."""

    invoice_line_id = serializers.UUIDField()
    description = TextField()
    amount = MoneyField()
    vat = MoneyField()
    vat_rate_bp = serializers.IntegerField()


class CreditNoteBody(serializers.Serializer[Any]):
    """The correction of an issued invoice."""

    id = serializers.UUIDField()
    number = serializers.CharField()
    invoice_id = serializers.UUIDField()
    invoice_number = serializers.CharField()
    total = MoneyField()
    vat = MoneyField()
    reason = serializers.CharField()
    refund_id = serializers.UUIDField(allow_null=True)
    lines = CreditNoteLineBody(many=True)
    issued_at = serializers.DateTimeField()


class SubscriptionBody(serializers.Serializer[Any]):
    """``SubscriptionView``."""

    id = serializers.UUIDField()
    user_id = serializers.UUIDField()
    kind = serializers.ChoiceField(["recurring", "one_time"])
    product_id = serializers.UUIDField()
    price_id = serializers.UUIDField()
    product_group = serializers.CharField()
    status = serializers.CharField()
    cancel_at_period_end = serializers.BooleanField()
    grants_access = serializers.BooleanField()
    access_until = serializers.DateTimeField(allow_null=True)
    reduced_until = serializers.DateTimeField(allow_null=True)
    current_period = PeriodField()
    trial_ends_at = serializers.DateTimeField(allow_null=True)
    term_periods = serializers.IntegerField(allow_null=True)
    periods_billed = serializers.IntegerField()
    next_invoice_at = serializers.DateTimeField(allow_null=True)
    pending_change = serializers.DictField(allow_null=True)
    latest_invoice_id = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()


class BalanceBody(serializers.Serializer[Any]):
    """Where an account stands in one currency."""

    currency = serializers.CharField()
    balance = MoneyField()
    available = MoneyField()


class AccountBody(serializers.Serializer[Any]):
    """A personal account; ``balance`` above zero is prepaid money.

    ``balances``: every currency the account has moved in, its own first; ``balance`` is that of its own.
    """

    user_id = serializers.UUIDField()
    balance = MoneyField()
    available = MoneyField()
    currency = serializers.CharField()
    balances = BalanceBody(many=True)
    time_zone = serializers.CharField()


class FlowBody(serializers.Serializer[Any]):
    """What provider payments brought and refunds took in one currency; both >= 0."""

    currency = serializers.CharField()
    received = MoneyField()
    refunded = MoneyField()


class AccountFlowBody(AccountBody):
    """``flows``: all provider payments and refunds posted for the user, the account's own currency first.

    ``received`` and ``refunded`` are those of its own currency.
    """

    received = MoneyField()
    refunded = MoneyField()
    flows = FlowBody(many=True)


class ChargeBody(serializers.Serializer[Any]):
    """What an account was charged for: a line of an issued invoice."""

    id = serializers.UUIDField()
    product_id = serializers.UUIDField(allow_null=True)
    price_id = serializers.UUIDField(allow_null=True)
    invoice_id = serializers.UUIDField()
    invoice_number = serializers.CharField(allow_null=True)
    invoice_status = serializers.CharField()
    kind = serializers.CharField()
    description = TextField()
    quantity = serializers.IntegerField()
    list_amount = MoneyField()
    discount = MoneyField()
    net = MoneyField()
    vat = MoneyField()
    vat_rate_bp = serializers.IntegerField()
    period = PeriodField()
    steps = StepsField()
    explanation = ExplanationField()
    charged_at = serializers.DateTimeField()


class DeclineBody(serializers.Serializer[Any]):
    """Why a payment failed, as its provider said."""

    def get_fields(self) -> dict[str, Any]:
        # `class` is a word of Python's own.
        return {
            "class": serializers.CharField(),
            "code": serializers.CharField(),
            "message": serializers.CharField(),
        }


class RefundBody(serializers.Serializer[Any]):
    """Money of a payment that went back; ``reason``: a word of ours or what staff typed."""

    id = serializers.UUIDField()
    amount = MoneyField()
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()


class PaymentBody(serializers.Serializer[Any]):
    """A payment as billing sees it."""

    id = serializers.UUIDField()
    invoice_id = serializers.UUIDField(allow_null=True)
    status = serializers.CharField()
    initiator = serializers.ChoiceField(["customer", "merchant"])
    amount = MoneyField()
    captured = MoneyField()
    refunded = MoneyField()
    to_invoice = MoneyField()
    to_balance = MoneyField()
    late = serializers.BooleanField()
    decline = DeclineBody(allow_null=True)
    card_mask = serializers.CharField(allow_null=True)
    refunds = RefundBody(many=True)
    created_at = serializers.DateTimeField()
    succeeded_at = serializers.DateTimeField(allow_null=True)


class BookedPaymentBody(PaymentBody):
    """The same for other services, which ask about everybody."""

    user_id = serializers.UUIDField()


class AccessBasisBody(serializers.Serializer[Any]):
    """Why a user has access: a subscription or purchase and the resources it grants until when."""

    subscription_id = serializers.UUIDField()
    user_id = serializers.UUIDField()
    product_id = serializers.UUIDField()
    status = serializers.CharField()
    grants = serializers.ListField(child=serializers.CharField())
    until = serializers.DateTimeField(allow_null=True)
    reduced_grants = serializers.ListField(child=serializers.CharField())
    reduced_until = serializers.DateTimeField(allow_null=True)


class QuoteBody(serializers.Serializer[Any]):
    """``QuoteView``."""

    product_id = serializers.UUIDField()
    price_id = serializers.UUIDField()
    currency = serializers.CharField()
    lines = QuoteLineBody(many=True)
    steps = StepsField()
    subtotal = MoneyField()
    discount = MoneyField()
    total = MoneyField()
    vat = MoneyField()
    balance_applied = MoneyField()
    amount_due = MoneyField()
    period = PeriodField()
    trial_days = serializers.IntegerField()
    trial_needs_method = serializers.BooleanField()
    term_periods = serializers.IntegerField(allow_null=True)
    renews_at = serializers.DateTimeField(allow_null=True)
    promo_code = serializers.CharField(allow_null=True)
    next_total = MoneyField(allow_null=True)


class StartedBody(serializers.Serializer[Any]):
    """A subscription and its open (or already paid) invoice."""

    subscription = SubscriptionBody()
    invoice = InvoiceBody(allow_null=True)


class ChangedBody(serializers.Serializer[Any]):
    """A subscription after a change."""

    subscription = SubscriptionBody()


class ChangeQuoteBody(QuoteBody):
    """What a change of product costs now and when it takes effect; ``lapses_at``: unless it is paid."""

    to_balance = MoneyField()
    timing = serializers.ChoiceField(["now", "at_period_end"])
    effective_on = serializers.DateField()
    lapses_at = serializers.DateTimeField(allow_null=True)


class ProductChangedBody(ChangedBody):
    """``invoice`` is null when nothing is due now; ``quote`` when the change was open already."""

    invoice = InvoiceBody(allow_null=True)
    quote = ChangeQuoteBody(allow_null=True)


class CancellationBody(serializers.Serializer[Any]):
    """What PayAPI is to be asked for, and the id to ask with."""

    cancellation_id = serializers.UUIDField()
    payment_id = serializers.UUIDField()
    action = serializers.ChoiceField(["void", "refund"])
    amount = MoneyField()


class MovementDocumentBody(serializers.Serializer[Any]):
    """What a movement comes of; documents without a number have none."""

    kind = serializers.CharField()
    id = serializers.UUIDField()
    number = serializers.CharField(allow_null=True)


class MovementBody(serializers.Serializer[Any]):
    """A movement of the personal account, signed from the customer's view."""

    at = serializers.DateTimeField()
    document = MovementDocumentBody()
    description = TextField()
    amount = MoneyField()
    balance = MoneyField()


class StatementAccountBody(serializers.Serializer[Any]):
    """Whose statement, in which currency; days are those of the zone."""

    user_id = serializers.UUIDField()
    currency = serializers.CharField()
    time_zone = serializers.CharField()


class StatementBody(serializers.Serializer[Any]):
    """A statement: opening balance + movements = closing balance."""

    account = StatementAccountBody()
    to = serializers.DateField()
    opening_balance = MoneyField()
    movements = MovementBody(many=True)
    closing_balance = MoneyField()

    def get_fields(self) -> dict[str, Any]:
        # `from` is a word of Python's own.
        return {"from": serializers.DateField(), **super().get_fields()}
