"""Cancelling payments and subscriptions, refunds, expiry of what was never paid."""

from __future__ import annotations

import pytest

from shared.errors import AppError


def seen(world, state, **changes):
    from billing_api.billing_service.commands.cancel_payment import PaymentSeen

    values = {
        "payment_id": state.payment_id,
        "user_id": state.user_id,
        "invoice_id": state.invoice_id,
        "status": state.status.value,
        "captured_minor": state.captured.amount,
        "refunded_minor": state.refunded.amount,
    }
    return PaymentSeen(**(values | changes))


def cancel(world, state, **changes):
    from billing_api.billing_service.commands.cancel_payment import cancel_payment

    return cancel_payment(seen(world, state, **changes), now=world.now)


def bought(world, **more):
    anna = world.customer()
    started = world.buy(anna, **more)
    return anna, started, world.pay(started, anna)


def test_a_cancelled_payment_is_refunded_credited_and_ends_what_it_bought(world) -> None:
    from billing_api.billing_service import queries
    from billing_api.billing_service.invariants import check_invariants
    from tests.billing_api.commands.world import event_data, events

    anna, started, state = bought(world)
    decided = cancel(world, state)
    assert (decided.action, decided.amount.amount) == ("refund", 49900)
    assert cancel(world, state) == decided
    assert queries.quiescence()["pending"]["cancellations"] == 1

    back = world.refund(state, cancellation_id=decided.cancellation_id)
    world.hear(back)
    world.hear(
        back.model_copy(update={"status": "cancelled"}).model_validate(
            back.model_dump() | {"status": "cancelled"}
        )
    )
    subscription, invoice = world.subscription(started), world.invoice(started.invoice_id)
    assert (subscription.status, subscription.grants_access) == ("cancelled", False)
    assert subscription.access_until < world.now
    assert (invoice.status, invoice.credited_minor) == ("paid", 49900)
    assert world.balance(anna) == 0
    assert events()[-2:] == ["credit_note.issued", "subscription.cancelled"]
    assert event_data("credit_note.issued")[0]["number"] == "CN-2026-000001"
    assert queries.quiescence()["pending"]["cancellations"] == 0
    assert [one.name for one in check_invariants() if not one.holds] == []


def test_the_part_that_balance_had_paid_returns_to_the_balance(world) -> None:
    from billing_api.billing_service.actors import Actor
    from billing_api.billing_service.commands.grant_goodwill import grant_goodwill
    from billing_api.billing_service.commands.upsert_customer import upsert_customer
    from shared.money import Money

    anna = world.customer()
    upsert_customer(anna, now=world.now)
    staff = Actor("staff", "olga")
    grant_goodwill(anna.user_id, Money(9900), actor=staff, reason="sorry", now=world.now)
    started = world.buy(anna)
    assert world.invoice(started.invoice_id).amount_due_minor == 40000
    assert world.available(anna) == 0
    state = world.pay(started, anna)
    decided = cancel(world, state)
    assert decided.amount.amount == 40000
    world.hear(world.refund(state, cancellation_id=decided.cancellation_id))
    assert world.available(anna) == world.balance(anna) == 9900


@pytest.mark.parametrize(
    ("changes", "code", "rule"),
    [
        ({"status": "processing"}, "payment-in-progress", None),
        ({"status": "unknown"}, "payment-in-progress", None),
        ({"status": "failed"}, "payment-not-cancellable", "payment-is-over"),
        ({"refunded_minor": 1}, "payment-not-cancellable", "already-refunded-in-part"),
    ],
)
def test_what_may_not_be_cancelled(world, changes, code, rule) -> None:
    _, _, state = bought(world)
    with pytest.raises(AppError) as refused:
        cancel(world, state, **changes)
    assert (refused.value.code, refused.value.extra.get("rule")) == (code, rule)


def test_the_window_is_the_product_s_and_a_used_code_is_not_given_back(world) -> None:
    from billing_api.billing_service.models import PromoCode, PromoRedemption

    plan, _ = world.product("quick", 49900, terms={"refund_window_days": 3})
    world.promo_code(redemption_limit=2)
    _, _, late = bought(world, product_id=plan, promo_code="SPRING")
    _, started, state = bought(world, product_id=plan, promo_code="SPRING")
    world.pass_time(days=3)
    decided = cancel(world, state)
    world.hear(world.refund(state, cancellation_id=decided.cancellation_id))
    assert world.subscription(started).status == "cancelled"
    assert PromoCode.objects.get().redemptions == 2
    assert set(PromoRedemption.objects.values_list("state", flat=True)) == {"committed"}
    world.pass_time(seconds=1)
    with pytest.raises(AppError) as refused:
        cancel(world, late)
    assert refused.value.extra["rule"] == "window-over"


def test_not_posted_yet_and_too_late(world) -> None:
    anna = world.customer()
    started = world.buy(anna)
    state = world.payment(started.invoice_id, anna.user_id)
    with pytest.raises(AppError) as refused:
        cancel(world, state)
    assert refused.value.code == "payment-not-posted-yet"
    assert refused.value.retry_after_seconds == 1
    world.hear(state)
    world.pass_time(days=15)
    with pytest.raises(AppError) as refused:
        cancel(world, state)
    assert refused.value.extra["rule"] == "window-over"


def test_a_payment_not_captured_is_voided_and_the_order_stays_open(world) -> None:
    anna = world.customer()
    started = world.buy(anna)
    state = world.payment(started.invoice_id, anna.user_id, "action_required")
    world.hear(state)
    assert world.invoice(started.invoice_id).collection == "action_required"
    assert cancel(world, state).action == "void"
    world.hear(world.payment(started.invoice_id, anna.user_id, "cancelled", payment_id=state.payment_id))
    invoice = world.invoice(started.invoice_id)
    assert (invoice.status, invoice.collection) == ("open", "none")
    assert world.subscription(started).status == "incomplete"


def test_a_lost_cancellation_is_redriven(world) -> None:
    from billing_api.billing_service.commands.run_maintenance import run_maintenance
    from billing_api.billing_service.models import OutgoingOrder

    _, _, state = bought(world)
    decided = cancel(world, state)
    assert run_maintenance(now=world.now).cancellations_redriven == 0
    world.pass_time(minutes=3)
    assert run_maintenance(now=world.now).cancellations_redriven == 1
    assert run_maintenance(now=world.now).cancellations_redriven == 0
    order = OutgoingOrder.objects.get(id=decided.cancellation_id)
    assert (order.kind, order.amount_minor, order.state) == ("cancellation", 49900, "pending")
    world.hear(world.refund(state, cancellation_id=decided.cancellation_id))
    order.refresh_from_db(using="billing")
    assert order.state == "done"


def test_an_order_never_paid_expires_after_23_hours_through_closing(world) -> None:
    from billing_api.billing_service.answers import OrderAnswer
    from billing_api.billing_service.commands.run_maintenance import run_maintenance
    from billing_api.billing_service.commands.settle_close_answer import settle_close_answer
    from billing_api.billing_service.models import OutgoingOrder, PromoCode

    world.promo_code(redemption_limit=1)
    anna = world.customer()
    started = world.buy(anna, promo_code="SPRING")
    world.pass_time(hours=22)
    assert run_maintenance(now=world.now).expiring == 0
    world.pass_time(hours=1)
    assert run_maintenance(now=world.now).expiring == 1
    assert run_maintenance(now=world.now).expiring == 0
    order = OutgoingOrder.objects.get()
    settle_close_answer(order.id, OrderAnswer("later", "user-api-unavailable"), now=world.now)
    settle_close_answer(order.id, OrderAnswer("accepted", result="paid"), now=world.now)
    assert world.subscription(started).status == "incomplete"
    settle_close_answer(order.id, OrderAnswer("accepted", result="closed"), now=world.now)
    assert world.subscription(started).status == "expired"
    assert world.invoice(started.invoice_id).status == "void"
    assert PromoCode.objects.get().redemptions == 0
    assert world.buy(anna, promo_code="SPRING").is_new


def test_a_success_on_its_way_beats_the_expiry(world) -> None:
    from billing_api.billing_service.answers import OrderAnswer
    from billing_api.billing_service.commands.run_maintenance import run_maintenance
    from billing_api.billing_service.commands.settle_close_answer import settle_close_answer
    from billing_api.billing_service.models import OutgoingOrder

    anna = world.customer()
    started = world.buy(anna)
    world.pass_time(hours=24)
    run_maintenance(now=world.now)
    order = OutgoingOrder.objects.get()
    settle_close_answer(order.id, OrderAnswer("accepted", result="in_flight"), now=world.now)
    world.pay(started, anna)
    assert world.subscription(started).status == "active"
    order.refresh_from_db(using="billing")
    assert order.state == "withdrawn"


def test_cancelling_at_the_period_s_end_can_be_undone_until_then(world) -> None:
    from billing_api.billing_service.commands.cancel_subscription import cancel_subscription
    from billing_api.billing_service.commands.reactivate_subscription import reactivate_subscription
    from billing_api.billing_service.commands.run_maintenance import run_maintenance
    from billing_api.billing_service.models import Account
    from tests.billing_api.commands.test_renewing import run
    from tests.billing_api.commands.world import events

    _, started, _ = bought(world)
    cancel_subscription(started.subscription_id, now=world.now)
    assert world.subscription(started).access_until.isoformat().startswith("2026-04-14T21")
    with pytest.raises(AppError, match="already scheduled"):
        cancel_subscription(started.subscription_id, now=world.now)
    Account.objects.update(status="blocked")
    with pytest.raises(AppError, match="account-blocked"):
        reactivate_subscription(started.subscription_id, now=world.now)
    Account.objects.update(status="active")
    reactivate_subscription(started.subscription_id, now=world.now)
    assert world.subscription(started).access_until.isoformat().startswith("2026-04-17T21")
    cancel_subscription(started.subscription_id, now=world.now)
    world.pass_time(days=31)
    assert run(world) == (None, 0)
    with pytest.raises(AppError, match="period has ended"):
        reactivate_subscription(started.subscription_id, now=world.now)
    assert run_maintenance(now=world.now).ended == 1
    assert run_maintenance(now=world.now).ended == 0
    assert world.subscription(started).status == "cancelled"
    assert events()[-1] == "subscription.cancelled"


def test_cancelling_now_with_refund_of_the_unused_days(world) -> None:
    from billing_api.billing_service.commands.cancel_subscription import cancel_subscription
    from billing_api.billing_service.invariants import check_invariants
    from billing_api.billing_service.models import CreditNote, OutgoingOrder

    anna, started, state = bought(world)
    world.pass_time(days=21)  # 10 of 31 days are left
    options = {"mode": "now", "refund_unused": True, "now": world.now}
    preview = cancel_subscription(started.subscription_id, preview=True, **options)
    assert world.subscription(started).status == "active"
    done = cancel_subscription(started.subscription_id, **options)
    assert done == preview
    assert done.credited.amount == done.to_card.amount == 16097
    assert (world.balance(anna), world.available(anna)) == (16097, 0)  # on its way to the card
    order = OutgoingOrder.objects.get(kind="refund")
    world.hear(world.refund(state, 16097, refund_order_id=order.id))
    assert world.available(anna) == 0
    assert CreditNote.objects.count() == 1
    assert world.subscription(started).status == "cancelled"
    assert [one.name for one in check_invariants() if not one.holds] == []


def test_a_refund_made_in_the_provider_s_cabinet_is_posted_too(world) -> None:
    anna, started, state = bought(world)
    part = world.refund(state, 10000, origin="provider")
    world.hear(part)
    assert world.subscription(started).status == "active"
    assert world.invoice(started.invoice_id).credited_minor == 10000
    world.hear(world.refund(part, 39900, origin="provider"))
    assert world.subscription(started).status == "cancelled"
    assert world.balance(anna) == 0


def test_a_gap_in_the_events_loses_nothing(world) -> None:
    anna = world.customer()
    started = world.buy(anna)
    state = world.payment(started.invoice_id, anna.user_id)
    world.hear(world.refund(state), sequence=7)  # the first thing heard of this payment
    assert world.balance(anna) == 0
    assert world.invoice(started.invoice_id).credited_minor == 49900
    assert world.subscription(started).status == "cancelled"


def test_a_trial_is_reminded_of_once(world) -> None:
    from billing_api.billing_service.commands.run_maintenance import run_maintenance

    trial, _ = world.product("trial", 49900, trial_days=7)
    world.buy(world.customer(), trial)
    assert run_maintenance(now=world.now).trial_reminders == 0
    world.pass_time(days=4)
    assert run_maintenance(now=world.now).trial_reminders == 1
    assert run_maintenance(now=world.now).trial_reminders == 0


def test_a_cancellation_of_a_transfer_waits_for_a_person_in_peace(world) -> None:
    """Sent once it is nobody's to repeat, and the suite is quiet; the refund's event ends it."""
    from billing_api.billing_service import queries
    from billing_api.billing_service.answers import OrderAnswer
    from billing_api.billing_service.commands.run_maintenance import run_maintenance
    from billing_api.billing_service.commands.settle_refund_answer import settle_refund_answer
    from billing_api.billing_service.models import PaymentCancellation

    anna = world.customer()
    started = world.buy(anna)
    state = world.pay(started, anna, provider="bank_transfer")
    decided = cancel(world, state)
    assert queries.quiescence()["pending"]["cancellations"] == 1
    world.pass_time(minutes=3)
    assert run_maintenance(now=world.now).cancellations_redriven == 1
    settle_refund_answer(decided.cancellation_id, OrderAnswer("accepted"), now=world.now)
    world.pass_time(days=2)
    assert run_maintenance(now=world.now).cancellations_redriven == 0
    assert queries.quiescence()["pending"]["cancellations"] == 0
    world.hear(world.refund(state, cancellation_id=decided.cancellation_id))
    assert PaymentCancellation.objects.get().state == "done"
