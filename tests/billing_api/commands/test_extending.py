"""An extension given while the renewal is open is kept when the renewal is paid."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.billing_api.commands.test_changing import holds
from tests.billing_api.commands.test_renewing import run
from tests.billing_api.commands.test_staff import said
from tests.billing_api.commands.test_voiding import becomes_past_due, renewal


@pytest.mark.parametrize("past_due", [False, True])
def test_an_extension_of_an_open_renewal_outlives_its_payment(world, past_due: bool) -> None:
    from billing_api.billing_service.commands.extend_subscription import extend_subscription
    from billing_api.billing_service.commands.pause_subscription import pause_subscription
    from billing_api.billing_service.models import Invoice

    anna, started, invoice = renewal(world)
    extend_subscription(started.subscription_id, days=10, **said(world))
    if past_due:
        becomes_past_due(world, anna, started)
    world.hear(world.payment(invoice.id, anna.user_id))
    subscription = world.subscription(started)
    moved = invoice.period_end_on + timedelta(days=10)
    assert subscription.status == "active"
    assert (subscription.paid_through_on, subscription.period_end_on) == (moved, moved)
    assert subscription.access_until.date() == moved + timedelta(days=2)  # 3 days of grace, Moscow midnight

    world.pass_time(days=40)
    assert run(world)[1] == 1
    following = Invoice.objects.filter(kind="renewal").latest("period_start_on")
    assert following.period_start_on == moved
    world.hear(world.payment(following.id, anna.user_id))
    pause_subscription(started.subscription_id, now=world.now)
    assert world.subscription(started).status == "paused"
    holds()
