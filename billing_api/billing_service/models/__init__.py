"""The billing tables: columns and constraints only, one file per noun."""

from billing_api.billing_service.models.account import (
    Account,
    AccountBalance,
    Customer,
    KnownCard,
    TokenState,
    TrialUse,
)
from billing_api.billing_service.models.audit import AuditRecord, ReviewItem
from billing_api.billing_service.models.billing_run import BillingRun, RunItem, RunTick
from billing_api.billing_service.models.collection import LIVE_ATTEMPTS, CollectionAttempt, OutgoingOrder
from billing_api.billing_service.models.credit_note import CreditNote, CreditNoteLine
from billing_api.billing_service.models.discount import DiscountUse, PersonalDiscount, Promotion
from billing_api.billing_service.models.invoice import DocumentCounter, Invoice, InvoiceLine
from billing_api.billing_service.models.ledger import LedgerEntry, LedgerTransaction
from billing_api.billing_service.models.payment import Payment, PaymentCancellation, Refund
from billing_api.billing_service.models.pending_change import PendingChange
from billing_api.billing_service.models.product import Price, Product
from billing_api.billing_service.models.promo_code import PromoCode, PromoRedemption
from billing_api.billing_service.models.subscription import Subscription

__all__ = [
    "LIVE_ATTEMPTS",
    "Account",
    "AccountBalance",
    "AuditRecord",
    "BillingRun",
    "CollectionAttempt",
    "CreditNote",
    "CreditNoteLine",
    "Customer",
    "DiscountUse",
    "DocumentCounter",
    "Invoice",
    "InvoiceLine",
    "KnownCard",
    "LedgerEntry",
    "LedgerTransaction",
    "OutgoingOrder",
    "Payment",
    "PaymentCancellation",
    "PendingChange",
    "PersonalDiscount",
    "Price",
    "Product",
    "PromoCode",
    "PromoRedemption",
    "Promotion",
    "Refund",
    "ReviewItem",
    "RunItem",
    "RunTick",
    "Subscription",
    "TokenState",
    "TrialUse",
]
