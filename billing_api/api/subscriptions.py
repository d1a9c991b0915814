"""/internal/v1/quotes and /subscriptions: prices, purchases and the life of a subscription."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing_api.api import rows
from billing_api.api.bodies import (
    ChangedBody,
    ProductChangedBody,
    QuoteBody,
    StartedBody,
    SubscriptionBody,
)
from billing_api.api.documents import IDEMPOTENCY_KEY, page_of
from billing_api.api.fields import as_money
from billing_api.api.internal import InternalView
from billing_api.api.lists import newest_first
from billing_api.api.once import run_once
from billing_api.api.requests import (
    CancelInput,
    ChangeProductInput,
    NothingInput,
    OfUserQuery,
    QuoteInput,
    StartInput,
    read,
)
from billing_api.billing_service import queries
from billing_api.billing_service.commands.abandon_subscription import abandon_subscription
from billing_api.billing_service.commands.cancel_subscription import cancel_subscription
from billing_api.billing_service.commands.change_product import abandon_change, change_product
from billing_api.billing_service.commands.pause_subscription import pause_subscription
from billing_api.billing_service.commands.quote_price import quote_price
from billing_api.billing_service.commands.reactivate_subscription import reactivate_subscription
from billing_api.billing_service.commands.resume_subscription import resume_subscription
from billing_api.billing_service.commands.start_subscription import start_subscription
from billing_api.billing_service.offers import CustomerSnapshot
from billing_api.config import wiring


class Quotes(InternalView):
    @extend_schema(
        operation_id="quote", tags=["subscriptions"], request=QuoteInput, responses={200: QuoteBody}
    )
    def post(self, request: Request) -> Response:
        """Prices a product for a customer; writes nothing."""
        given = read(QuoteInput, request.data)
        quoted = quote_price(
            CustomerSnapshot(**given["customer"]),
            product_id=given["product_id"],
            price_id=given["price_id"],
            promo_code=given["promo_code"],
            now=wiring.clock().now(),
        )
        return Response(queries.quote_view(quoted.offer))


class Subscriptions(InternalView):
    @extend_schema(
        operation_id="subscriptions",
        tags=["subscriptions"],
        parameters=[OfUserQuery],
        responses={200: page_of(SubscriptionBody)},
    )
    def get(self, request: Request) -> Response:
        """Subscriptions and purchases, newest first; of one user or of all."""
        query = read(OfUserQuery, request.query_params, "query")
        found = rows.subscriptions()
        if query["user_id"] is not None:
            found = found.filter(account__user_id=query["user_id"])
        page = newest_first(found, "created_at", query, queries.subscription_view)
        return Response(page)

    @extend_schema(
        operation_id="start_subscription",
        tags=["subscriptions"],
        parameters=[IDEMPOTENCY_KEY],
        request=StartInput,
        responses={201: StartedBody, 200: StartedBody},
    )
    def post(self, request: Request) -> HttpResponse:
        """Starts a subscription or purchase with its first invoice; 200 when the same one is open already."""
        given = read(StartInput, request.data)

        def work() -> tuple[int, Any]:
            started = start_subscription(
                CustomerSnapshot(**given["customer"]),
                product_id=given["product_id"],
                price_id=given["price_id"],
                promo_code=given["promo_code"],
                expected_amount=as_money(given["expected_amount"]),
                payment_method_id=given["payment_method_id"],
                now=wiring.clock().now(),
            )
            invoice = rows.invoice(started.invoice_id) if started.invoice_id else None
            body = {
                "subscription": queries.subscription_view(rows.subscription(started.subscription_id)),
                "invoice": queries.invoice_view(invoice) if invoice else None,
            }
            return (201 if started.is_new else 200), body

        return run_once(request, work)


class Subscription(InternalView):
    @extend_schema(operation_id="subscription", tags=["subscriptions"], responses={200: SubscriptionBody})
    def get(self, request: Request, subscription_id: UUID) -> Response:
        """One subscription or purchase."""
        return Response(queries.subscription_view(rows.subscription(subscription_id)))


def _changed(subscription_id: UUID) -> tuple[int, Any]:
    return 200, {"subscription": queries.subscription_view(rows.subscription(subscription_id))}


class AbandonSubscription(InternalView):
    @extend_schema(
        operation_id="abandon_subscription",
        tags=["subscriptions"],
        parameters=[IDEMPOTENCY_KEY],
        request=NothingInput,
        responses={200: ChangedBody},
    )
    def post(self, request: Request, subscription_id: UUID) -> HttpResponse:
        """Cancels an incomplete one whose payments are closed; voids its invoice, releases its promo code."""
        read(NothingInput, request.data)

        def work() -> tuple[int, Any]:
            abandon_subscription(subscription_id, now=wiring.clock().now())
            return _changed(subscription_id)

        return run_once(request, work)


class CancelSubscription(InternalView):
    @extend_schema(
        operation_id="cancel_subscription",
        tags=["subscriptions"],
        parameters=[IDEMPOTENCY_KEY],
        request=CancelInput,
        responses={200: ChangedBody},
    )
    def post(self, request: Request, subscription_id: UUID) -> HttpResponse:
        """Ends it at the period's end, or now, with or without a refund of unused days."""
        given = read(CancelInput, request.data)

        def work() -> tuple[int, Any]:
            cancel_subscription(
                subscription_id,
                mode=given["mode"],
                refund_unused=given["refund_unused"],
                now=wiring.clock().now(),
            )
            return _changed(subscription_id)

        return run_once(request, work)


class ReactivateSubscription(InternalView):
    @extend_schema(
        operation_id="reactivate_subscription",
        tags=["subscriptions"],
        parameters=[IDEMPOTENCY_KEY],
        request=NothingInput,
        responses={200: ChangedBody},
    )
    def post(self, request: Request, subscription_id: UUID) -> HttpResponse:
        """Takes a scheduled cancellation back."""
        read(NothingInput, request.data)

        def work() -> tuple[int, Any]:
            reactivate_subscription(subscription_id, now=wiring.clock().now())
            return _changed(subscription_id)

        return run_once(request, work)


class PauseSubscription(InternalView):
    @extend_schema(
        operation_id="pause_subscription",
        tags=["subscriptions"],
        parameters=[IDEMPOTENCY_KEY],
        request=NothingInput,
        responses={200: ChangedBody},
    )
    def post(self, request: Request, subscription_id: UUID) -> HttpResponse:
        """No invoices and no access until it is resumed; the paid days are kept."""
        read(NothingInput, request.data)

        def work() -> tuple[int, Any]:
            pause_subscription(subscription_id, now=wiring.clock().now())
            return _changed(subscription_id)

        return run_once(request, work)


class ResumeSubscription(InternalView):
    @extend_schema(
        operation_id="resume_subscription",
        tags=["subscriptions"],
        parameters=[IDEMPOTENCY_KEY],
        request=NothingInput,
        responses={200: ChangedBody},
    )
    def post(self, request: Request, subscription_id: UUID) -> HttpResponse:
        """Gives the kept days from today."""
        read(NothingInput, request.data)

        def work() -> tuple[int, Any]:
            resume_subscription(subscription_id, now=wiring.clock().now())
            return _changed(subscription_id)

        return run_once(request, work)


class ChangeProduct(InternalView):
    @extend_schema(
        operation_id="change_product",
        tags=["subscriptions"],
        parameters=[IDEMPOTENCY_KEY],
        request=ChangeProductInput,
        responses={200: ProductChangedBody},
    )
    def post(self, request: Request, subscription_id: UUID) -> HttpResponse:
        """Another product: now for an invoice, or at the period's end; ``preview`` only shows its price."""
        given = read(ChangeProductInput, request.data)

        def work() -> tuple[int, Any]:
            changed = change_product(
                subscription_id,
                product_id=given["product_id"],
                price_id=given["price_id"],
                expected_amount=as_money(given["expected_amount"]),
                preview=given["preview"],
                now=wiring.clock().now(),
            )
            invoice = rows.invoice(changed.invoice_id) if changed.invoice_id else None
            return 200, {
                "subscription": queries.subscription_view(rows.subscription(subscription_id)),
                "invoice": queries.invoice_view(invoice) if invoice else None,
                "quote": queries.change_view(changed.offer) if changed.offer else None,
            }

        return run_once(request, work)


class AbandonChange(InternalView):
    @extend_schema(
        operation_id="abandon_change",
        tags=["subscriptions"],
        parameters=[IDEMPOTENCY_KEY],
        request=NothingInput,
        responses={200: ChangedBody},
    )
    def post(self, request: Request, subscription_id: UUID) -> HttpResponse:
        """Voids the invoice of a change whose payments are closed."""
        read(NothingInput, request.data)

        def work() -> tuple[int, Any]:
            abandon_change(subscription_id, now=wiring.clock().now())
            return _changed(subscription_id)

        return run_once(request, work)
