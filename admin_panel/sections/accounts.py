"""Pages of personal accounts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from admin_panel.actions.account import AdjustAccountCharge, AssignDiscount, GrantGoodwill
from admin_panel.databases import BILLING_PAGES
from admin_panel.sections import documents
from admin_panel.sections.base import (
    ReadOnlyAdmin,
    Table,
    moment_column,
    parse_id,
    status_column,
    text_column,
)
from admin_panel.sections.filters import word_filter
from admin_panel.sections.formats import link, money_text, name_of
from billing_api.billing_service.models import (
    Account,
    AccountBalance,
    CreditNote,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Payment,
    PersonalDiscount,
    Subscription,
)


def balances_text(account: Account) -> str:
    """The balance in every currency the account has moved in, its own first."""
    rows = AccountBalance.objects.using(BILLING_PAGES).filter(account=account)
    held = {account.currency: 0, **{row.currency: -row.balance_minor for row in rows.order_by("currency")}}
    return ", ".join(money_text(amount_minor, currency) for currency, amount_minor in held.items())


class AccountAdmin(ReadOnlyAdmin):
    """``?q=`` finds by user id, account id, e-mail, or the number of an invoice or credit note."""

    related = ("customer",)
    ordering = ("-created_at",)
    list_display = ("holder", "ident", "balance", "status_word", "created")
    list_display_links = ("holder", "ident")
    list_filter = (word_filter("status", _("status"), "active", "blocked", "erased"),)
    fields = ("holder", "user_link", "balances", "status_word", "zone", "created")
    staff_actions = (AdjustAccountCharge, AssignDiscount, GrantGoodwill)
    search_help_text = _("User id, e-mail, number of an invoice or credit note")

    holder = text_column(_("Holder"), name_of)
    ident = text_column(_("User id"), lambda row: str(row.user_id), "user_id")
    user_link = text_column(_("User"), lambda row: link("users_user", row.user_id, row.user_id))
    balance = text_column(
        _("Balance"), lambda row: money_text(-(row.balance_minor or 0), row.currency), "balance_minor"
    )
    balances = text_column(_("Balance"), balances_text)
    status_word = status_column("status", _("Status"))
    zone = text_column(_("Time zone"), lambda row: row.time_zone)
    created = moment_column("created_at", _("Opened"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        balance = AccountBalance.objects.using(BILLING_PAGES).filter(
            account=OuterRef("pk"), currency=OuterRef("currency")
        )
        return (
            super()
            .get_queryset(request)
            .annotate(balance_minor=Subquery(balance.values("balance_minor")[:1]))
        )

    def found(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        if identifier := parse_id(term):
            return rows.filter(Q(user_id=identifier) | Q(pk=identifier))
        numbered = Invoice.objects.using(BILLING_PAGES).filter(number__iexact=term).values("account_id")
        credited = CreditNote.objects.using(BILLING_PAGES).filter(number__iexact=term).values("account_id")
        return rows.filter(
            Q(customer__email__icontains=term)
            | Q(customer__document_name__icontains=term)
            | Q(pk__in=numbered)
            | Q(pk__in=credited)
        )

    def tables(self, row: Any) -> Iterable[Table]:
        yield documents.subscriptions(Subscription.objects.filter(account=row.pk))
        yield documents.charges(InvoiceLine.objects.filter(invoice__account=row.pk))
        yield documents.invoices(Invoice.objects.filter(account=row.pk))
        yield documents.payments(Payment.objects.filter(account=row.pk))
        yield documents.credit_notes(CreditNote.objects.filter(account=row.pk))
        yield documents.discounts(PersonalDiscount.objects.filter(account=row.pk))
        yield documents.movements(LedgerEntry.objects.filter(account=row.pk))
