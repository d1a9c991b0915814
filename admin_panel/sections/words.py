"""The words for stored values (statuses, kinds, ledger accounts), translated, with a colour for statuses."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_lazy as _

WORDS: Final[dict[str, Any]] = {
    # statuses
    "active": _("active"),
    "trialing": _("trial"),
    "incomplete": _("waits for its first payment"),
    "past_due": _("past due"),
    "paused": _("paused"),
    "cancelled": _("cancelled"),
    "expired": _("expired"),
    "blocked": _("blocked"),
    "erased": _("erased"),
    "draft": _("draft"),
    "open": _("open"),
    "paid": _("paid"),
    "void": _("void"),
    "uncollectible": _("uncollectible"),
    "created": _("created"),
    "processing": _("in progress"),
    "action_required": _("waits for the payer"),
    "authorized": _("authorised"),
    "succeeded": _("succeeded"),
    "failed": _("failed"),
    "refunded": _("refunded"),
    "partially_refunded": _("partly refunded"),
    "needs_review": _("needs review"),
    "unknown": _("unknown"),
    "none": "—",
    "partially_paid": _("partly paid"),
    "overdue": _("overdue"),
    "running": _("running"),
    "finished": _("finished"),
    "published": _("published"),
    "retired": _("retired"),
    "pending": _("pending"),
    "done": _("done"),
    "skipped": _("skipped"),
    "error": _("error"),
    "revoked": _("revoked"),
    "reserved": _("reserved"),
    "committed": _("used"),
    "released": _("released"),
    # kinds
    "first": _("first"),
    "renewal": _("renewal"),
    "change": _("change of product"),
    "purchase": _("purchase"),
    "charge": _("correction"),
    "debt": _("debt"),
    "recurring": _("subscription"),
    "one_time": _("one-time purchase"),
    "customer": _("customer"),
    "merchant": _("automatic"),
    "bank_transfer": _("bank transfer"),
    "cloudpayments": "CloudPayments",
    "staff": _("staff"),
    "system": _("system"),
    "user": _("user"),
    "percentage": _("percentage"),
    "fixed_amount": _("fixed amount"),
    "fixed_price": _("fixed price"),
    "free_periods": _("free periods"),
    "free_days": _("free days"),
    "once": _("once"),
    "repeating_invoices": _("several invoices"),
    "repeating_months": _("several months"),
    "forever": _("for ever"),
    "promotion": _("promotion"),
    "personal": _("personal discount"),
    "promo_code": _("promo code"),
    # documents of the ledger
    "invoice": _("invoice"),
    "payment": _("payment"),
    "refund": _("refund"),
    "credit_note": _("credit note"),
    "goodwill": _("goodwill credit"),
    "write_off": _("write-off"),
    "subscription": _("subscription"),
    "account": _("personal account"),
    "personal_discount": _("personal discount"),
    "adjustment": _("adjustment"),
    "recognition": _("revenue recognition"),
    "reversal": _("reversal"),
    "promo_code_batch": _("promo codes"),
    "all": _("everybody"),
    "new_customers": _("new customers"),
    "block": _("blocked"),
    "unblock": _("unblocked"),
    "end-sessions": _("ended all sessions"),
    # findings for a person
    "resolved": _("resolved"),
    "review_item": _("finding"),
    "order": _("order to UserAPI"),
    "money_without_invoice": _("money without an open invoice"),
    "paid_after_end": _("paid after its subscription had ended"),
    "debt_after_refund": _("refunded after it had been spent"),
    "payment_disagrees": _("services disagree about a payment"),
    "refund_refused": _("refund refused"),
    "refund_unknown": _("nobody knows whether a refund was sent"),
    "collection_refused": _("a charge is refused by another service"),
    "billing_set_aside": _("set aside by the billing run"),
    "missed_periods_cap": _("too many missed periods at once"),
    "trial_repeated": _("a second trial with one card"),
    # ledger accounts
    "revenue": _("revenue"),
    "vat": _("VAT"),
    "discounts": _("discounts given"),
    "refunds": _("refunds"),
    "deferred_revenue": _("deferred revenue"),
    "provider_clearing": _("money at the provider"),
    # commands in the audit
    "adjust_charge": _("adjusted a charge"),
    "confirm_transfer": _("confirmed a bank transfer"),
    "confirm_refund": _("settled a refund by hand"),
    "settle_review": _("ended the review of a payment"),
    "grant_goodwill": _("granted a goodwill credit"),
    "void_invoice": _("voided an invoice"),
    "refund_payment": _("refunded a payment"),
    "assign_discount": _("assigned a discount"),
    "end_discount": _("ended a discount"),
    "create_promo_codes": _("created promo codes"),
    "create_promotion": _("created a promotion"),
    "end_promotion": _("ended a promotion"),
    "resolve_review_item": _("resolved a finding"),
    "extend_subscription": _("extended a subscription"),
    "release_subscription": _("had a subscription billed again"),
}

# value -> the label style of django-unfold
COLOURS: Final[dict[str, str]] = {
    **dict.fromkeys(
        ("active", "paid", "succeeded", "published", "finished", "done", "committed", "resolved"), "success"
    ),
    **dict.fromkeys(
        ("trialing", "open", "processing", "running", "created", "authorized", "reserved"), "info"
    ),
    **dict.fromkeys(
        (
            "past_due",
            "incomplete",
            "action_required",
            "partially_paid",
            "partially_refunded",
            "paused",
            "pending",
        ),
        "warning",
    ),
    **dict.fromkeys(
        ("failed", "overdue", "uncollectible", "blocked", "needs_review", "unknown", "error"), "danger"
    ),
}


def word(value: str | None) -> str:
    """The word for a stored value; the value itself when there is none."""
    if not value:
        return "—"
    return str(WORDS.get(value, value.replace("_", " ")))


def colour(value: str | None) -> str:
    """success, info, warning, danger or default."""
    return COLOURS.get(value or "", "default")
