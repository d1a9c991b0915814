"""Puts every page on the admin site."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db.models import Model

from admin_panel.catalog.models import Collection, Movie, Product
from admin_panel.sections import names  # noqa: F401 - it names the models
from admin_panel.sections.accounts import AccountAdmin
from admin_panel.sections.catalog import CollectionAdmin, MovieAdmin, ProductAdmin
from admin_panel.sections.charges import ChargeAdmin
from admin_panel.sections.discounts import PersonalDiscountAdmin, PromotionAdmin
from admin_panel.sections.invoices import CreditNoteAdmin, InvoiceAdmin
from admin_panel.sections.ledger import AuditAdmin, BillingRunAdmin, LedgerTransactionAdmin
from admin_panel.sections.payments import PaymentAdmin
from admin_panel.sections.promo_codes import PromoCodeAdmin
from admin_panel.sections.review import ReviewItemAdmin
from admin_panel.sections.staff import StaffAdmin, StaffGroupAdmin
from admin_panel.sections.subscriptions import SubscriptionAdmin
from admin_panel.sections.users import UserAdmin
from admin_panel.users.models import User as Customer
from billing_api.billing_service import models as billing

PAGES: dict[type[Model], Any] = {
    billing.Account: AccountAdmin,
    billing.InvoiceLine: ChargeAdmin,
    billing.Invoice: InvoiceAdmin,
    billing.Payment: PaymentAdmin,
    billing.Subscription: SubscriptionAdmin,
    billing.PersonalDiscount: PersonalDiscountAdmin,
    billing.Promotion: PromotionAdmin,
    billing.PromoCode: PromoCodeAdmin,
    billing.LedgerTransaction: LedgerTransactionAdmin,
    billing.CreditNote: CreditNoteAdmin,
    billing.BillingRun: BillingRunAdmin,
    billing.ReviewItem: ReviewItemAdmin,
    billing.AuditRecord: AuditAdmin,
    Customer: UserAdmin,
    Movie: MovieAdmin,
    Collection: CollectionAdmin,
    Product: ProductAdmin,
    User: StaffAdmin,
    Group: StaffGroupAdmin,
}

# Django registers its own two pages when their module is imported.
admin.site.unregister([User, Group])
for model, page in PAGES.items():
    admin.site.register(model, page)
