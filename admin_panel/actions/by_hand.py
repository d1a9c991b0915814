"""What staff say of money that no provider tells of: a transfer came, a refund was sent or not.

``/admin/billing_service/payment/<payment_id>/confirm-transfer/``: ``amount`` (empty: the whole), ``reason``,
``token``; ``…/confirm-refund/``: ``refund``, ``finding``, ``reason``, ``token``; then ``confirm=1``. Both go
through UserAPI to PayAPI, which records them; BillingAPI posts the money by the payment's event.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from uuid import UUID

from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from admin_panel.actions.base import Order, StaffAction, actor
from admin_panel.actions.effects import Row, money
from admin_panel.actions.forms import ActionForm, MoneyField, choice_field
from admin_panel.actions.subjects import load
from admin_panel.clients.user_api import user_api
from admin_panel.databases import BILLING_PAGES
from admin_panel.sections.formats import page_url
from admin_panel.sections.words import word
from billing_api.billing_service.commands.note_confirmation import Confirmation, note_confirmation
from billing_api.billing_service.models import Payment, ReviewItem
from billing_api.billing_service.reports import REFUND_UNKNOWN
from shared.errors import AppError, conflict, invalid
from shared.money import Money

BANK_TRANSFER: Final = "bank_transfer"
# A transfer that comes after its wait is late money, and is taken down all the same.
_AWAITED: Final = ("action_required", "cancelled")


@dataclass(frozen=True, slots=True)
class _Effect:
    """What PayAPI says of the payment now, and the money that is being confirmed."""

    view: Mapping[str, Any]
    amount: Money


def money_of(value: Mapping[str, Any]) -> Money:
    """An amount as services write it."""
    return Money(int(value["amount"]), str(value["currency"]))


class StaffWord(StaffAction):
    """Tells PayAPI first (once per token), then notes it in the audit; confirming again heals a cut."""

    kind: ClassVar[Confirmation]
    _seen: Money

    def finding(self, order: Order) -> str | None:
        """What the person chose, where there is a choice; for the audit."""
        return order.values.get("finding")

    def subject(self, subject_id: Any) -> Payment:
        return load(Payment, subject_id)

    def subject_text(self, subject: Any) -> str:
        return str(subject.pk)

    def subject_url(self, subject: Payment) -> str:
        return page_url("billing_service_payment", subject.pk)

    @abstractmethod
    def tell(self, order: Order) -> Money:
        """Has PayAPI take it down, once per token; gives the money confirmed."""

    def done(self, order: Order) -> bool:
        self._seen = self.tell(order)  # before the transaction of the note
        return super().done(order)

    def command(self, order: Order, *, preview: bool) -> Any:
        """The note in the audit."""
        return note_confirmation(
            order.subject.pk,
            self.kind,
            self._seen,
            finding=self.finding(order),
            actor=actor(order),
            reason=order.reason,
            now=order.now,
        )


class TransferForm(ActionForm):
    amount = MoneyField(
        label=_("Amount that came, roubles"),
        required=False,
        help_text=_("Empty: all that was asked for. A part leaves the invoice open for the rest."),
    )


class ConfirmTransfer(StaffWord):
    slug = "confirm-transfer"
    permission = "confirm_transfer"
    title = _("Confirm the bank transfer")
    icon = "account_balance"
    form = TransferForm
    kind = "confirm_transfer"
    warning = _("Only money seen on the bank account may be confirmed; this cannot be undone.")

    @classmethod
    def is_offered(cls, subject_id: UUID | None) -> bool:
        return load(Payment, subject_id).provider == BANK_TRANSFER

    def _amount(self, order: Order) -> Money:
        payment: Payment = order.subject
        return Money(order.values["amount"] or payment.amount_minor, payment.currency)

    def previewed(self, order: Order) -> _Effect:
        view, amount = user_api().payment(order.subject.pk), self._amount(order)
        if view["status"] not in _AWAITED:
            raise conflict("transfer-not-awaited", f"The payment is {view['status']}.")
        if amount.amount > money_of(view["amount"]).amount:
            raise invalid("amount-too-large", "More than the payment asks for: record the rest by itself.")
        return _Effect(view, amount)

    def tell(self, order: Order) -> Money:
        amount = self._amount(order)
        user_api().confirm_transfer(order.subject.pk, amount, order.reason, order.staff_name, order.key)
        return amount

    def rows(self, order: Order, result: _Effect) -> list[Row]:
        asked = money_of(result.view["amount"])
        rest = Money(asked.amount - result.amount.amount, asked.currency)
        is_late = result.view["status"] == "cancelled"
        whole = (
            _now("the invoice is paid") if not rest.amount else _now("the invoice stays open for the rest")
        )
        late = _now("the wait is over: an open invoice is paid, otherwise it becomes balance")
        return [
            Row(_now("Code in the transfer"), str(order.subject.pk)[-8:].upper()),
            Row(_now("Asked for"), money(asked)),
            Row(_now("Has come"), money(result.amount)),
            Row(_now("Still missing"), money(rest)),
            Row(_now("What follows"), late if is_late else whole),
        ]


class RefundChoiceForm(ActionForm):
    """``waiting``: (refund id, words) of the refunds that wait for a person."""

    finding = choice_field(
        [("sent", _("its money was sent back")), ("not_sent", _("its money was not sent"))],
        label=_("What was found"),
        help_text=_("Not sent: the refund ends as failed, its amount is free and may be refunded anew."),
    )

    def __init__(self, data: Any, *, waiting: list[tuple[str, str]], **options: Any) -> None:
        super().__init__(data, **options)
        self.fields["refund"] = choice_field(
            waiting,
            label=_("Refund"),
            help_text="" if waiting else _("No refund of this payment waits for a person."),
        )
        self.order_fields(["refund", "finding", "reason", "token"])


class ConfirmRefund(StaffWord):
    slug = "confirm-refund"
    permission = "confirm_refund"
    title = _("Settle a refund by hand")
    icon = "outbound"
    form = RefundChoiceForm
    kind = "confirm_refund"
    warning = _(
        "Sent: only a refund that the bank has carried out. Not sent: only one that the provider's cabinet"
        " does not have. This cannot be undone."
    )

    @classmethod
    def is_offered(cls, subject_id: UUID | None) -> bool:
        """Of bank transfers always; of other payments once PayAPI has asked for a person."""
        if load(Payment, subject_id).provider == BANK_TRANSFER:
            return True
        asked = ReviewItem.objects.using(BILLING_PAGES).filter(kind=REFUND_UNKNOWN)
        return asked.filter(detail__payment_id=str(subject_id)).exists()

    def form_for(self, subject: Any, data: Any, initial: Mapping[str, Any]) -> ActionForm:
        try:
            refunds = user_api().payment(subject.pk)["refunds"]
        except AppError:
            refunds = []
        # One confirmed just now stays a choice: the second click of a form must find its value valid.
        sent = data.get("refund") if data is not None else None
        waiting = [
            (refund["id"], f"{money(money_of(refund['amount']))}, {refund['reason']}")
            for refund in refunds
            if refund["waits_for_person"] or refund["id"] == sent
        ]
        return RefundChoiceForm(data, waiting=waiting, initial=dict(initial))

    def _refund(self, order: Order, view: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = next(
            refund for refund in view["refunds"] if refund["id"] == order.values["refund"]
        )
        return found

    def previewed(self, order: Order) -> _Effect:
        view = user_api().payment(order.subject.pk)
        refund = self._refund(order, view)
        if not refund["waits_for_person"]:
            raise conflict("refund-not-awaited", f"The refund is {refund['status']}.")
        return _Effect(view, money_of(refund["amount"]))

    def tell(self, order: Order) -> Money:
        refund_id, payment_id = UUID(order.values["refund"]), order.subject.pk
        answer = user_api().confirm_refund(
            payment_id, refund_id, order.values["finding"], order.reason, order.staff_name, order.key
        )
        return money_of(self._refund(order, answer["payment"])["amount"])

    def rows(self, order: Order, result: _Effect) -> list[Row]:
        left = money_of(result.view["captured"]).amount - money_of(result.view["refunded"]).amount
        if order.values["finding"] == "not_sent":
            return [
                Row(_now("Amount that is free again"), money(result.amount)),
                Row(_now("State of the refund"), word("failed"), word("unknown")),
                Row(_now("What follows"), _now("refund the payment anew, if the money is still owed")),
            ]
        return [
            Row(_now("Goes back to the payer"), money(result.amount)),
            Row(
                _now("Left of the payment"), money(Money(left - result.amount.amount, result.amount.currency))
            ),
            Row(_now("Status"), word("refunded" if left == result.amount.amount else "partially_refunded")),
        ]
