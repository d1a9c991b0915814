"""The page of a bank transfer: where to send the money, and, once it has come, how it ended."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

from fastapi import Response

from pay_api.api import pages
from pay_api.api.deps import Edge
from pay_api.api.threeds import faces_json, result_page, summary
from pay_api.links import Purpose
from pay_api.models import Payment
from shared.queue.messages.payments import PaymentStatus

# Names of the connector's instructions, in the order a bank's form asks for them, and their labels.
_SHOWN: Final = {
    "recipient": "recipient",
    "inn": "inn",
    "account": "account",
    "bank": "bank_name",
    "bic": "bic",
    "correspondent_account": "correspondent_account",
    "purpose": "purpose",
}
_LONG: Final = ("account", "correspondent_account", "purpose")  # a line of its own
_ZONE: Final = ZoneInfo("Europe/Moscow")  # of the seller's bank


def transfer_page(edge: Edge, payment: Payment) -> Response:
    """The details while the transfer is awaited; they give way to the end without a reload."""
    if payment.status != PaymentStatus.ACTION_REQUIRED or payment.instructions is None:
        return result_page(edge, payment)
    texts = pages.TEXTS[payment.locale]
    assert payment.expires_at is not None
    ends_on = payment.expires_at.astimezone(_ZONE)
    day = f"{ends_on:%d.%m.%Y}" if payment.locale == "ru" else f"{ends_on.day} {ends_on:%B %Y}"
    details = [
        (texts[label], payment.instructions[name], name in _LONG)
        for name, label in _SHOWN.items()
        if name in payment.instructions
    ]
    return pages.render(
        "transfer.html",
        payment.locale,
        mood="form",
        details=details,
        until=texts["transfer_until"].replace("{day}", day),
        onward=pages.with_payment(payment.return_url, str(payment.id)) if payment.return_url else None,
        events_url=edge.links.url(payment.id, Purpose.EVENTS),
        faces=faces_json(payment),
        **summary(payment),
    )
