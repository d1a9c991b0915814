"""Refund of a payment.

``/admin/billing_service/payment/<payment_id>/refund/``: ``amount`` (empty: all that is left), ``reason``,
``token``; then ``confirm=1``.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from admin_panel.actions.base import Order, StaffAction, actor
from admin_panel.actions.effects import Row, credited_already, money
from admin_panel.actions.forms import ActionForm, MoneyField
from admin_panel.actions.subjects import load
from admin_panel.sections.formats import page_url
from billing_api.billing_service.commands.refund_payment import refund_payment
from billing_api.billing_service.models import Payment
from shared.money import Money


class RefundForm(ActionForm):
    amount = MoneyField(
        label=_("Amount, roubles"), required=False, help_text=_("Empty: all that is left of it.")
    )


class RefundPayment(StaffAction):
    slug = "refund"
    permission = "refund_payment"
    title = _("Refund the payment")
    icon = "undo"
    form = RefundForm
    warning = _("Money goes back to the payer; this cannot be undone.")

    def subject(self, subject_id: Any) -> Payment:
        return load(Payment, subject_id)

    def subject_text(self, subject: Any) -> str:
        return str(subject.pk)

    def subject_url(self, subject: Payment) -> str:
        return page_url("billing_service_payment", subject.pk)

    def command(self, order: Order, *, preview: bool) -> Any:
        payment: Payment = order.subject
        left_minor = payment.captured_minor - payment.refunded_minor
        amount = Money(order.values["amount"] or left_minor, payment.currency)
        return refund_payment(
            payment.pk, amount, actor=actor(order), reason=order.reason, preview=preview, now=order.now
        )

    def rows(self, order: Order, result: Any) -> list[Row]:
        ends = _now("ends with its access rights") if result.ends_subscription else _now("goes on")
        rows = [
            Row(_now("Goes back to the payer"), money(result.amount)),
            Row(_now("Left of the payment"), money(result.left)),
            Row(_now("What it bought"), ends),
        ]
        if result.debt.amount:
            rows.append(Row(_now("Spent on other invoices, becomes a debt"), money(result.debt)))
        rows += credited_already(result.credited_already)
        return rows
