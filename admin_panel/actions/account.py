"""Actions on a personal account: adjust a charge, goodwill credit, personal discount.

Each page first shows a form, then the effect, then does it. The fields, for clients without a browser:

- ``/admin/billing_service/account/<account_id>/adjust-charge/``: ``direction`` (``up`` or ``down``),
  ``invoice_id`` (empty: the newest open or paid invoice), ``amount`` in roubles as text (``50.00``),
  ``reason``, ``token`` (hidden, from the form); the confirmation adds ``confirm=1``.
- ``…/assign-discount/``: ``kind`` (``percentage``, ``fixed_amount``, ``fixed_price``, ``free_periods``,
  ``free_days``), ``value`` (percent, roubles or a number, as text), ``duration_kind``, ``duration_count``,
  ``ends_on`` (optional date), ``reason``, ``token``; then ``confirm=1``.
- ``…/grant-goodwill/``: ``amount``, ``reason``, ``token``; then ``confirm=1``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from admin_panel.actions.base import Order, StaffAction, actor
from admin_panel.actions.charge import AdjustCharge, AdjustForm
from admin_panel.actions.discount_terms import DiscountForm, terms_of, terms_rows
from admin_panel.actions.effects import Row, money
from admin_panel.actions.forms import ActionForm, MoneyField, choice_field
from admin_panel.actions.subjects import load
from admin_panel.databases import BILLING_PAGES
from admin_panel.sections.formats import day_text, money_text, name_of, page_url
from admin_panel.sections.words import word
from billing_api.billing_service.commands.assign_discount import assign_discount
from billing_api.billing_service.commands.grant_goodwill import grant_goodwill
from billing_api.billing_service.models import Account, Invoice
from shared.money import Money

CHOSEN_FROM = 25


class AccountAction(StaffAction):
    """An action whose subject is a personal account."""

    def subject(self, subject_id: Any) -> Account:
        return load(Account, subject_id, "customer")

    def subject_text(self, subject: Account) -> str:
        return name_of(subject) if getattr(subject, "customer", None) else str(subject.user_id)

    def subject_url(self, subject: Account) -> str:
        return page_url("billing_service_account", subject.pk)


class AdjustAccountForm(AdjustForm):
    invoice_id = choice_field([], label=_("Invoice"), required=False)

    def __init__(self, *args: Any, invoices: list[Invoice], **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["invoice_id"]
        assert isinstance(field, forms.ChoiceField)
        named = [
            (
                str(row.pk),
                f"{row.number or '—'} · {word(row.status)} · {money_text(row.total_minor, row.currency)}"
                f" · {day_text(row.issued_at.date())}",
            )
            for row in invoices
        ]
        field.choices = named
        self.newest = named[0][0] if named else ""

    def clean_invoice_id(self) -> str:
        chosen = str(self.cleaned_data.get("invoice_id") or self.newest)
        if not chosen:
            raise ValidationError(_("The account has no open or paid invoice to adjust."))
        return chosen


class AdjustAccountCharge(AdjustCharge, AccountAction):
    """One of the account's newest invoices, chosen in the form."""

    form: ClassVar[type[ActionForm]] = AdjustAccountForm

    def form_for(self, subject: Account, data: Any, initial: Mapping[str, Any]) -> ActionForm:
        rows = Invoice.objects.using(BILLING_PAGES).filter(account=subject.pk, status__in=("open", "paid"))
        newest = list(rows.exclude(kind="debt").order_by("-issued_at")[:CHOSEN_FROM])
        return AdjustAccountForm(data, initial=dict(initial), invoices=newest)

    def invoice(self, order: Order) -> Invoice:
        return load(Invoice, UUID(order.values["invoice_id"]))


class GoodwillForm(ActionForm):
    amount = MoneyField(
        label=_("Amount, roubles"), help_text=_("Put on the account; the next invoices use it.")
    )


class GrantGoodwill(AccountAction):
    slug = "grant-goodwill"
    permission = "grant_goodwill"
    title = _("Goodwill credit")
    icon = "redeem"
    form = GoodwillForm

    def command(self, order: Order, *, preview: bool) -> Any:
        amount = Money(order.values["amount"], order.subject.currency)
        return grant_goodwill(
            order.subject.user_id,
            amount,
            actor=actor(order),
            reason=order.reason,
            preview=preview,
            now=order.now,
        )

    def rows(self, order: Order, result: Any) -> list[Row]:
        return [
            Row(_now("Balance of the account"), money(result.balance_after), money(result.balance_before))
        ]


class AssignDiscount(AccountAction):
    slug = "assign-discount"
    permission = "assign_discount"
    title = _("Assign a discount")
    icon = "percent"
    form = DiscountForm

    def command(self, order: Order, *, preview: bool) -> Any:
        return assign_discount(
            order.subject.user_id,
            terms_of(order.values, order.subject.currency),
            actor=actor(order),
            reason=order.reason,
            preview=preview,
            now=order.now,
        )

    def rows(self, order: Order, result: Any) -> list[Row]:
        return terms_rows(order.values, order.subject.currency)
