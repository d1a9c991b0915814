"""Orders reach UserAPI over HTTP with their id as the key, and every sort of answer is settled."""

from __future__ import annotations

import httpx
import pytest

from shared.clock import ManualClock


class UserApiDouble:
    """Answers as told and keeps what it was asked."""

    def __init__(self) -> None:
        self.status, self.body = 202, {"payment": {}}
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.status == 0:
            raise httpx.ReadTimeout("no answer")
        return httpx.Response(self.status, json=self.body)

    def send(self, world) -> int:
        from billing_api.billing_service.clients.user_api import UserApi
        from billing_api.billing_service.sending import send_due_orders
        from shared.service_client import SyncServiceClient

        client = SyncServiceClient(
            "user-api", "http://user-api", "token", timeout_seconds=1, transport=httpx.MockTransport(self)
        )
        return send_due_orders(UserApi(client), ManualClock(world.now))


@pytest.fixture
def planned(world):
    """A renewal waiting to be collected: (customer, order)."""
    from billing_api.billing_service.commands.plan_collection import plan_collection
    from billing_api.billing_service.models import OutgoingOrder
    from tests.billing_api.commands.test_renewing import run, subscriber

    anna, _ = subscriber(world)
    world.pass_time(days=31)
    run(world)
    plan_collection(now=world.now)
    return anna, OutgoingOrder.objects.get()


def test_a_collection_is_asked_for_once_under_its_own_key(world, planned) -> None:
    from billing_api.billing_service.models import CollectionAttempt

    anna, order = planned
    user_api = UserApiDouble()
    assert user_api.send(world) == 1
    assert user_api.send(world) == 0
    (request,) = user_api.asked
    assert request.url.path == "/internal/v1/payments"
    assert request.headers["Idempotency-Key"] == str(order.id)
    assert "X-Request-ID" not in request.headers
    assert str(anna.user_id) in request.content.decode()
    assert CollectionAttempt.objects.get().state == "accepted"


@pytest.mark.parametrize(
    ("status", "code", "state", "attempt"),
    [
        (409, "no-consent", "refused", "refused"),
        (409, "no-method", "refused", "refused"),
        (409, "payment-in-progress", "pending", "planned"),
        (503, "pay-api-unavailable", "pending", "planned"),
        (500, "internal-error", "pending", "planned"),
        (401, "unauthenticated", "pending", "planned"),
        (0, "", "pending", "planned"),
    ],
)
def test_only_a_clear_refusal_is_final(world, planned, status, code, state, attempt) -> None:
    from billing_api.billing_service.models import CollectionAttempt, OutgoingOrder

    user_api = UserApiDouble()
    user_api.status, user_api.body = status, {"type": f"/problems/{code}", "status": status}
    user_api.send(world)
    order = OutgoingOrder.objects.get()
    assert (order.state, CollectionAttempt.objects.get().state) == (state, attempt)
    world.pass_time(minutes=2)
    user_api.status = 202
    assert user_api.send(world) == (1 if state == "pending" else 0)
    assert len({request.headers["Idempotency-Key"] for request in user_api.asked}) == 1


def test_refunds_and_closings_are_sent(world) -> None:
    from billing_api.billing_service.commands.refund_payment import refund_payment
    from billing_api.billing_service.commands.void_invoice import void_invoice
    from billing_api.billing_service.models import OutgoingOrder
    from shared.money import Money
    from tests.billing_api.commands.test_staff import bought, said

    _, _, state = bought(world)
    ordered = refund_payment(state.payment_id, Money(100), **said(world))
    user_api = UserApiDouble()
    user_api.send(world)
    (request,) = user_api.asked
    assert request.url.path == f"/internal/v1/payments/{state.payment_id}/refunds"
    assert request.headers["Idempotency-Key"] == str(ordered.order_id)
    assert OutgoingOrder.objects.get().state == "sent"

    started = world.buy(world.customer())
    void_invoice(started.invoice_id, **said(world))
    user_api.body = {"invoice_id": str(started.invoice_id), "result": "in_flight"}
    user_api.send(world)
    world.pass_time(minutes=1)
    user_api.body = {"invoice_id": str(started.invoice_id), "result": "closed"}
    user_api.send(world)
    first, second = user_api.asked[1:]
    assert first.url.path == f"/internal/v1/invoices/{started.invoice_id}/close-payments"
    # A stored in_flight must not be replayed for ever: each asking has its own key.
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]
    assert world.invoice(started.invoice_id).status == "void"
