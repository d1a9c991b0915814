"""What BillingService shows: rows as the bodies of the contracts."""

from billing_api.billing_service.queries.accounts import (
    access_bases,
    account_view,
    charges,
    money_flow,
    token_state,
)
from billing_api.billing_service.queries.credit_notes import credit_note_view
from billing_api.billing_service.queries.documents import (
    change_view,
    find_invoice,
    invoice_view,
    invoices_of,
    quote_view,
)
from billing_api.billing_service.queries.invoice_proof import invoice_proof_view
from billing_api.billing_service.queries.invoice_reading import read_invoice
from billing_api.billing_service.queries.payments import payment_view, payments_of
from billing_api.billing_service.queries.runs import quiescence, run_view
from billing_api.billing_service.queries.subscriptions import (
    find_subscription,
    subscription_view,
    subscriptions_of,
)

__all__ = [
    "access_bases",
    "account_view",
    "change_view",
    "charges",
    "credit_note_view",
    "find_invoice",
    "find_subscription",
    "invoice_proof_view",
    "invoice_view",
    "invoices_of",
    "money_flow",
    "payment_view",
    "payments_of",
    "quiescence",
    "quote_view",
    "read_invoice",
    "run_view",
    "subscription_view",
    "subscriptions_of",
    "token_state",
]
