"""The page behind an order's link: the payer gives a card, passes 3-D Secure, and sees how it ended."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from pay_api.sandbox import cards, threeds
from pay_api.sandbox.cryptogram import Card
from pay_api.sandbox.order import Order, OrderStatus
from pay_api.sandbox.pages import money_text, render
from pay_api.sandbox.parameters import Parameters
from pay_api.sandbox.reasons import APPROVED, AUTHENTICATION_FAILED, cardholder_message
from pay_api.sandbox.terminal import Call, Terminal
from pay_api.sandbox.transaction import Status, Transaction, TransactionType

TEXTS: Final = {
    "ru": {
        "title": "Оплата заказа",
        "number": "Номер карты",
        "month": "Месяц",
        "year": "Год",
        "cvv": "CVV",
        "pay": "Оплатить",
        "paid": "Оплачено",
        "cancelled": "Ссылка больше не действует",
        "missing": "Такого заказа нет",
        "wrong": "Проверьте данные карты",
        "bank": "Перейти на страницу банка",
        "note": "Учебный магазин: деньги не списываются.",
    },
    "en": {
        "title": "Pay the order",
        "number": "Card number",
        "month": "Month",
        "year": "Year",
        "cvv": "CVV",
        "pay": "Pay",
        "paid": "Paid",
        "cancelled": "This link is no longer valid",
        "missing": "There is no such order",
        "wrong": "Check the card data",
        "bank": "Go to the bank's page",
        "note": "A practice shop: no money moves.",
    },
}


async def order_page(request: Request) -> Response:
    """Shows the order; a POST of a card pays it."""
    terminal: Terminal = request.app.state.terminal
    order = terminal.orders.get(request.path_params["order_id"])
    if order is None or order.status is not OrderStatus.CREATED:
        return _page(order, state=_state(order), status=404 if order is None else 200)
    if request.method == "GET":
        return _page(order, state="open")
    async with request.form(max_files=0, max_fields=8) as form:
        card = _card({name: str(value) for name, value in form.items()})
    if card is None:
        return _page(order, state="open", error=_texts(order)["wrong"], status=422)
    return await _pay(terminal, order, card)


async def order_return(request: Request) -> Response:
    """Where the bank sends the payer back to."""
    terminal: Terminal = request.app.state.terminal
    order = terminal.orders.get(request.path_params["order_id"])
    transaction = terminal.store.transaction(order.transaction_id) if order and order.transaction_id else None
    if order is None or transaction is None:
        return _page(order, state=_state(order), status=404)
    async with request.form(max_files=0, max_fields=8) as form:
        pares = str(form.get("PaRes", ""))
    if transaction.status is Status.AWAITING_AUTHENTICATION:
        confirmed = threeds.is_confirmed(pares, transaction.id, terminal.settings.api_secret)
        code = transaction.awaited_reason_code if confirmed else AUTHENTICATION_FAILED
        return _finish(_call(terminal, order), order, transaction, code)
    return _page(order, state=_state(order))


def _call(terminal: Terminal, order: Order) -> Call:
    stage = "auth" if order.require_confirmation else "charge"
    values: dict[str, Any] = {
        "invoiceid": order.invoice_id,
        "accountid": order.account_id,
        "email": order.email,
        "description": order.description,
        "culturename": order.culture_name,
        "jsondata": order.json_data,
    }
    return Call(terminal, f"orders/{stage}", Parameters(values), None)


async def _pay(terminal: Terminal, order: Order, card: Card) -> Response:
    call = _call(terminal, order)
    transaction = call.new_transaction(TransactionType.PAYMENT, order.amount_minor, order.currency)
    transaction.card_first_six, transaction.card_last_four = card.first_six, card.last_four
    transaction.card_exp_date = card.exp_date
    transaction.card_type, transaction.card_type_code = cards.network_of(card.first_six)
    behaviour, code = cards.behaviour_of(card.pan), cards.refusal(card, terminal.clock.now())
    refusal = await call.checked(transaction)
    if order.status is not OrderStatus.CREATED:  # paid or cancelled while the merchant was asked
        return _page(order, state=_state(order))
    order.transaction_id = transaction.id
    if refusal != APPROVED or not behaviour.needs_3ds:
        return _finish(call, order, transaction, refusal or code)
    transaction.status, transaction.awaited_reason_code = Status.AWAITING_AUTHENTICATION, code
    terminal.store.save(transaction)
    terminal.orders.save(order)
    settings = terminal.settings
    challenge = threeds.challenge(transaction, settings.acs_url, settings.sandbox_merchant_name)
    back = f"{settings.sandbox_public_url.rstrip('/')}/d/{order.id}/3ds"
    return _page(order, state="bank", challenge=challenge | {"TermUrl": back})


def _finish(call: Call, order: Order, transaction: Transaction, reason_code: int) -> Response:
    answer = call.authorise(transaction, reason_code)
    if answer["Success"]:
        order.status, order.paid_at = OrderStatus.PAID, call.terminal.clock.now()
    call.terminal.orders.save(order)
    call.terminal.notifier.release(call.outgoing)
    target = order.success_url if answer["Success"] else order.fail_url
    if target is not None:
        return RedirectResponse(target, 303)
    if answer["Success"]:
        return _page(order, state="paid")
    return _page(
        order, state="open", error=cardholder_message(transaction.reason_code or 0, order.culture_name)
    )


def _card(fields: dict[str, str]) -> Card | None:
    number = "".join(fields.get("number", "").split())
    month, year, cvv = fields.get("month", ""), fields.get("year", ""), fields.get("cvv", "")
    plain = all(text.isascii() and text.isdigit() for text in (number, month, year, cvv))
    if not plain or not 13 <= len(number) <= 19 or not 1 <= int(month) <= 12 or not 3 <= len(cvv) <= 4:
        return None
    return Card(number, int(month), int(year) % 100, cvv)


def _state(order: Order | None) -> str:
    if order is None:
        return "missing"
    return {OrderStatus.PAID: "paid", OrderStatus.CANCELLED: "cancelled"}.get(order.status, "open")


def _texts(order: Order | None) -> dict[str, str]:
    return TEXTS["en" if order is not None and order.culture_name.lower().startswith("en") else "ru"]


def _page(
    order: Order | None,
    *,
    state: str,
    status: int = 200,
    error: str | None = None,
    challenge: dict[str, Any] | None = None,
) -> Response:
    language = "en" if _texts(order) is TEXTS["en"] else "ru"
    return render(
        "order.html",
        status=status,
        lang=language,
        texts=_texts(order),
        state=state,
        error=error,
        challenge=challenge,
        order=order,
        amount=money_text(order.amount_minor, order.currency, language) if order else "",
    )
