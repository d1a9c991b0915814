"""Ends the review of a payment whose money the provider's word leaves in doubt.

``/admin/billing_service/payment/<payment_id>/settle-review/``: ``finding``, ``amount``, ``transaction``,
``reason``, ``token``; then ``confirm=1``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.core.validators import RegexValidator
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from admin_panel.actions.base import Order
from admin_panel.actions.by_hand import StaffWord, money_of
from admin_panel.actions.effects import Row, money
from admin_panel.actions.forms import ActionForm, MoneyField, choice_field, text_field
from admin_panel.actions.subjects import load
from admin_panel.clients.user_api import user_api
from admin_panel.sections.words import word
from billing_api.billing_service.models import Payment
from shared.errors import conflict, invalid
from shared.money import Money

_STATUS_AFTER: Final = {"paid": "succeeded", "declined": "failed", "voided": "cancelled"}


class ReviewForm(ActionForm):
    finding = choice_field(
        [
            ("paid", _("the money was taken")),
            ("declined", _("nothing was taken")),
            ("voided", _("the hold was given back")),
        ],
        label=_("What the provider's cabinet shows"),
    )
    amount = MoneyField(
        label=_("Amount that was taken, roubles"),
        required=False,
        help_text=_("Only of money taken. Empty: the whole. A part settles no invoice."),
    )
    transaction = text_field(
        label=_("Provider's transaction"),
        required=False,
        max_length=20,
        validators=[RegexValidator(r"^[0-9]{1,20}$", _("Digits only."))],
        help_text=_(
            "Where the payment has none yet, or the review names one: that of the card you speak of."
        ),
    )


@dataclass(frozen=True, slots=True)
class _Effect:
    """What PayAPI says of the payment now, and the money the person found taken."""

    view: Mapping[str, Any]
    taken: Money


class SettleReview(StaffWord):
    slug = "settle-review"
    permission = "settle_review"
    title = _("End the review")
    icon = "fact_check"
    form = ReviewForm
    kind = "settle_review"
    warning = _("Look in the provider's cabinet first: the payment takes your word, and it cannot be undone.")

    @classmethod
    def is_offered(cls, subject_id: UUID | None) -> bool:
        return load(Payment, subject_id).status == "needs_review"

    def _taken(self, order: Order) -> Money:
        payment: Payment = order.subject
        if order.values["finding"] != "paid":
            return Money(0, payment.currency)
        return Money(order.values["amount"] or payment.amount_minor, payment.currency)

    def previewed(self, order: Order) -> _Effect:
        view = user_api().payment(order.subject.pk)
        if view["status"] != "needs_review":
            raise conflict("review-not-open", f"The payment is {view['status']}.")
        if order.values["finding"] != "paid" and order.values["amount"]:
            raise invalid("amount-without-payment", "Only of a payment that was taken an amount is told.")
        if self._taken(order).amount > money_of(view["amount"]).amount:
            raise invalid("amount-too-large", "More than the payment asks for: give back the rest first.")
        return _Effect(view, self._taken(order))

    def tell(self, order: Order) -> Money:
        part = order.values["amount"]
        user_api().settle_review(
            order.subject.pk,
            order.values["finding"],
            Money(part, order.subject.currency) if part else None,
            order.values["transaction"] or None,
            order.reason,
            order.staff_name,
            order.key,
        )
        return self._taken(order)

    def rows(self, order: Order, result: _Effect) -> list[Row]:
        finding = order.values["finding"]
        return [
            Row(_now("Why it needs review"), str(result.view.get("review_reason") or "—")),
            Row(_now("Asked for"), money(money_of(result.view["amount"]))),
            Row(_now("Was taken"), money(result.taken)),
            Row(_now("Provider's transaction"), order.values["transaction"] or "—"),
            Row(_now("Status"), word(_STATUS_AFTER[finding]), word("needs_review")),
            Row(_now("What follows"), _follows(finding, result)),
        ]


def _follows(finding: str, result: _Effect) -> str:
    if finding != "paid":
        return _now("the invoice is free for another payment")
    if result.taken != money_of(result.view["amount"]):
        return _now("the part is posted, the invoice stays open for the rest")
    return _now("an open invoice is paid; without one the money becomes balance")
