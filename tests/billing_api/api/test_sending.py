"""Orders on their way to UserAPI: key, back-off, final refusals, and no transaction during the call."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from shared.clock import ManualClock
from shared.ids import new_id
from shared.service_client import SyncServiceClient
from tests.billing_api.api import rows
from tests.billing_api.api.conftest import NOW
from tests.servers import DatabaseUrls

Answer = Callable[[httpx.Request], httpx.Response]


class Desk:
    """UserAPI's side of the calls: keeps the requests, answers as a test says."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.asked: list[httpx.Request] = []
        self.answer: Answer = lambda _: httpx.Response(202, json={"payment": {}})
        from billing_api.billing_service.clients.user_api import UserApi

        transport = httpx.MockTransport(self._take)
        self.user_api = UserApi(
            SyncServiceClient("user-api", "http://user-api", "t", timeout_seconds=2, transport=transport)
        )

    def _take(self, request: httpx.Request) -> httpx.Response:
        from django.db import connections

        assert not connections["billing"].in_atomic_block
        self.asked.append(request)
        return self.answer(request)

    def send(self) -> int:
        from billing_api.sending import Sender

        return Sender(self.user_api, self.clock).send_one()


def problem(status: int, code: str) -> Answer:
    return lambda _: httpx.Response(status, json={"type": f"/problems/{code}", "status": status})


@pytest.fixture
def desk(billing: DatabaseUrls) -> Desk:
    return Desk()


def order(kind: str, **changes: Any) -> Any:
    from billing_api.billing_service.models import OutgoingOrder

    account = rows.account(new_id())
    invoice = rows.invoice(account)
    values = {
        "account": account,
        "kind": kind,
        "invoice_id": invoice.id,
        "payment_id": new_id(),
        "amount_minor": 49900,
        "state": "pending",
        "next_try_at": NOW,
        "created_at": NOW,
    }
    return OutgoingOrder.objects.create(**(values | changes))


def reload(row: Any) -> Any:
    return type(row).objects.get(pk=row.pk)


def test_a_refund_carries_its_id_as_the_key(desk: Desk) -> None:
    made = order("refund", body={"reason": "unused days"})
    assert desk.send() == 1
    (request,) = desk.asked
    assert request.url.path == f"/internal/v1/payments/{made.payment_id}/refunds"
    assert request.headers["Idempotency-Key"] == str(made.id)
    assert json.loads(request.content) == {
        "refund_order_id": str(made.id),
        "amount": {"amount": 49900, "currency": "RUB"},
        "reason": "unused days",
    }
    assert reload(made).state == "sent"
    assert desk.send() == 0


def test_a_cancellation_is_redriven_under_its_own_id(desk: Desk) -> None:
    made = order("cancellation")
    desk.send()
    body = json.loads(desk.asked[0].content)
    assert body["cancellation_id"] == str(made.id)
    assert "refund_order_id" not in body


@pytest.mark.parametrize(
    "answer",
    [
        problem(503, "provider-unavailable"),
        problem(500, "internal-error"),
        problem(401, "credential-invalid"),
        problem(409, "payment-in-progress"),
        problem(429, "too-many-requests"),
        lambda _: httpx.Response(200, text="no json"),
    ],
)
def test_what_is_not_known_is_asked_again_with_the_same_key(desk: Desk, answer: Answer) -> None:
    made = order("refund")
    desk.answer = answer
    desk.send()
    assert reload(made).state == "pending"
    assert desk.send() == 0  # it waits
    desk.answer = lambda _: httpx.Response(201, json={"payment": {}})
    desk.clock.advance(timedelta(seconds=2))
    assert desk.send() == 1
    assert {request.headers["Idempotency-Key"] for request in desk.asked} == {str(made.id)}
    assert reload(made).state == "sent"


def test_a_call_without_an_answer_is_repeated(desk: Desk) -> None:
    made = order("refund")

    def lost(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("gone")

    desk.answer = lost
    desk.send()
    assert (reload(made).state, reload(made).last_error) == ("pending", "user-api-unavailable")


def test_the_wait_grows(desk: Desk) -> None:
    made = order("refund")
    desk.answer = problem(503, "provider-unavailable")
    waits = []
    for _ in range(4):
        desk.send()
        wait = reload(made).next_try_at - desk.clock.now()
        waits.append(wait.total_seconds())
        desk.clock.advance(wait)
    assert waits == [2, 5, 10, 30]


def test_a_final_refusal_is_kept_and_reported(desk: Desk) -> None:
    from billing_api.billing_service.models import ReviewItem

    made = order("refund")
    desk.answer = problem(409, "payment-not-cancellable")
    desk.send()
    assert (reload(made).state, reload(made).last_error) == ("refused", "payment-not-cancellable")
    assert ReviewItem.objects.get().kind == "refund_refused"


def test_closing_asks_anew_until_it_is_closed(desk: Desk) -> None:
    made = order("close_payments", body={"then": "void"}, payment_id=None)
    desk.answer = lambda _: httpx.Response(200, json={"result": "in_flight"})
    desk.send()
    assert reload(made).state == "pending"
    desk.clock.advance(timedelta(minutes=1))
    desk.send()
    first, second = (request.headers["Idempotency-Key"] for request in desk.asked)
    assert first != second  # 'in flight' is a stored answer: the same key would hear it for ever
    assert {request.url.path for request in desk.asked} == {
        f"/internal/v1/invoices/{made.invoice_id}/close-payments"
    }


def test_two_workers_do_not_take_one_order(desk: Desk) -> None:
    from billing_api.billing_service import orders

    order("refund")
    assert len(orders.claim(NOW)) == 1
    assert desk.send() == 0
