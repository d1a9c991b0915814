"""A change of product whose invoice is given up, and renewals that wait for it."""

from __future__ import annotations

from tests.billing_api.commands.test_changing import (
    change,
    change_row,
    close_answers,
    holds,
    pay,
    shop,
    subscriber,
)
from tests.billing_api.commands.test_renewing import collect, outcome, run


def test_writing_off_the_invoice_of_a_change_gives_the_change_up_and_billing_goes_on(world) -> None:
    from billing_api.billing_service.actors import Actor
    from billing_api.billing_service.commands.write_off import write_off
    from billing_api.billing_service.models import BillingRun

    shop(world)
    anna, started = subscriber(world)
    changed = change(world, started, world.premium)
    write_off(changed.invoice_id, actor=Actor("staff", "s"), reason="not wanted", now=world.now)
    assert change_row(started).state == "lapsed"
    world.pass_time(days=31)
    assert run(world)[1] == 1
    assert run(world) == (None, 0)
    assert BillingRun.objects.count() == 1
    (attempt,) = collect(world)
    outcome(world, anna, attempt)
    assert world.subscription(started).product_id == world.basic
    pay(world, anna, changed, amount=30000)  # late money for what was given up is the customer's
    assert world.available(anna) == 30000
    assert world.subscription(started).product_id == world.basic
    holds()


def test_a_change_left_open_by_an_invoice_given_up_earlier_does_not_stop_billing(world, superuser) -> None:
    """Rows that were written before the change lapsed with its invoice."""
    shop(world)
    _, started = subscriber(world)
    changed = change(world, started, world.premium)
    superuser.execute(
        "UPDATE invoice SET status = 'uncollectible', written_off_minor = amount_due_minor,"
        " amount_due_minor = 0 WHERE id = %s",
        (str(changed.invoice_id),),
    )
    world.pass_time(days=31)
    assert run(world)[1] == 1
    assert change_row(started).state == "lapsed"


def test_a_renewal_that_waits_for_payapi_starts_no_run_every_tick(world) -> None:
    from billing_api.billing_service.models import BillingRun

    shop(world)
    _, started = subscriber(world)
    change(world, started, world.premium)
    world.pass_time(days=31)
    for _ in range(5):
        assert run(world)[1] == 0
    assert BillingRun.objects.count() == 1
    assert close_answers(world, "in_flight") == 1
    assert run(world) == (None, 0)
    world.pass_time(minutes=1)
    assert close_answers(world, "closed") == 1
    assert run(world)[1] == 1
    holds()
