"""Recurrent payments kept by the provider: create, look up, change, cancel."""

from __future__ import annotations

from pay_api.sandbox import recurrence
from pay_api.sandbox.envelope import Answer, done, succeeded
from pay_api.sandbox.parameters import Refused
from pay_api.sandbox.registry import answers
from pay_api.sandbox.subscription import Subscription, SubscriptionStatus
from pay_api.sandbox.terminal import Call

_OVER = (SubscriptionStatus.CANCELLED, SubscriptionStatus.EXPIRED, SubscriptionStatus.REJECTED)


def _subscription(call: Call) -> Subscription:
    found = call.terminal.subscriptions.get(call.parameters.required_text("Id"))
    if found is None:
        raise Refused("Subscription not found")
    return found


@answers("subscriptions/create")
async def create(call: Call) -> Answer:
    """Charges a saved card from StartDate on."""
    read, terminal = call.parameters, call.terminal
    token, account_id = read.required_text("Token"), read.required_text("AccountId")
    if terminal.store.card(token, account_id) is None:
        raise Refused("Token not found")
    subscription = recurrence.new_subscription(terminal, token, account_id, read)
    terminal.subscriptions.save(subscription)
    return succeeded(subscription.as_model())


@answers("subscriptions/get")
async def get(call: Call) -> Answer:
    """One subscription by its id."""
    return succeeded(_subscription(call).as_model())


@answers("subscriptions/find")
async def find(call: Call) -> Answer:
    """Every subscription of an account."""
    account_id = call.parameters.required_text("AccountId")
    found = [item for item in call.terminal.subscriptions.all() if item.account_id == account_id]
    return succeeded([item.as_model() for item in found])


@answers("subscriptions/update")
async def update(call: Call) -> Answer:
    """Changes what is given; one that is over becomes active again. No notification is sent."""
    read, subscription = call.parameters, _subscription(call)
    now = call.terminal.clock.now()
    interval, period = recurrence.interval_of(read, required=False)
    start = recurrence.start_of(read, now, required=False)
    max_periods = recurrence.positive(read, "MaxPeriods")
    if read.text("Amount") is not None:
        amount = read.amount(None if read.text("Currency") else subscription.currency)
        subscription.amount_minor, subscription.currency = amount.minor, amount.currency
    subscription.description = read.text("Description") or subscription.description
    subscription.culture_name = read.text("CultureName") or subscription.culture_name
    subscription.receipt = read.json_text("CustomerReceipt") or subscription.receipt
    subscription.max_periods = max_periods or subscription.max_periods
    if read.text("RequireConfirmation") is not None:
        subscription.require_confirmation = read.flag("RequireConfirmation")
    if (interval or period) and subscription.next_at is not None:
        # From the payment that is awaited on, the new gap counts.
        subscription.anchor_at, subscription.charged = subscription.next_at, 0
    subscription.interval = interval or subscription.interval
    subscription.period = period or subscription.period
    if start is not None:
        subscription.start_over(start)
    elif subscription.status in _OVER:
        subscription.start_over(subscription.moment_after(now))
    call.terminal.subscriptions.save(subscription)
    return succeeded(subscription.as_model())


@answers("subscriptions/cancel")
async def cancel(call: Call) -> Answer:
    """Ends a subscription; Recurrent tells of it."""
    subscription = _subscription(call)
    if subscription.cancel():
        call.terminal.notifier.tell_recurrent(call.outgoing, subscription)
        call.terminal.subscriptions.save(subscription)
    return done()
