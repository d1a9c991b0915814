"""Trials: one per person, with or without a card, and what they come to."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.errors import AppError
from tests.billing_api.commands.test_renewing import run


def trial(world, **terms):
    return world.product("trial", 49900, trial_days=14, terms=terms)[0]


def offered(world, customer, product) -> int:
    from billing_api.billing_service.commands.quote_price import quote_price

    return quote_price(customer, product_id=product, now=world.now).offer.trial_days


def test_one_trial_per_person_by_the_same_card(world) -> None:
    """Another e-mail, the same card: the quote and the purchase agree that there is no second trial."""
    from billing_api.billing_service import queries
    from billing_api.billing_service.commands.quote_price import quote_price

    product = trial(world, trial_needs_method=True)
    anna, anna_again, boris = world.customer(), world.customer(), world.customer()
    card = world.saves_card(anna, "card-1")
    assert world.buy(anna, product, payment_method_id=card).invoice_id is None
    assert offered(world, anna_again, product) == 14, "nobody knows the card yet"
    same = world.saves_card(anna_again, "card-1")
    quote = queries.quote_view(quote_price(anna_again, product_id=product, now=world.now).offer)
    assert (quote["trial_days"], quote["trial_needs_method"], quote["amount_due"]["amount"]) == (
        0,
        False,
        49900,
    )
    started = world.buy(anna_again, product, payment_method_id=same)
    assert world.invoice(started.invoice_id).total_minor == 49900
    other = world.saves_card(boris, "card-2")
    assert world.buy(boris, product, payment_method_id=other).invoice_id is None


def test_a_detached_card_and_an_ended_trial_still_count(world) -> None:
    from billing_api.billing_service.commands.cancel_subscription import cancel_subscription

    product = trial(world)
    anna, again = world.customer(), world.customer()
    started = world.buy(anna, product)
    card = world.saves_card(anna, "card-1")
    cancel_subscription(started.subscription_id, mode="now", now=world.now)
    world.saves_card(anna, "card-1", method_id=card, status="detached")
    world.saves_card(again, "card-1")
    assert offered(world, again, product) == 0


def test_a_trial_that_needs_a_card(world) -> None:
    from billing_api.billing_service.models import TrialUse
    from shared.ids import new_id

    product = trial(world, trial_needs_method=True)
    anna = world.customer()
    with pytest.raises(AppError, match="needs a saved card") as refused:
        world.buy(anna, product)
    assert refused.value.code == "trial-needs-method"
    with pytest.raises(AppError) as refused:
        world.buy(anna, product, payment_method_id=new_id())
    assert (refused.value.code, refused.value.retry_after_seconds) == ("payment-method-catching-up", 1)
    foreign = world.saves_card(world.customer(), "card-2")
    own = world.saves_card(anna, "card-1")
    world.saves_card(anna, "card-1", method_id=own, status="detached")
    for unusable in (foreign, own):
        with pytest.raises(AppError) as refused:
            world.buy(anna, product, payment_method_id=unusable)
        assert refused.value.code == "payment-method-unusable"
    assert not TrialUse.objects.exists()
    assert world.buy(anna, product, payment_method_id=world.saves_card(anna, "card-3")).invoice_id is None


def test_a_card_saved_during_a_second_trial_leaves_it_the_three_days_of_the_reminder(world) -> None:
    from billing_api.billing_service.models import ReviewItem
    from tests.billing_api.commands.world import event_data, events

    product = trial(world)
    anna, again = world.customer(), world.customer()
    world.buy(anna, product)
    world.saves_card(anna, "card-1")
    started = world.buy(again, product)
    was = world.subscription(started).trial_ends_at
    world.saves_card(again, "card-1")
    subscription = world.subscription(started)
    assert subscription.status == "trialing"
    assert was - subscription.trial_ends_at == timedelta(days=11), "14 days become 3"
    assert subscription.next_invoice_at == subscription.trial_ends_at
    assert event_data("subscription.trial_will_end")[0]["trial_ends_at"].startswith("2026-03-17T21:00")
    assert ReviewItem.objects.get().kind == "trial_repeated"
    before = events()
    world.saves_card(again, "card-1")
    assert events() == before, "once"
    world.pass_time(days=3)
    assert run(world)[1] == 1


@pytest.mark.parametrize(
    ("says", "status", "invoice"), [("cancel", "cancelled", "open"), ("invoice", "past_due", "open")]
)
def test_a_trial_that_nobody_can_be_charged_for(world, says: str, status: str, invoice: str) -> None:
    """No consent at its end: it is cancelled (its invoice closed by close-payments) or waits for the user."""
    from billing_api.billing_service.answers import OrderAnswer
    from billing_api.billing_service.commands.plan_collection import plan_collection
    from billing_api.billing_service.commands.settle_close_answer import settle_close_answer
    from billing_api.billing_service.commands.settle_collection_answer import settle_collection_answer
    from billing_api.billing_service.models import CollectionAttempt, Invoice, OutgoingOrder

    product = trial(world, trial_without_method=says)
    anna = world.customer()
    started = world.buy(anna, product)
    world.pass_time(days=14)
    run(world)
    plan_collection(now=world.now)
    attempt = CollectionAttempt.objects.get()
    settle_collection_answer(attempt.id, OrderAnswer("refused", "no-consent"), now=world.now)
    assert world.subscription(started).status == status
    assert Invoice.objects.get().status == invoice
    closings = OutgoingOrder.objects.filter(kind="close_payments")
    if says == "cancel":
        settle_close_answer(closings.get().id, OrderAnswer("accepted", result="closed"), now=world.now)
        assert Invoice.objects.get().status == "void"
    else:
        assert not closings.exists()
        world.pay(type(started)(started.subscription_id, attempt.invoice_id, False), anna)
        assert world.subscription(started).status == "active"


def test_the_reminder_comes_three_days_before_the_end(world) -> None:
    from billing_api.billing_service.commands.run_maintenance import run_maintenance

    world.buy(world.customer(), trial(world))
    world.pass_time(days=10, hours=11, minutes=59)  # the trial ends on 29 March at 00:00 in Moscow
    assert run_maintenance(now=world.now).trial_reminders == 0
    world.pass_time(minutes=1)
    assert run_maintenance(now=world.now).trial_reminders == 1
    assert run_maintenance(now=world.now).trial_reminders == 0


def missed(world, periods: int):
    """A trial and ``periods`` whole months after it in which nothing ran; its invoices, oldest first."""
    from billing_api.billing_service.models import Invoice

    anna = world.customer()
    started = world.buy(anna, trial(world))
    world.pass_time(days=14 + 31 * (periods - 1) + 1)
    assert run(world)[1] == periods
    return anna, started, list(Invoice.objects.order_by("period_start_on"))


def test_after_two_missed_periods_the_first_payment_gives_the_first_period_only(world) -> None:
    anna, started, (first, second) = missed(world, 2)
    world.hear(world.payment(first.id, anna.user_id))
    subscription = world.subscription(started)
    assert subscription.status == "active"
    assert subscription.paid_through_on == first.period_end_on < second.period_end_on
    assert subscription.access_until.date() <= first.period_end_on + timedelta(days=3)
    world.hear(world.payment(second.id, anna.user_id))
    assert world.subscription(started).paid_through_on == second.period_end_on


def test_paid_in_the_other_order_nothing_is_lost(world) -> None:
    anna, started, (first, second) = missed(world, 2)
    world.hear(world.payment(second.id, anna.user_id))
    world.hear(world.payment(first.id, anna.user_id))
    assert world.subscription(started).paid_through_on == second.period_end_on


def test_days_given_to_an_unpaid_period_are_there_when_it_is_paid(world) -> None:
    from billing_api.billing_service.actors import Actor
    from billing_api.billing_service.commands.extend_subscription import extend_subscription

    anna, started, (first,) = missed(world, 1)
    extend_subscription(
        started.subscription_id, days=5, actor=Actor("staff", "s"), reason="sorry", now=world.now
    )
    world.hear(world.payment(first.id, anna.user_id))
    assert world.subscription(started).paid_through_on == first.period_end_on + timedelta(days=5)


@pytest.mark.parametrize("who", ["dunning", "staff"])
def test_a_code_of_a_trial_whose_invoice_is_written_off_is_used_up(world, who: str) -> None:
    """The invoice keeps the code's discount, so the code counts: it is not reserved for ever."""
    from billing_api.billing_service.commands.write_off import write_off
    from billing_api.billing_service.models import PromoCode, PromoRedemption
    from tests.billing_api.commands.test_changing import close_answers, holds, maintain
    from tests.billing_api.commands.test_renewing import collect, outcome
    from tests.billing_api.commands.test_staff import said

    world.promo_code(redemption_limit=1)
    anna = world.customer()
    started = world.buy(anna, trial(world), promo_code="SPRING")
    world.pass_time(days=15)
    run(world)
    (attempt,) = collect(world)
    outcome(world, anna, attempt, "failed", decline="hard")
    if who == "dunning":
        world.pass_time(days=22)
        maintain(world)
        assert PromoRedemption.objects.get().state == "reserved", "it may be paid until PayAPI has closed it"
        assert close_answers(world, "closed") == 1
    else:
        write_off(attempt.invoice_id, **said(world))
    assert world.subscription(started).status == "cancelled"
    assert world.invoice(attempt.invoice_id).status == "uncollectible"
    assert (PromoRedemption.objects.get().state, PromoCode.objects.get().redemptions) == ("committed", 1)
    holds()


def test_a_code_stays_reserved_while_another_missed_period_uses_it(world) -> None:
    """Two open invoices have its discount: voiding one gives nothing back, voiding the last does."""
    from billing_api.billing_service.commands.void_invoice import void_invoice
    from billing_api.billing_service.models import Invoice, PromoRedemption
    from tests.billing_api.commands.test_changing import close_answers, holds
    from tests.billing_api.commands.test_staff import said

    world.promo_code(duration_kind="forever")
    world.buy(world.customer(), trial(world), promo_code="SPRING")
    world.pass_time(days=14 + 32)
    assert run(world)[1] == 2
    for invoice in Invoice.objects.order_by("-period_start_on"):
        assert PromoRedemption.objects.get().state == "reserved"
        void_invoice(invoice.id, **said(world))
        close_answers(world, "closed")
        holds()
    assert PromoRedemption.objects.get().state == "released"
