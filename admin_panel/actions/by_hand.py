"""What staff confirm of bank transfers: the money has come, the money of a refund was sent back.

``/admin/billing_service/payment/<payment_id>/confirm-transfer/``: ``amount`` (empty: the whole), ``reason``,
``token``; ``…/confirm-refund/``: ``refund``, ``reason``, ``token``; then ``confirm=1``. Both go through
UserAPI to PayAPI, which records them; BillingAPI posts the money by the payment's event.
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
from admin_panel.sections.formats import page_url
from admin_panel.sections.words import word
from billing_api.billing_service.commands.note_confirmation import Confirmation, note_confirmation
from billing_api.billing_service.models import Payment
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


def _money_of(value: Mapping[str, Any]) -> Money:
    return Money(int(value["amount"]), str(value["currency"]))


class _ByHand(StaffAction):
    """Tells PayAPI first (once per token), then notes it in the audit; confirming again heals a cut."""

    kind: ClassVar[Confirmation]
    _seen: Money

    @classmethod
    def is_offered(cls, subject_id: UUID | None) -> bool:
        return load(Payment, subject_id).provider == BANK_TRANSFER

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


class ConfirmTransfer(_ByHand):
    slug = "confirm-transfer"
    permission = "confirm_transfer"
    title = _("Confirm the bank transfer")
    icon = "account_balance"
    form = TransferForm
    kind = "confirm_transfer"
    warning = _("Only money seen on the bank account may be confirmed; this cannot be undone.")

    def _amount(self, order: Order) -> Money:
        payment: Payment = order.subject
        return Money(order.values["amount"] or payment.amount_minor, payment.currency)

    def previewed(self, order: Order) -> _Effect:
        view, amount = user_api().payment(order.subject.pk), self._amount(order)
        if view["status"] not in _AWAITED:
            raise conflict("transfer-not-awaited", f"The payment is {view['status']}.")
        if amount.amount > _money_of(view["amount"]).amount:
            raise invalid("amount-too-large", "More than the payment asks for: record the rest by itself.")
        return _Effect(view, amount)

    def tell(self, order: Order) -> Money:
        amount = self._amount(order)
        user_api().confirm_transfer(order.subject.pk, amount, order.reason, order.staff_name, order.key)
        return amount

    def rows(self, order: Order, result: _Effect) -> list[Row]:
        asked = _money_of(result.view["amount"])
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

    def __init__(self, data: Any, *, waiting: list[tuple[str, str]], **options: Any) -> None:
        super().__init__(data, **options)
        self.fields["refund"] = choice_field(
            waiting,
            label=_("Refund that was sent"),
            help_text="" if waiting else _("No refund of this payment waits to be sent."),
        )
        self.order_fields(["refund", "reason", "token"])


class ConfirmRefund(_ByHand):
    slug = "confirm-refund"
    permission = "confirm_refund"
    title = _("Confirm the refund was sent")
    icon = "outbound"
    form = RefundChoiceForm
    kind = "confirm_refund"
    warning = _("Only a refund the bank has carried out may be confirmed; this cannot be undone.")

    def form_for(self, subject: Any, data: Any, initial: Mapping[str, Any]) -> ActionForm:
        try:
            refunds = user_api().payment(subject.pk)["refunds"]
        except AppError:
            refunds = []
        # One confirmed just now stays a choice: the second click of a form must find its value valid.
        sent = data.get("refund") if data is not None else None
        waiting = [
            (refund["id"], f"{money(_money_of(refund['amount']))}, {refund['reason']}")
            for refund in refunds
            if refund["status"] == "processing" or refund["id"] == sent
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
        if refund["status"] != "processing":
            raise conflict("refund-not-awaited", f"The refund is {refund['status']}.")
        return _Effect(view, _money_of(refund["amount"]))

    def tell(self, order: Order) -> Money:
        refund_id, payment_id = UUID(order.values["refund"]), order.subject.pk
        answer = user_api().confirm_refund(payment_id, refund_id, order.reason, order.staff_name, order.key)
        return _money_of(self._refund(order, answer["payment"])["amount"])

    def rows(self, order: Order, result: _Effect) -> list[Row]:
        left = _money_of(result.view["captured"]).amount - _money_of(result.view["refunded"]).amount
        return [
            Row(_now("Goes back to the payer"), money(result.amount)),
            Row(
                _now("Left of the payment"), money(Money(left - result.amount.amount, result.amount.currency))
            ),
            Row(_now("Status"), word("refunded" if left == result.amount.amount else "partially_refunded")),
        ]
