"""The billing run and the collection: months of a subscription, gaps, parallel runs, bad rows, dunning."""

from __future__ import annotations

import threading
from datetime import datetime

import pytest

from shared.errors import AppError


def run(world, *, as_of: datetime | None = None, dry_run: bool = False):
    """A whole run; (id, sum of its shards' invoices)."""
    from billing_api.billing_service.commands.issue_periodic_invoices import (
        run_billing_shard,
        start_billing_run,
    )

    started = start_billing_run(as_of=as_of, dry_run=dry_run, now=world.now)
    if started.run_id is None:
        return None, 0
    return started.run_id, sum(
        run_billing_shard(started.run_id, shard, now=world.now).invoices for shard in range(started.shards)
    )


def subscriber(world, **more):
    anna = world.customer()
    started = world.buy(anna, **more)
    world.pay(started, anna)
    return anna, started


def collect(world):
    """Plans, and lets UserAPI take what is planned; the attempts."""
    from billing_api.billing_service.answers import OrderAnswer
    from billing_api.billing_service.commands.plan_collection import plan_collection
    from billing_api.billing_service.commands.settle_collection_answer import settle_collection_answer
    from billing_api.billing_service.models import CollectionAttempt

    plan_collection(now=world.now)
    attempts = list(CollectionAttempt.objects.filter(state="planned").order_by("id"))
    for attempt in attempts:
        settle_collection_answer(attempt.id, OrderAnswer("accepted"), now=world.now)
    return attempts


def outcome(world, anna, attempt, status="succeeded", **more):
    state = world.payment(
        attempt.invoice_id, anna.user_id, status, payment_id=attempt.id, initiator="merchant", **more
    )
    world.hear(state)
    return state


def test_a_month_passes_and_is_renewed_and_collected(world) -> None:
    from billing_api.billing_service import queries
    from billing_api.billing_service.models import Invoice
    from tests.billing_api.commands.world import events

    anna, started = subscriber(world)
    assert run(world) == (None, 0)
    world.pass_time(days=31)
    assert run(world)[1] == 1
    assert run(world) == (None, 0)
    invoice = Invoice.objects.get(kind="renewal")
    assert (str(invoice.period_start_on), str(invoice.period_end_on)) == ("2026-04-15", "2026-05-15")
    assert world.subscription(started).access_until.isoformat().startswith("2026-04-17")

    (attempt,) = collect(world)
    assert collect(world) == []
    assert not queries.quiescence()["quiet"]
    outcome(world, anna, attempt)
    subscription = world.subscription(started)
    assert subscription.status == "active"
    assert subscription.access_until.isoformat().startswith("2026-05-17")
    assert events()[-3:] == ["invoice.issued", "invoice.paid", "subscription.renewed"]
    assert world.balance(anna) == 0
    pending = queries.quiescence()["pending"]
    assert pending["collection_attempts"] == pending["orders"] == 0


def test_missed_periods_are_billed_in_order_but_charged_one_a_day(world) -> None:
    from billing_api.billing_service.models import Invoice

    anna, _ = subscriber(world)
    world.pass_time(days=95)
    assert run(world)[1] == 3
    periods = list(Invoice.objects.order_by("period_start_on").values_list("period_start_on", flat=True))
    assert [day.isoformat() for day in periods] == ["2026-03-15", "2026-04-15", "2026-05-15", "2026-06-15"]
    for _ in range(3):
        (attempt,) = collect(world)
        outcome(world, anna, attempt)
        assert collect(world) == []
        world.pass_time(hours=25)
    assert Invoice.objects.filter(status="paid").count() == 4
    numbers = Invoice.objects.order_by("issued_at", "period_start_on").values_list("number", flat=True)
    assert list(numbers) == [f"2026-00000{number}" for number in (1, 2, 3, 4)]


def test_the_cap_leaves_the_rest_to_the_next_run(world) -> None:
    from billing_api.billing_service.models import ReviewItem

    subscriber(world)
    world.pass_time(days=15 * 31)
    assert run(world)[1] == 12
    assert ReviewItem.objects.get().kind == "missed_periods_cap"
    assert run(world)[1] == 3


def test_a_dry_run_has_the_same_figures_and_writes_nothing(world) -> None:
    from billing_api.billing_service.models import BillingRun, DocumentCounter, Invoice, LedgerEntry
    from tests.billing_api.commands.world import events

    for _ in range(3):
        subscriber(world)
    world.pass_time(days=62)
    before = (Invoice.objects.count(), LedgerEntry.objects.count(), events(), DocumentCounter.objects.get())
    run(world, dry_run=True)
    after = (Invoice.objects.count(), LedgerEntry.objects.count(), events(), DocumentCounter.objects.get())
    assert before == after
    run(world)
    dry, real = BillingRun.objects.order_by("id")
    assert (dry.invoices, dry.total_minor) == (real.invoices, real.total_minor) == (6, 6 * 49900)


def test_a_run_ahead_of_the_clock_is_refused(world) -> None:
    from datetime import timedelta

    with pytest.raises(AppError, match="as-of-in-the-future"):
        run(world, as_of=world.now + timedelta(seconds=1))


def test_a_bad_row_is_set_aside_and_the_rest_go_on(world, superuser) -> None:
    from billing_api.billing_service import queries
    from billing_api.billing_service.models import Invoice, ReviewItem

    subscriber(world)
    _, bad = subscriber(world)
    world.pass_time(days=31)
    superuser.execute("UPDATE subscription SET currency = 'XXX' WHERE id = %s", (str(bad.subscription_id),))
    run_id, invoices = run(world)
    assert invoices == 1
    view = queries.run_view(run_id)
    assert (view["errors"], view["status"]) == (1, "finished")
    assert view["failed_items"][0]["subscription_id"] == str(bad.subscription_id)
    run(world)
    run(world)
    assert run(world) == (None, 0)  # quarantined after three failures in a row
    assert ReviewItem.objects.get().kind == "billing_set_aside"
    assert Invoice.objects.filter(kind="renewal").count() == 1


def parallel(work, count: int) -> list[BaseException]:
    """Runs it in threads that begin together; the errors."""
    from django.db import connections

    barrier, errors = threading.Barrier(count), []

    def one(number: int) -> None:
        try:
            barrier.wait()
            work(number)
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_parallel_runs_invoice_each_period_once(world) -> None:
    from django.db.models import Count

    from billing_api.billing_service.models import Invoice

    for _ in range(12):
        subscriber(world)
    for _round in range(3):
        world.pass_time(days=31)
        assert parallel(lambda _number: run(world), 4) == []
        doubles = (
            Invoice.objects.values("subscription_id", "period_start_on")
            .annotate(count=Count("id"))
            .filter(count__gt=1)
        )
        assert not doubles.exists()
    assert Invoice.objects.filter(kind="renewal").count() == 36
    numbers = sorted(Invoice.objects.values_list("number", flat=True))
    assert numbers == [f"2026-{number:06}" for number in range(1, 49)]


def test_runs_that_list_the_same_rows_bill_them_once_and_count_them_once(world) -> None:
    from billing_api.billing_service.commands.issue_periodic_invoices import (
        run_billing_shard,
        start_billing_run,
    )
    from billing_api.billing_service.models import BillingRun, Invoice
    from tests.billing_api.commands.world import events

    for _ in range(3):
        subscriber(world)
    world.pass_time(days=31)
    runs = [start_billing_run(now=world.now) for _ in range(3)]
    assert [one.due for one in runs] == [3, 3, 3]
    dry = start_billing_run(dry_run=True, now=world.now)
    done = [run_billing_shard(one.run_id, 0, now=world.now) for one in (*runs, dry)]
    assert [(one.invoices, one.total_minor, one.skipped, one.errors) for one in done] == [
        (3, 3 * 49900, 0, 0),
        *[(0, 0, 3, 0)] * 3,
    ]
    assert Invoice.objects.filter(kind="renewal").count() == events().count("invoice.issued") - 3 == 3
    assert set(BillingRun.objects.values_list("status", flat=True)) == {"finished"}


def test_a_naive_parallel_run_would_bill_twice(world, superuser) -> None:
    """Without the account's lock and the unique key two runs do invoice one period twice."""
    from billing_api.billing_service import subscription_terms
    from billing_api.billing_service.domain import subscription as rules
    from billing_api.billing_service.models import Invoice, Subscription

    _, started = subscriber(world)
    world.pass_time(days=31)
    superuser.execute("DROP INDEX invoice_one_per_period")
    barrier = threading.Barrier(2)

    def naive(_number: int) -> None:
        from billing_api.billing_service.database import atomic

        with atomic():
            subscription = Subscription.objects.get(id=started.subscription_id)
            renewed = rules.renew(subscription_terms.as_value(subscription))
            barrier.wait()
            invoice = Invoice.objects.filter(kind="first").get()
            invoice.pk, invoice.kind = None, "renewal"
            from shared.ids import new_id

            invoice.id, invoice.number = new_id(), str(new_id())[-12:]
            invoice.period_start_on = renewed.period.start
            invoice._state.adding = True
            invoice.save(using="billing", force_insert=True)

    try:
        assert parallel(naive, 2) == []
        assert Invoice.objects.filter(kind="renewal").count() == 2
    finally:
        superuser.execute("DELETE FROM invoice WHERE kind = 'renewal'")
        superuser.execute(
            "CREATE UNIQUE INDEX invoice_one_per_period ON invoice (subscription_id, period_start_on)"
            " WHERE kind IN ('first', 'renewal') AND NOT (status = 'void')"
        )


def test_soft_declines_are_retried_by_the_plan_and_a_success_recovers(world) -> None:
    from tests.billing_api.commands.world import events

    anna, started = subscriber(world)
    world.pass_time(days=31)
    run(world)
    (attempt,) = collect(world)
    outcome(world, anna, attempt, "failed", decline="soft")
    invoice = world.invoice(attempt.invoice_id)
    assert world.subscription(started).status == "past_due"
    assert (invoice.next_collection_at - world.now).days == 1
    assert events()[-2:] == ["invoice.payment_failed", "subscription.past_due"]
    assert collect(world) == []
    world.pass_time(days=1)
    (attempt,) = collect(world)
    outcome(world, anna, attempt, "failed", decline="hard")
    assert world.invoice(attempt.invoice_id).next_collection_at is None
    world.hear(world.payment(attempt.invoice_id, anna.user_id))  # another card, by the user
    assert world.subscription(started).status == "active"


def test_no_consent_leaves_the_invoice_to_the_user_and_ends_a_trial(world) -> None:
    from billing_api.billing_service.answers import OrderAnswer
    from billing_api.billing_service.commands.plan_collection import plan_collection
    from billing_api.billing_service.commands.settle_close_answer import settle_close_answer
    from billing_api.billing_service.commands.settle_collection_answer import settle_collection_answer
    from billing_api.billing_service.models import CollectionAttempt, OutgoingOrder

    trial, _ = world.product("trial", 49900, trial_days=7)
    anna, boris = world.customer(), world.customer()
    world.pay(paying := world.buy(anna), anna)
    trying = world.buy(boris, trial)
    world.pass_time(days=31)
    assert run(world)[1] == 2  # a renewal, and the first invoice after the trial
    plan_collection(now=world.now)
    for attempt in CollectionAttempt.objects.all():
        for _ in range(2):
            done = settle_collection_answer(attempt.id, OrderAnswer("refused", "no-consent"), now=world.now)
        assert done.state == "refused"
    assert world.subscription(paying).status == "past_due"
    assert world.subscription(trying).status == "cancelled"
    closings = OutgoingOrder.objects.filter(kind="close_payments", state="pending")
    assert closings.count() == 1
    for order in list(closings):
        settle_close_answer(order.id, OrderAnswer("accepted", result="in_flight"), now=world.now)
        assert world.invoice(order.invoice_id).status == "open"
        settle_close_answer(order.id, OrderAnswer("accepted", result="closed"), now=world.now)
        assert world.invoice(order.invoice_id).status == "void"
    assert world.balance(boris) == 0
    assert plan_collection(now=world.now).attempts == 0


def test_an_unclear_answer_sends_the_same_order_again(world) -> None:
    from billing_api.billing_service import orders
    from billing_api.billing_service.answers import OrderAnswer
    from billing_api.billing_service.commands.plan_collection import plan_collection
    from billing_api.billing_service.commands.settle_collection_answer import settle_collection_answer

    subscriber(world)
    world.pass_time(days=31)
    run(world)
    plan_collection(now=world.now)
    (order,) = orders.claim(world.now)
    assert orders.claim(world.now) == []  # leased
    settle_collection_answer(order.id, OrderAnswer("later", "user-api-unavailable"), now=world.now)
    assert orders.claim(world.now) == []
    world.pass_time(seconds=3)
    (again,) = orders.claim(world.now)
    assert again.id == order.id
    assert again.body["receipt"]["lines"][0]["amount"]["amount"] == 49900


def test_not_paid_for_21_days_ends_it(world) -> None:
    from billing_api.billing_service.answers import OrderAnswer
    from billing_api.billing_service.commands.run_maintenance import run_maintenance
    from billing_api.billing_service.commands.settle_close_answer import settle_close_answer
    from billing_api.billing_service.models import OutgoingOrder
    from tests.billing_api.commands.world import events

    anna, started = subscriber(world)
    world.pass_time(days=31)
    run(world)
    (attempt,) = collect(world)
    outcome(world, anna, attempt, "failed", decline="hard")
    world.pass_time(days=4)
    assert run_maintenance(now=world.now).overdue == 1
    assert run_maintenance(now=world.now).overdue == 0
    assert events()[-1] == "invoice.overdue"
    world.pass_time(days=17)
    assert run_maintenance(now=world.now).dunning_ended == 1
    assert world.subscription(started).status == "cancelled"
    order = OutgoingOrder.objects.get(kind="close_payments")
    settle_close_answer(order.id, OrderAnswer("accepted", result="closed"), now=world.now)
    assert world.invoice(attempt.invoice_id).status == "uncollectible"
    assert world.balance(anna) == 0


def test_the_receipt_of_a_collection_adds_up_to_what_is_charged(world) -> None:
    """Balance took a part of the renewal; PayAPI refuses a receipt that differs from the amount."""
    from billing_api.billing_service.actors import Actor
    from billing_api.billing_service.commands.grant_goodwill import grant_goodwill
    from billing_api.billing_service.commands.plan_collection import plan_collection
    from billing_api.billing_service.models import OutgoingOrder
    from shared.money import Money

    anna, _ = subscriber(world)
    grant_goodwill(anna.user_id, Money(9900), actor=Actor("staff", "s"), reason="sorry", now=world.now)
    world.pass_time(days=31)
    run(world)
    plan_collection(now=world.now)
    (order,) = OutgoingOrder.objects.filter(kind="collection")
    assert order.body["amount"]["amount"] == 40000
    assert [line["amount"]["amount"] for line in order.body["receipt"]["lines"]] == [40000]


def test_invoices_that_must_wait_hold_up_nobody_behind_them(world, monkeypatch) -> None:
    from billing_api.billing_service.commands import plan_collection as planning
    from billing_api.billing_service.models import Invoice

    for _ in range(5):
        subscriber(world)
    world.pass_time(days=31)
    run(world)
    first = list(
        Invoice.objects.filter(kind="renewal").order_by("account_id").values_list("id", flat=True)[:2]
    )
    monkeypatch.setattr(planning, "BATCH", 2)
    monkeypatch.setattr(planning, "_charged_lately", lambda invoice, now: invoice.id in first)
    assert planning.plan_collection(now=world.now).attempts == 3
    assert planning.plan_collection(now=world.now).attempts == 0
