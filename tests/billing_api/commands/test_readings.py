"""A12: BillingAPI reads a payment from UserAPI when an event and its own books disagree, or none comes."""

from __future__ import annotations

from typing import Any

import pytest

from shared.money import Money
from shared.queue.messages.payments import PaymentState, PaymentStatus
from tests.billing_api.commands.test_renewing import collect, run, subscriber
from tests.billing_api.commands.test_sending import UserApiDouble


def view_of(state: PaymentState) -> dict[str, Any]:
    """The state as PayAPI's ``PaymentView`` shows it."""
    body = state.model_dump(mode="json")
    return {
        **{name: value for name, value in body.items() if name not in ("payment_id", "succeeded_at")},
        "id": body["payment_id"],
        "refunds": [
            {**{k: v for k, v in one.items() if k not in ("refund_id", "succeeded_at", "origin")},
             "id": one["refund_id"]}
            for one in body["refunds"]
        ],
        "next_action": None,
        "events_url": "http://pay-api/v1/payments/x/events",
    }  # fmt: skip


def orders() -> list[tuple[str, str]]:
    from billing_api.billing_service.models import OutgoingOrder

    rows = OutgoingOrder.objects.filter(kind="payment_reading").order_by("created_at")
    return [(row.body["why"], row.state) for row in rows]


def reports() -> list[tuple[str, str]]:
    from billing_api.billing_service.models import ReviewItem

    return [(row.kind, row.detail.get("why", "")) for row in ReviewItem.objects.order_by("found_at")]


def holds() -> None:
    from billing_api.billing_service.invariants import check_invariants

    assert [one.name for one in check_invariants() if not one.holds] == []


@pytest.fixture
def user_api() -> UserApiDouble:
    double = UserApiDouble()
    double.status = 200
    return double


def test_a_contradicting_event_changes_nothing_and_pay_api_is_asked(world, user_api) -> None:
    """The event says less money than is posted; PayAPI's word agrees with the books: that is all."""
    from billing_api.billing_service.models import Payment

    anna, started = subscriber(world)
    payment = Payment.objects.get()
    before = (payment.status, payment.captured_minor, payment.sequence)
    truth = world.payment(started.invoice_id, anna.user_id, amount=49900, payment_id=payment.id)
    lying = truth.model_copy(update={"captured": Money(10000)})
    applied = world.hear(lying, 7)
    assert (applied.contradicts, applied.posted_minor) == ("captured-differs-from-posted", 0)
    payment.refresh_from_db(using="billing")
    assert (payment.status, payment.captured_minor, payment.sequence) == before
    world.hear(lying, 8)
    assert orders() == [("captured-differs-from-posted", "pending")], "asked once"

    user_api.body = view_of(truth)
    assert user_api.send(world) == 1
    assert user_api.asked[0].url.path == f"/internal/v1/payments/{payment.id}"
    assert user_api.asked[0].method == "GET"
    assert orders() == [("captured-differs-from-posted", "done")]
    assert reports() == []
    assert world.balance(anna) == 0
    holds()


def test_what_pay_api_says_beyond_the_books_is_applied(world, user_api) -> None:
    """The refund's event was wrong; PayAPI's word brings the true one; the next event still counts."""
    from billing_api.billing_service.models import Payment, Refund

    anna, started = subscriber(world)
    payment = Payment.objects.get()
    truth = world.refund(
        world.payment(started.invoice_id, anna.user_id, amount=49900, payment_id=payment.id), 9900
    )
    world.hear(truth.model_copy(update={"refunded": Money(100)}), 7)
    assert not Refund.objects.exists()
    user_api.body = view_of(truth)
    user_api.send(world)
    assert [row.amount_minor for row in Refund.objects.all()] == [9900]
    assert Payment.objects.get().status == "partially_refunded"
    world.hear(world.refund(truth, 40000), 8)
    assert Payment.objects.get().status == "refunded"
    assert world.balance(anna) == 0
    assert reports() == []
    holds()


def test_a_contradiction_that_pay_api_confirms_is_left_to_a_person(world, user_api) -> None:
    from billing_api.billing_service.models import LedgerTransaction, Payment

    anna, started = subscriber(world)
    payment = Payment.objects.get()
    postings = LedgerTransaction.objects.count()
    more = world.payment(started.invoice_id, anna.user_id, amount=59900, payment_id=payment.id)
    world.hear(more, 7)
    user_api.body = view_of(more)
    user_api.send(world)
    assert orders() == [("captured-differs-from-posted", "done")]
    assert reports() == [("payment_disagrees", "captured-differs-from-posted")]
    assert LedgerTransaction.objects.count() == postings
    assert Payment.objects.get().captured_minor == 49900
    holds()


def test_an_event_that_comes_while_pay_api_is_asked_makes_it_be_read_again(world, user_api) -> None:
    from billing_api.billing_service.models import Payment

    anna, started = subscriber(world)
    payment = Payment.objects.get()
    truth = world.payment(started.invoice_id, anna.user_id, amount=49900, payment_id=payment.id)
    world.hear(truth.model_copy(update={"captured": Money(1)}), 7)
    refunded = world.refund(truth, 100)
    double_call = user_api.__call__

    class Meanwhile(UserApiDouble):
        def __call__(self, request):
            world.hear(refunded, 8)
            return double_call(request)

    meanwhile = Meanwhile()
    user_api.body = view_of(truth)
    assert meanwhile.send(world) == 1
    assert orders() == [("captured-differs-from-posted", "pending")]
    assert Payment.objects.get().refunded_minor == 100, "the older view did not undo the event"
    user_api.body = view_of(refunded)
    world.pass_time(minutes=1)
    user_api.send(world)
    assert orders() == [("captured-differs-from-posted", "done")]
    assert reports() == []


@pytest.mark.parametrize(("status", "code"), [(503, "pay-api-unavailable"), (0, "")])
def test_no_answer_is_asked_again(world, user_api, status: int, code: str) -> None:
    anna, started = subscriber(world)
    state = world.payment(started.invoice_id, anna.user_id, "succeeded", amount=1)
    world.hear(state.model_copy(update={"captured": Money(0)}), 1)
    user_api.status, user_api.body = status, {"type": f"/problems/{code}", "status": status}
    user_api.send(world)
    assert orders() == [("succeeded-without-money", "pending")]


def test_an_outcome_that_never_came_is_read(world, user_api) -> None:
    """The event of a collection was lost: after an hour its success is read, posted and renews."""
    from billing_api.billing_service.commands.run_maintenance import run_maintenance
    from billing_api.billing_service.models import CollectionAttempt

    anna, started = subscriber(world)
    world.pass_time(days=31)
    run(world)
    (attempt,) = collect(world)
    world.pass_time(minutes=59)
    assert run_maintenance(now=world.now).readings == 0
    world.pass_time(minutes=1)
    assert run_maintenance(now=world.now).readings == 1
    assert run_maintenance(now=world.now).readings == 0
    lost = world.payment(attempt.invoice_id, anna.user_id, payment_id=attempt.id, initiator="merchant")
    user_api.body = view_of(
        lost.model_copy(update={"status": PaymentStatus.PROCESSING, "captured": Money(0)})
    )
    user_api.send(world)
    assert CollectionAttempt.objects.get().state == "accepted"
    world.pass_time(hours=5, minutes=59)
    assert run_maintenance(now=world.now).readings == 0, "asked again after six hours only"
    world.pass_time(minutes=1)
    assert run_maintenance(now=world.now).readings == 1
    user_api.body = view_of(lost)
    user_api.send(world)
    assert CollectionAttempt.objects.get().state == "succeeded"
    assert world.subscription(started).status == "active"
    assert world.invoice(attempt.invoice_id).status == "paid"
    world.hear(lost, 3)
    assert world.balance(anna) == 0, "the event, found after all, posts nothing twice"
    holds()


def test_a_payment_that_pay_api_does_not_know_is_reported_and_not_collected_again(world, user_api) -> None:
    from billing_api.billing_service.commands.plan_collection import plan_collection
    from billing_api.billing_service.commands.run_maintenance import run_maintenance
    from billing_api.billing_service.models import CollectionAttempt

    subscriber(world)
    world.pass_time(days=31)
    run(world)
    collect(world)
    world.pass_time(hours=1)
    run_maintenance(now=world.now)
    user_api.status, user_api.body = 404, {"type": "/problems/payment-not-found", "status": 404}
    user_api.send(world)
    assert orders() == [("outcome overdue", "refused")]
    assert reports() == [("payment_disagrees", "payment-not-found")]
    assert plan_collection(now=world.now).attempts == 0
    assert CollectionAttempt.objects.get().state == "accepted"


def test_a_refund_whose_event_was_lost_is_read(world, user_api) -> None:
    from billing_api.billing_service.commands.refund_payment import refund_payment
    from billing_api.billing_service.commands.run_maintenance import run_maintenance
    from billing_api.billing_service.models import OutgoingOrder, Refund
    from tests.billing_api.commands.test_staff import bought, said

    anna, _, state = bought(world)
    ordered = refund_payment(state.payment_id, Money(10000), **said(world))
    user_api.status = 201
    user_api.send(world)
    world.pass_time(hours=1)
    assert run_maintenance(now=world.now).readings == 1
    user_api.status = 200
    user_api.body = view_of(world.refund(state, 10000, refund_order_id=ordered.order_id))
    user_api.send(world)
    assert Refund.objects.get().amount_minor == 10000
    assert OutgoingOrder.objects.get(id=ordered.order_id).state == "done"
    assert run_maintenance(now=world.now).readings == 0
    assert world.balance(anna) == 0
    holds()


def test_a_closing_that_pay_api_answers_paid_reads_the_invoices_payments(world, user_api) -> None:
    """The success of a purchase was lost; its expiry is refused with ``paid`` until the payment is read."""
    from billing_api.billing_service.commands.run_maintenance import run_maintenance
    from billing_api.billing_service.models import OutgoingOrder

    anna = world.customer()
    started = world.buy(anna)
    lost = world.payment(started.invoice_id, anna.user_id)
    world.pass_time(hours=23)
    run_maintenance(now=world.now)
    user_api.body = {"invoice_id": str(started.invoice_id), "result": "paid"}
    user_api.send(world)
    assert run_maintenance(now=world.now).readings == 0
    world.pass_time(hours=1)
    assert run_maintenance(now=world.now).readings == 1
    OutgoingOrder.objects.filter(kind="close_payments").update(next_try_at=world.now.replace(year=2027))
    user_api.body = {"items": [view_of(lost)], "next_cursor": None}
    user_api.send(world)
    request = user_api.asked[-1]
    assert request.url.path == "/internal/v1/payments"
    assert dict(request.url.params)["invoice_id"] == str(started.invoice_id)
    assert world.invoice(started.invoice_id).status == "paid"
    assert world.subscription(started).status == "active"
    assert OutgoingOrder.objects.get(kind="close_payments").state == "withdrawn"
    holds()
