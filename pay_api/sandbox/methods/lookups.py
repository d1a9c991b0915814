"""Looking transactions up: by id, by invoice, by day, by a span of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from pay_api.sandbox.envelope import Answer, declined, refused, succeeded
from pay_api.sandbox.parameters import Parameters, Refused
from pay_api.sandbox.registry import answers
from pay_api.sandbox.terminal import Call
from pay_api.sandbox.transaction import Transaction, TransactionType

PAGE_SIZE: Final = 100

# Hours from UTC of the provider's time zone codes (standard time: the codes know no summer).
_ZONES: Final = {
    "HST": -10, "AKST": -9, "PST": -8, "MST": -7, "CST": -6, "EST": -5, "AST": -4, "BRT": -3, "UTC": 0,
    "GMT": 0, "CET": 1, "EET": 2, "MSK": 3, "AZT": 4, "AMT": 4, "SAMT": 4, "GET": 4, "TJT": 5, "YEKT": 5,
    "ALMT": 5, "NOVT": 7, "KRAT": 7, "HKT": 8, "IRKT": 8, "SGT": 8, "ULAT": 8, "YAKT": 9, "VLAT": 10,
    "SAKT": 11, "ANAT": 12,
}  # fmt: skip


def _found(call: Call, transaction: Transaction) -> Answer:
    """Success is false beside a Model that is declined, cancelled or awaiting authentication."""
    model = call.terminal.model(transaction)
    return succeeded(model) if transaction.succeeded else declined(model)


@answers("payments/get")
async def get(call: Call) -> Answer:
    """One operation by its id, in whatever state it is."""
    return _found(call, call.transaction())


@answers("payments/find")
async def find(call: Call) -> Answer:
    """The latest payment of an invoice; refunds are not seen here."""
    return _find(call, payments_only=True)


@answers("v2/payments/find")
async def find_v2(call: Call) -> Answer:
    """The latest operation of an invoice: after a refund, that is the refund."""
    return _find(call, payments_only=False)


def _find(call: Call, *, payments_only: bool) -> Answer:
    invoice_id = call.parameters.required_text("InvoiceId")
    for transaction in call.terminal.store.newest_first():
        of_kind = not payments_only or transaction.type == TransactionType.PAYMENT
        if transaction.invoice_id == invoice_id and of_kind:
            return _found(call, transaction)
    return refused("Not found")


@answers("payments/list")
async def list_day(call: Call) -> Answer:
    """The operations of one day of a time zone, oldest first."""
    zone = _zone(call.parameters)
    text = call.parameters.required_text("Date")
    try:
        start = datetime.strptime(text[:10], "%Y-%m-%d").replace(tzinfo=zone)
    except ValueError as error:
        raise Refused("Invalid Date value") from error
    end = start + timedelta(days=1)
    found = [item for item in call.terminal.store.oldest_first() if start <= item.created_at < end]
    return succeeded([call.terminal.model(item) for item in found])


@answers("v2/payments/list")
async def list_span(call: Call) -> Answer:
    """The operations of a span, both ends included, oldest first, 100 a page."""
    read = call.parameters
    start, end = _moment(read, "CreatedDateGte"), _moment(read, "CreatedDateLte")
    page = read.required_integer("PageNumber")
    if page < 1:
        raise Refused("Invalid PageNumber value")
    _zone(read)
    statuses = {status.lower() for status in read.texts("Statuses")}
    found = [
        item
        for item in call.terminal.store.oldest_first()
        if start <= item.created_at <= end and (not statuses or item.status.wire_name.lower() in statuses)
    ]
    first = (page - 1) * PAGE_SIZE
    return succeeded([call.terminal.model(item) for item in found[first : first + PAGE_SIZE]])


def _zone(read: Parameters) -> timezone:
    code = (read.text("TimeZone") or "UTC").upper()
    if code not in _ZONES:
        raise Refused("Invalid TimeZone value")
    return timezone(timedelta(hours=_ZONES[code]))


def _moment(read: Parameters, name: str) -> datetime:
    text = read.required_text(name)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(f"Invalid {name} value") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
