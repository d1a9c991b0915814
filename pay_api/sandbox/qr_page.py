"""The page behind a link or QR code: the payer confirms or declines, as in a bank's app."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from pay_api.sandbox.notifications import Outgoing
from pay_api.sandbox.pages import money_text, render
from pay_api.sandbox.parameters import Parameters
from pay_api.sandbox.reasons import APPROVED, WITHDRAWN
from pay_api.sandbox.terminal import Call, Terminal
from pay_api.sandbox.transaction import Status, Transaction
from pay_api.sandbox.under_way import settle_due

TEXTS: Final = {
    "ru": {
        "title": "Оплата в приложении банка",
        "confirm": "Оплатить",
        "reject": "Отказаться",
        "paid": "Оплачено",
        "held": "Деньги придержаны",
        "declined": "Платёж не прошёл",
        "missing": "Такой ссылки нет",
        "note": "Учебный банк: деньги не списываются.",
    },
    "en": {
        "title": "Pay in your bank's app",
        "confirm": "Pay",
        "reject": "Decline",
        "paid": "Paid",
        "held": "The money is held",
        "declined": "The payment did not go through",
        "missing": "There is no such link",
        "note": "A practice bank: no money moves.",
    },
}
_STATES: Final = {
    Status.CREATED: "open",
    Status.COMPLETED: "paid",
    Status.AUTHORIZED: "held",
}


async def qr_page(request: Request) -> Response:
    """Shows the payment; a POST with ``answer`` (``confirm`` or anything else) ends it once."""
    terminal: Terminal = request.app.state.terminal
    settle_due(terminal)
    transaction = _of_link(terminal, request.path_params["link_id"])
    if transaction is None:
        return _page(terminal, None, "missing", 404)
    if request.method == "POST" and transaction.status is Status.CREATED:
        async with request.form(max_files=0, max_fields=4) as form:
            answer = str(form.get("answer", ""))
        if transaction.status is Status.CREATED:  # another tab may have ended it meanwhile
            _end(terminal, transaction, APPROVED if answer == "confirm" else WITHDRAWN)
        target = transaction.success_url if transaction.succeeded else transaction.fail_url
        if target is not None:
            return RedirectResponse(target, 303)
    return _page(terminal, transaction, _STATES.get(transaction.status, "declined"))


def _of_link(terminal: Terminal, link_id: str) -> Transaction | None:
    return next((item for item in terminal.store.newest_first() if item.link_id == link_id), None)


def _end(terminal: Terminal, transaction: Transaction, reason_code: int) -> None:
    outgoing = Outgoing()
    call = Call(terminal, transaction.method, Parameters({}), transaction.request_id, outgoing)
    call.authorise(transaction, reason_code)
    terminal.notifier.release(outgoing)


def _page(terminal: Terminal, transaction: Transaction | None, state: str, status: int = 200) -> Response:
    culture = transaction.culture_name if transaction else ""
    language = "en" if culture.lower().startswith("en") else "ru"
    return render(
        "qr.html",
        status=status,
        lang=language,
        texts=TEXTS[language],
        state=state,
        link_id=transaction.link_id if transaction else "",
        merchant=terminal.settings.sandbox_merchant_name,
        description=(transaction.description or "") if transaction else "",
        amount=money_text(transaction.amount_minor, transaction.currency, language) if transaction else "",
    )
