"""Adjustments for operators: the commands of AdminPanel with a reason and an actor, each with a preview."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from billing_api.api.documents import IDEMPOTENCY_KEY
from billing_api.api.fields import MoneyField, MoneyInput, StrictBoolean, StrictInteger, as_money
from billing_api.api.internal import InternalView
from billing_api.api.once import run_once
from billing_api.api.permissions import IsOperator
from billing_api.api.requests import read
from billing_api.billing_service.actors import Actor
from billing_api.billing_service.commands.adjust_charge import adjust_charge
from billing_api.billing_service.commands.extend_subscription import MAX_DAYS, extend_subscription
from billing_api.billing_service.commands.grant_goodwill import grant_goodwill
from billing_api.billing_service.commands.refund_payment import refund_payment
from billing_api.billing_service.commands.release_subscription import release_subscription
from billing_api.billing_service.commands.void_invoice import void_invoice
from billing_api.billing_service.commands.write_off import write_off
from billing_api.billing_service.queries.shapes import moment
from billing_api.config import wiring
from shared.money import MAX_AMOUNT_MINOR


class AdjustmentInput(serializers.Serializer[Any]):
    """Who asks for it and why; ``preview`` decides and writes nothing."""

    reason = serializers.CharField(max_length=500)
    actor = serializers.CharField(max_length=128)
    preview = StrictBoolean(default=False)


class SignedMoneyInput(MoneyInput):
    """An amount that may be below zero."""

    amount = StrictInteger(min_value=-MAX_AMOUNT_MINOR, max_value=MAX_AMOUNT_MINOR)


class ChangeOfChargeInput(AdjustmentInput):
    """``change`` above zero charges more, below zero credits."""

    change = SignedMoneyInput()


class AmountInput(AdjustmentInput):
    amount = MoneyInput()


class DaysInput(AdjustmentInput):
    days = StrictInteger(min_value=1, max_value=MAX_DAYS)


class ChargeAdjustedBody(serializers.Serializer[Any]):
    """The correcting charge or credit note (none in a preview); balances from the customer's view.
    ``credited_already``: what of a credit a change of product has credited before, now given twice.
    """

    document = serializers.ChoiceField(["charge", "credit_note", "none"])
    document_id = serializers.UUIDField(allow_null=True)
    number = serializers.CharField(allow_null=True)
    change = MoneyField()
    balance_before = MoneyField()
    balance_after = MoneyField()
    credited_already = MoneyField()


class GoodwillBody(serializers.Serializer[Any]):
    """The credit; balances from the customer's view."""

    adjustment_id = serializers.UUIDField()
    balance_before = MoneyField()
    balance_after = MoneyField()


class WrittenOffBody(serializers.Serializer[Any]):
    invoice_id = serializers.UUIDField()
    amount = MoneyField()
    status = serializers.CharField()
    ends_subscription = serializers.BooleanField()


class VoidingBody(serializers.Serializer[Any]):
    """The invoice is void as soon as its payments are closed."""

    invoice_id = serializers.UUIDField()
    amount = MoneyField()
    state = serializers.CharField()
    ends_subscription = serializers.BooleanField()


class RefundOrderedBody(serializers.Serializer[Any]):
    """``left``: what could still be refunded afterwards. ``debt``: what of it was spent on other invoices.
    ``credited_already``: what of it a change of product has credited before, now given twice.
    """

    order_id = serializers.UUIDField(allow_null=True)
    payment_id = serializers.UUIDField()
    amount = MoneyField()
    left = MoneyField()
    ends_subscription = serializers.BooleanField()
    debt = MoneyField()
    credited_already = MoneyField()


class ExtendedBody(serializers.Serializer[Any]):
    """Access before and after."""

    subscription_id = serializers.UUIDField()
    access_until_before = serializers.DateTimeField(allow_null=True)
    access_until_after = serializers.DateTimeField(allow_null=True)


class ReleasedBody(serializers.Serializer[Any]):
    """``failures`` in a row until now; the next run bills from ``next_invoice_at``."""

    subscription_id = serializers.UUIDField()
    failures = serializers.IntegerField()
    last_error = serializers.CharField()
    next_invoice_at = serializers.DateTimeField(allow_null=True)


class OperatorView(InternalView):
    """Base: operators alone; a preview answers 200, a deed 201."""

    permission_classes: tuple[type[BasePermission], ...] = (IsOperator,)

    def once(
        self,
        request: Request,
        form: type[serializers.Serializer[Any]],
        work: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]],
    ) -> HttpResponse:
        """``work`` gets the checked body and what every command takes; gives the answer's body."""
        given = read(form, request.data)
        common = {
            "actor": Actor("staff", given["actor"]),
            "reason": given["reason"],
            "preview": given["preview"],
            "now": wiring.clock().now(),
        }
        return run_once(request, lambda: (200 if given["preview"] else 201, work(given, common)))


class AdjustCharge(OperatorView):
    @extend_schema(
        operation_id="adjust_charge",
        tags=["adjustments"],
        parameters=[IDEMPOTENCY_KEY],
        request=ChangeOfChargeInput,
        responses={201: ChargeAdjustedBody, 200: ChargeAdjustedBody},
    )
    def post(self, request: Request, invoice_id: UUID) -> HttpResponse:
        """Corrects a charge by a correcting invoice or a credit note; the invoice itself never changes."""

        def work(given: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
            change = as_money(given["change"])
            assert change is not None
            done = adjust_charge(invoice_id, change, **common)
            return {
                "document": done.document,
                "document_id": done.document_id,
                "number": done.number,
                "change": done.change.as_json(),
                "balance_before": done.balance_before.as_json(),
                "balance_after": done.balance_after.as_json(),
                "credited_already": done.credited_already.as_json(),
            }

        return self.once(request, ChangeOfChargeInput, work)


class WriteOff(OperatorView):
    @extend_schema(
        operation_id="write_off",
        tags=["adjustments"],
        parameters=[IDEMPOTENCY_KEY],
        request=AdjustmentInput,
        responses={201: WrittenOffBody, 200: WrittenOffBody},
    )
    def post(self, request: Request, invoice_id: UUID) -> HttpResponse:
        """Gives up what is due of an open invoice."""

        def work(given: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
            done = write_off(invoice_id, **common)
            return {
                "invoice_id": done.invoice_id,
                "amount": done.amount.as_json(),
                "status": done.status,
                "ends_subscription": done.ends_subscription,
            }

        return self.once(request, AdjustmentInput, work)


class VoidInvoice(OperatorView):
    @extend_schema(
        operation_id="void_invoice",
        tags=["adjustments"],
        parameters=[IDEMPOTENCY_KEY],
        request=AdjustmentInput,
        responses={201: VoidingBody, 200: VoidingBody},
    )
    def post(self, request: Request, invoice_id: UUID) -> HttpResponse:
        """Takes an open invoice back once its payments are closed."""

        def work(given: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
            done = void_invoice(invoice_id, **common)
            return {
                "invoice_id": done.invoice_id,
                "amount": done.amount.as_json(),
                "state": done.state,
                "ends_subscription": done.ends_subscription,
            }

        return self.once(request, AdjustmentInput, work)


class RefundPayment(OperatorView):
    @extend_schema(
        operation_id="refund_payment",
        tags=["adjustments"],
        parameters=[IDEMPOTENCY_KEY],
        request=AmountInput,
        responses={201: RefundOrderedBody, 200: RefundOrderedBody},
    )
    def post(self, request: Request, payment_id: UUID) -> HttpResponse:
        """Orders a refund of a part or the rest of a payment."""

        def work(given: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
            amount = as_money(given["amount"])
            assert amount is not None
            done = refund_payment(payment_id, amount, **common)
            return {
                "order_id": done.order_id,
                "payment_id": done.payment_id,
                "amount": done.amount.as_json(),
                "left": done.left.as_json(),
                "ends_subscription": done.ends_subscription,
                "debt": done.debt.as_json(),
                "credited_already": done.credited_already.as_json(),
            }

        return self.once(request, AmountInput, work)


class GrantGoodwill(OperatorView):
    @extend_schema(
        operation_id="grant_goodwill",
        tags=["adjustments"],
        parameters=[IDEMPOTENCY_KEY],
        request=AmountInput,
        responses={201: GoodwillBody, 200: GoodwillBody},
    )
    def post(self, request: Request, user_id: UUID) -> HttpResponse:
        """Gives a customer money on account."""

        def work(given: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
            amount = as_money(given["amount"])
            assert amount is not None
            done = grant_goodwill(user_id, amount, **common)
            return {
                "adjustment_id": done.adjustment_id,
                "balance_before": done.balance_before.as_json(),
                "balance_after": done.balance_after.as_json(),
            }

        return self.once(request, AmountInput, work)


class ExtendSubscription(OperatorView):
    @extend_schema(
        operation_id="extend_subscription",
        tags=["adjustments"],
        parameters=[IDEMPOTENCY_KEY],
        request=DaysInput,
        responses={201: ExtendedBody, 200: ExtendedBody},
    )
    def post(self, request: Request, subscription_id: UUID) -> HttpResponse:
        """Gives a subscription days; its next invoice moves by as many."""

        def work(given: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
            done = extend_subscription(subscription_id, days=given["days"], **common)
            return {
                "subscription_id": done.subscription_id,
                "access_until_before": moment(done.access_until_before),
                "access_until_after": moment(done.access_until_after),
            }

        return self.once(request, DaysInput, work)


class ReleaseSubscription(OperatorView):
    @extend_schema(
        operation_id="release_subscription",
        tags=["adjustments"],
        parameters=[IDEMPOTENCY_KEY],
        request=AdjustmentInput,
        responses={201: ReleasedBody, 200: ReleasedBody},
    )
    def post(self, request: Request, subscription_id: UUID) -> HttpResponse:
        """Gives a subscription that the billing run set aside back to the next run."""

        def work(given: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
            done = release_subscription(subscription_id, **common)
            return {
                "subscription_id": done.subscription_id,
                "failures": done.failures,
                "last_error": done.last_error,
                "next_invoice_at": moment(done.next_invoice_at),
            }

        return self.once(request, AdjustmentInput, work)
