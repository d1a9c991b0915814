"""Orders: links to pay by, made and cancelled."""

from __future__ import annotations

import secrets
import string

from pay_api.sandbox.envelope import Answer, done, succeeded
from pay_api.sandbox.order import Order, OrderStatus
from pay_api.sandbox.parameters import Refused
from pay_api.sandbox.registry import answers
from pay_api.sandbox.terminal import Call

_LETTERS = string.ascii_letters + string.digits


@answers("orders/create")
async def create(call: Call) -> Answer:
    """Makes a link; nothing is sent to the payer by mail or SMS."""
    read, terminal = call.parameters, call.terminal
    amount = read.amount()
    if read.flag("SendSms") and read.flag("SendViber"):
        raise Refused("SendSms and SendViber exclude each other")
    order = Order(
        id="".join(secrets.choice(_LETTERS) for _ in range(16)),
        number=len(terminal.orders.all()) + 1,
        amount_minor=amount.minor,
        currency=amount.currency,
        description=read.required_text("Description"),
        email=read.text("Email"),
        phone=read.text("Phone"),
        require_confirmation=read.flag("RequireConfirmation"),
        invoice_id=read.text("InvoiceId"),
        account_id=read.text("AccountId"),
        culture_name=read.text("CultureName") or read.text("CultureInfo") or "ru-RU",
        success_url=read.web_address("SuccessRedirectUrl"),
        fail_url=read.web_address("FailRedirectUrl"),
        json_data=read.json_text("JsonData"),
        created_at=terminal.clock.now(),
    )
    terminal.orders.save(order)
    return succeeded(order.as_model(terminal.settings.sandbox_public_url))


@answers("orders/cancel")
async def cancel(call: Call) -> Answer:
    """The link no longer takes a payment."""
    order = call.terminal.orders.get(call.parameters.required_text("Id"))
    if order is None:
        raise Refused("Order not found")
    if order.status is OrderStatus.PAID:
        raise Refused("Order is paid")
    order.status = OrderStatus.CANCELLED
    call.terminal.orders.save(order)
    return done()
