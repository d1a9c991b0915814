"""What staff call the billing tables, in both languages; the tables themselves know no language."""

from __future__ import annotations

from django.apps import apps
from django.utils.translation import gettext_lazy as _

from billing_api.billing_service import models as billing

NAMES = {
    billing.Account: (_("personal account"), _("personal accounts")),
    billing.InvoiceLine: (_("charge"), _("charges")),
    billing.Invoice: (_("invoice"), _("invoices")),
    billing.Payment: (_("payment"), _("payments")),
    billing.Subscription: (_("subscription"), _("subscriptions")),
    billing.PersonalDiscount: (_("personal discount"), _("personal discounts")),
    billing.Promotion: (_("promotion"), _("promotions")),
    billing.PromoCode: (_("promo code"), _("promo codes")),
    billing.LedgerTransaction: (_("ledger transaction"), _("ledger")),
    billing.CreditNote: (_("credit note"), _("credit notes")),
    billing.BillingRun: (_("billing run"), _("billing runs")),
    billing.ReviewItem: (_("finding"), _("findings")),
    billing.AuditRecord: (_("audit record"), _("audit")),
}

for model, (one, many) in NAMES.items():
    model._meta.verbose_name = one
    model._meta.verbose_name_plural = many

apps.get_app_config("billing_service").verbose_name = _("Billing")
