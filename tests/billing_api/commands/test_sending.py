"""Orders reach UserAPI over HTTP with their id as the key, and every sort of answer is settled."""

from __future__ import annotations

import json

import httpx
import pytest

from shared.clock import ManualClock
from shared.money import Money


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


def test_a_refusal_that_is_our_fault_begins_no_dunning_and_is_tried_again(world, planned) -> None:
    """Only nobody's agreement is the customer's: a paying customer is not cancelled for a fault of ours."""
    from billing_api.billing_service.commands.plan_collection import plan_collection
    from billing_api.billing_service.models import CollectionAttempt, ReviewItem, Subscription

    _, order = planned
    user_api = UserApiDouble()
    user_api.status, user_api.body = 422, {"type": "/problems/invalid-request", "status": 422}
    user_api.send(world)
    invoice = world.invoice(order.invoice_id)
    assert (invoice.status, invoice.collection, invoice.collection_failures) == ("open", "none", 0)
    assert (invoice.first_failed_at, Subscription.objects.get().status) == (None, "active")
    found = ReviewItem.objects.get(kind="collection_refused")
    assert (found.subject_id, found.detail["code"]) == (invoice.id, "invalid-request")
    plan_collection(now=world.now)
    assert user_api.send(world) == 0, "not at once"
    world.pass_time(hours=1)
    plan_collection(now=world.now)
    user_api.status, user_api.body = 202, {"payment": {}}
    assert user_api.send(world) == 1
    first, second = (request.headers["Idempotency-Key"] for request in user_api.asked)
    assert first != second, "the refusal is stored with its key"
    assert set(CollectionAttempt.objects.values_list("state", flat=True)) == {"refused", "accepted"}
    assert ReviewItem.objects.get().resolved_at == world.now


def test_a_long_title_of_two_lines_passes_every_service_on_its_way_to_be_charged(world) -> None:
    """What staff typed stands on the receipt: UserAPI's and PayAPI's own bodies take what is sent."""
    from billing_api.billing_service.commands.plan_collection import plan_collection
    from pay_api.api.schemas import StartPaymentBody
    from shared.ids import new_id
    from shared.queue.messages.catalog import LocalizedText
    from tests.billing_api.commands.test_renewing import run, subscriber
    from user_api.api.internal_payments import CollectBody

    title = LocalizedText(ru="Кино и\r\n" + "сериалы " * 31, en="Films\n" * 42)
    product_id, _ = world.product("long", 49900, terms={"title": title})
    subscriber(world, product_id=product_id)
    world.pass_time(days=31)
    run(world)
    plan_collection(now=world.now)
    user_api = UserApiDouble()
    user_api.send(world)
    (request,) = user_api.asked
    asked = CollectBody.model_validate(json.loads(request.content))
    body = {
        "payment_id": str(new_id()),
        "invoice_id": str(asked.invoice_id),
        "user_id": str(asked.user_id),
        "amount": asked.amount.as_json(),
        "description": asked.description,
        "initiator": "merchant",
        "method": {"kind": "saved_method", "payment_method_id": str(new_id())},
        "payer": {"locale": "ru"},
        "receipt": asked.receipt.model_dump(mode="json"),
    }
    (line,) = StartPaymentBody.model_validate(body).receipt.lines
    assert len(line.label) <= 128
    assert line.label.startswith("Кино и сериалы сериалы")


def test_a_reason_of_two_lines_stands_in_one_on_the_documents(world) -> None:
    from billing_api.billing_service.commands.adjust_charge import adjust_charge
    from billing_api.billing_service.models import InvoiceLine
    from tests.billing_api.commands.test_staff import bought, staff

    _, started, _ = bought(world)
    reason = "typed\r\nin a field of\n two lines"
    adjust_charge(started.invoice_id, Money(5000), actor=staff(), reason=reason, now=world.now)
    (line,) = InvoiceLine.objects.filter(invoice__kind="charge")
    assert line.description["en"].endswith(": typed in a field of two lines")
