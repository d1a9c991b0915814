"""Charges subscriptions when the suite's clock says so, and starts those a payment asks for."""

from __future__ import annotations

import json
import secrets
from datetime import datetime
from typing import Any, Final

from pay_api.sandbox import cards
from pay_api.sandbox.envelope import Answer
from pay_api.sandbox.notifications import Outgoing
from pay_api.sandbox.parameters import Parameters, Refused
from pay_api.sandbox.reasons import EXPIRED_CARD
from pay_api.sandbox.subscription import INTERVALS, Subscription, later
from pay_api.sandbox.terminal import Call, Terminal
from pay_api.sandbox.transaction import SavedCard, Transaction, TransactionType, put_card
from shared.money import minor_to_decimal_text

_MAX_GAP_YEARS: Final = 1
_MAX_AT_ONCE: Final = 1000  # of one subscription in one pass: a clock moved by years is caught up with


def charge_due(terminal: Terminal) -> None:
    """Every payment that has become due, oldest first for each subscription."""
    now = terminal.clock.now()
    for subscription in terminal.subscriptions.all():
        for _ in range(_MAX_AT_ONCE):
            if not subscription.is_due(now):
                break
            _charge(terminal, subscription, now)


def _charge(terminal: Terminal, subscription: Subscription, now: datetime) -> None:
    stage = "auth" if subscription.require_confirmation else "charge"
    parameters = Parameters(
        {
            "AccountId": subscription.account_id,
            "Email": subscription.email,
            "Description": subscription.description,
            "CultureName": subscription.culture_name,
        }
    )
    outgoing = Outgoing()
    call = Call(terminal, f"subscriptions/{stage}", parameters, None, outgoing)
    transaction = call.new_transaction(
        TransactionType.PAYMENT, subscription.amount_minor, subscription.currency
    )
    transaction.subscription_id = subscription.id
    card = terminal.store.card(subscription.token, subscription.account_id)
    assert card is not None
    put_card(transaction, card)
    fault = terminal.faults.of_call(call.method)
    if fault is not None:
        call.forced_reason_code = fault.reason_code
    answer: Answer = call.authorise(transaction, _refusal(card, now))
    if subscription.book(bool(answer["Success"]), now):
        terminal.notifier.tell_recurrent(outgoing, subscription)
    terminal.subscriptions.save(subscription)
    terminal.notifier.release(outgoing)


def _refusal(card: SavedCard, now: datetime) -> int:
    return EXPIRED_CARD if cards.is_expired(card.exp_date, now) else card.reason_code


def new_subscription(terminal: Terminal, token: str, account_id: str, read: Parameters) -> Subscription:
    """From the parameters of create, or of a payment's ``recurrent`` object. Raises Refused."""
    amount = read.amount()
    interval, period = interval_of(read, required=True)
    assert interval is not None
    assert period is not None
    start = start_of(read, terminal.clock.now())
    assert start is not None
    return Subscription(
        id="sc_" + secrets.token_hex(15)[:29],
        token=token,
        account_id=account_id,
        description=read.required_text("Description"),
        email=read.text("Email"),
        amount_minor=amount.minor,
        currency=amount.currency,
        require_confirmation=read.flag("RequireConfirmation"),
        start_at=start,
        anchor_at=start,
        interval=interval,
        period=period,
        max_periods=positive(read, "MaxPeriods"),
        culture_name=read.text("CultureName") or "ru-RU",
        receipt=read.json_text("CustomerReceipt"),
        next_at=start,
    )


def interval_of(read: Parameters, *, required: bool) -> tuple[str | None, int | None]:
    """Day, Week or Month, and how many of them: at most a year."""
    text, period = read.text("Interval"), positive(read, "Period")
    if required:
        text = read.required_text("Interval")
        read.required_integer("Period")
    if text is not None and text.lower() not in INTERVALS:
        raise Refused("Invalid Interval value")
    interval = INTERVALS[text.lower()][0] if text is not None else None
    if interval is not None and period is not None:
        longest = {"Day": 366, "Week": 52, "Month": 12}[interval] * _MAX_GAP_YEARS
        if period > longest:
            raise Refused("Invalid Period value")
    return interval, period


def positive(read: Parameters, name: str) -> int | None:
    number = read.integer(name)
    if number is not None and number <= 0:
        raise Refused(f"Invalid {name} value")
    return number


def start_of(read: Parameters, now: datetime, *, required: bool = True) -> datetime | None:
    """StartDate, UTC, in the future and within a year."""
    start = read.moment("StartDate", required=required)
    if start is not None and not now < start <= later(now, "Month", 12):
        raise Refused("Invalid StartDate value")
    return start


def start_from_payment(call: Call, transaction: Transaction) -> None:
    """``JsonData.cloudpayments.recurrent``: the payment is the first, its card is charged from then on."""
    wish = _recurrent(transaction.json_data)
    if wish is None or not transaction.account_id:
        return
    terminal = call.terminal
    token = transaction.token or terminal.store.save_card(transaction)
    now = terminal.clock.now()
    wanted = {name.lower(): value for name, value in wish.items()}
    interval, period = interval_of(Parameters(wanted), required=True)
    assert interval is not None
    assert period is not None
    values: dict[str, Any] = {
        "Amount": minor_to_decimal_text(transaction.amount_minor, transaction.currency),
        "Currency": transaction.currency,
        "Description": transaction.description or "Subscription",
        "Email": transaction.email,
        "CultureName": transaction.culture_name,
        "RequireConfirmation": not transaction.one_stage,
        "StartDate": later(now, interval, period).isoformat(),
    }
    read = Parameters({name.lower(): value for name, value in values.items()} | wanted)
    subscription = new_subscription(terminal, token, transaction.account_id, read)
    transaction.subscription_id = subscription.id
    terminal.subscriptions.save(subscription)


def _recurrent(json_data: str | None) -> dict[str, Any] | None:
    """The instruction, whatever the case of its names."""
    try:
        value: Any = json.loads(json_data or "null")
    except (ValueError, RecursionError):
        return None
    for name in ("cloudpayments", "recurrent"):
        if not isinstance(value, dict):
            return None
        value = {key.lower(): item for key, item in value.items()}.get(name)
    return value if isinstance(value, dict) else None
