"""The list of chargebacks; an operator makes them (``POST /chargebacks``)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pay_api.sandbox.envelope import Answer, succeeded
from pay_api.sandbox.parameters import Refused
from pay_api.sandbox.registry import answers
from pay_api.sandbox.terminal import Call

PAGE_SIZE: Final = 100
_LONGEST: Final = timedelta(days=366)


@answers("chargebacks/list")
async def list_chargebacks(call: Call) -> Answer:
    """Chargebacks of a span of at most a year, oldest first, 100 a page."""
    read, terminal = call.parameters, call.terminal
    start, end = read.moment("CreatedDateGte"), read.moment("CreatedDateLte")
    page = read.required_integer("PageNumber")
    assert start is not None
    assert end is not None
    if page < 1:
        raise Refused("Invalid PageNumber value")
    if not start <= end <= start + _LONGEST:
        raise Refused("Invalid CreatedDateLte value")
    found = [item for item in terminal.chargebacks.all() if start <= item.at <= end]
    shown = found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    models = []
    for item in shown:
        payment = terminal.store.transaction(item.of)
        assert payment is not None
        models.append(item.as_model(payment, terminal.settings.terminal_url))
    return succeeded(models) | {"ErrorCode": None}
