"""A refund or a queued charge that came to nothing: orders end, nothing stays blocked, a person is told."""

from __future__ import annotations

from shared.ids import new_id
from shared.money import Money
from shared.queue.messages.payments import RefundState
from tests.billing_api.commands.test_cancelling import bought, cancel
from tests.billing_api.commands.test_renewing import collect, outcome, run, subscriber


def with_failed_refund(world, state, amount: int, **ids):
    """The payment's event after PayAPI has told that the provider refuses the refund."""
    refund = RefundState(
        refund_id=new_id(), amount=Money(amount), status="failed", reason="x", created_at=world.now, **ids
    )
    return state.model_copy(update={"refunds": [*state.refunds, refund]})


def order_refund(state, amount: int, now):
    from billing_api.billing_service.actors import Actor
    from billing_api.billing_service.commands.refund_payment import refund_payment

    staff = Actor("staff", "olga")
    return refund_payment(state.payment_id, Money(amount), actor=staff, reason="sorry", now=now)


def test_a_refused_refund_frees_its_amount_and_is_reported_once(world) -> None:
    from billing_api.billing_service.answers import OrderAnswer
    from billing_api.billing_service.commands.settle_refund_answer import settle_refund_answer
    from billing_api.billing_service.models import OutgoingOrder, ReviewItem

    _, _, state = bought(world)
    ordered = order_refund(state, 49900, world.now)
    settle_refund_answer(ordered.order_id, OrderAnswer("accepted"), now=world.now)
    failed = with_failed_refund(world, state, 49900, refund_order_id=ordered.order_id)
    world.hear(failed)
    order = OutgoingOrder.objects.get(id=ordered.order_id)
    assert (order.state, order.last_error) == ("refused", "refund-failed")
    item = ReviewItem.objects.get()
    assert (item.kind, item.subject_id) == ("refund_refused", order.id)
    # Looked at by a person; the payment's later events carry the old failure still.
    ReviewItem.objects.update(resolved_at=world.now)
    again = order_refund(state, 49900, world.now)  # nothing of the payment is held any more
    world.hear(failed)
    assert ReviewItem.objects.get().resolved_at is not None
    world.hear(world.refund(failed, refund_order_id=again.order_id))
    assert OutgoingOrder.objects.get(id=again.order_id).state == "done"


def test_the_refusal_may_be_heard_before_the_answer(world) -> None:
    from billing_api.billing_service.answers import OrderAnswer
    from billing_api.billing_service.commands.settle_refund_answer import settle_refund_answer

    _, _, state = bought(world)
    ordered = order_refund(state, 100, world.now)
    world.hear(with_failed_refund(world, state, 100, refund_order_id=ordered.order_id))
    settled = settle_refund_answer(ordered.order_id, OrderAnswer("accepted"), now=world.now)
    assert settled.state == "refused"


def test_a_cancellation_whose_refund_is_refused_ends_and_blocks_nothing(world) -> None:
    from billing_api.billing_service.commands.run_maintenance import run_maintenance
    from billing_api.billing_service.models import PaymentCancellation, ReviewItem

    _, started, state = bought(world)
    decided = cancel(world, state)
    world.hear(with_failed_refund(world, state, 49900, cancellation_id=decided.cancellation_id))
    row = PaymentCancellation.objects.get()
    assert (row.state, row.settled_at) == ("failed", world.now)
    assert ReviewItem.objects.get().subject_id == decided.cancellation_id
    world.pass_time(minutes=10)
    assert run_maintenance(now=world.now).cancellations_redriven == 0
    assert world.subscription(started).status == "active"
    assert order_refund(state, 100, world.now).left.amount == 49800  # not cancellation-open


def test_a_refund_that_went_through_after_all_ends_as_done(world) -> None:
    from billing_api.billing_service.models import PaymentCancellation

    _, started, state = bought(world)
    decided = cancel(world, state)
    failed = with_failed_refund(world, state, 49900, cancellation_id=decided.cancellation_id)
    world.hear(failed)
    refund = failed.refunds[0].model_copy(update={"status": "succeeded", "succeeded_at": world.now})
    world.hear(
        failed.model_validate(
            {**failed.model_dump(), "refunds": [refund], "refunded": Money(49900), "status": "refunded"}
        )
    )
    assert PaymentCancellation.objects.get().state == "done"
    assert world.subscription(started).status == "cancelled"


def test_a_charge_withdrawn_with_its_consent_is_planned_again_and_dunning_begins(world) -> None:
    from billing_api.billing_service.answers import OrderAnswer
    from billing_api.billing_service.commands.plan_collection import plan_collection
    from billing_api.billing_service.commands.settle_collection_answer import settle_collection_answer
    from billing_api.billing_service.models import CollectionAttempt

    anna, started = subscriber(world)
    world.pass_time(days=31)
    run(world)
    (attempt,) = collect(world)
    outcome(world, anna, attempt, "cancelled")  # still queued when the consent was revoked
    plan_collection(now=world.now)
    again = CollectionAttempt.objects.get(state="planned")
    settle_collection_answer(again.id, OrderAnswer("refused", "no-consent"), now=world.now)
    invoice = world.invoice(attempt.invoice_id)
    assert (invoice.status, invoice.collection, invoice.next_collection_at) == ("open", "failed", None)
    subscription = world.subscription(started)
    assert (subscription.status, subscription.past_due_at) == ("past_due", world.now)


def test_a_queued_charge_the_customer_cancelled_is_not_repeated_that_day(world) -> None:
    anna, _ = subscriber(world)
    world.pass_time(days=31)
    run(world)
    (attempt,) = collect(world)
    waiting = outcome(world, anna, attempt, "created")
    cancel(world, waiting)
    outcome(world, anna, attempt, "cancelled")
    assert collect(world) == []
    world.pass_time(days=1)
    assert len(collect(world)) == 1


def test_dunning_goes_on_after_an_immediate_retry_with_another_card(world) -> None:
    """UserAPI's own retry with the new card is a merchant's charge without an attempt here."""
    anna, _ = subscriber(world)
    world.pass_time(days=31)
    run(world)
    (attempt,) = collect(world)
    outcome(world, anna, attempt, "failed", decline="hard")
    assert world.invoice(attempt.invoice_id).next_collection_at is None
    new_card = world.saves_card(anna, "other")
    world.pass_time(hours=2)
    tried = world.payment(
        attempt.invoice_id, anna.user_id, "failed", initiator="merchant", decline="soft",
        payment_method_id=new_card,
    )  # fmt: skip
    world.hear(tried)
    planned = world.invoice(attempt.invoice_id).next_collection_at
    assert planned is not None
    assert (planned - world.now).total_seconds() == 22 * 3600  # day 1 after the first failure


def test_the_customers_own_tries_count_for_the_cards_limit(world) -> None:
    from datetime import timedelta

    anna, _ = subscriber(world)
    card = world.saves_card(anna, "one")
    world.pass_time(days=31)
    run(world)
    (attempt,) = collect(world)
    invoice_id = attempt.invoice_id
    outcome(world, anna, attempt, "failed", decline="soft", payment_method_id=card)
    world.pass_time(hours=23)
    for _ in range(2):
        own = world.payment(invoice_id, anna.user_id, "failed", decline="soft", payment_method_id=card)
        world.hear(own)
    world.pass_time(minutes=61)
    (attempt,) = collect(world)
    outcome(world, anna, attempt, "failed", decline="technical", payment_method_id=card)
    planned = world.invoice(invoice_id).next_collection_at
    # 15 minutes later would be a further try within 24 hours of two others.
    assert planned >= world.now + timedelta(hours=22)


def test_a_refund_nobody_knows_the_end_of_is_found_until_a_person_says(world) -> None:
    from billing_api.billing_service.models import OutgoingOrder, ReviewItem

    _, _, state = bought(world)
    ordered = order_refund(state, 49900, world.now)
    failed = with_failed_refund(world, state, 49900, refund_order_id=ordered.order_id)
    lost = failed.refunds[0].model_copy(update={"status": "unknown"})
    world.hear(state.model_copy(update={"refunds": [lost]}))
    assert not ReviewItem.objects.exists()  # PayAPI still asks the provider
    given_up = lost.model_copy(update={"waits_for_person": True})
    for _ in range(2):
        world.hear(state.model_copy(update={"refunds": [given_up]}))
    item = ReviewItem.objects.get()
    assert (item.kind, item.subject_id, item.resolved_at) == ("refund_unknown", lost.refund_id, None)
    assert item.detail["payment_id"] == str(state.payment_id)
    # "Not sent" ends it like a refusal: the order is over and its amount is free.
    world.hear(failed)
    item.refresh_from_db()
    assert item.resolved_at == world.now
    assert OutgoingOrder.objects.get(id=ordered.order_id).state == "refused"
    assert ReviewItem.objects.filter(kind="refund_refused").exists()
    assert order_refund(state, 49900, world.now).left.amount == 0
