"""The issuer's page of 3-D Secure, where the payer confirms or rejects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from pay_api.sandbox import threeds
from pay_api.sandbox.pages import money_text, render
from pay_api.sandbox.terminal import Terminal
from pay_api.sandbox.threeds import PaReq, Verdict
from pay_api.sandbox.transaction import Status, Transaction

_MAX_FIELD: Final = 4096

TEXTS: Final = {
    "ru": {
        "title": "Подтверждение оплаты",
        "lead": "Банк просит подтвердить платёж",
        "merchant": "Магазин",
        "amount": "Сумма",
        "card": "Карта",
        "date": "Дата",
        "confirm": "Подтвердить",
        "reject": "Отклонить",
        "note": "Учебный банк: деньги не списываются.",
        "other": "English",
        "broken": "Эта страница открывается только из магазина",
        "broken_lead": "Вернитесь в магазин и начните оплату ещё раз.",
        "over": "Этот платёж уже завершён",
    },
    "en": {
        "title": "Confirm the payment",
        "lead": "Your bank asks you to confirm this payment",
        "merchant": "Merchant",
        "amount": "Amount",
        "card": "Card",
        "date": "Date",
        "confirm": "Confirm",
        "reject": "Reject",
        "note": "A practice bank: no money moves.",
        "other": "Русский",
        "broken": "This page opens only from a shop",
        "broken_lead": "Go back to the shop and start the payment again.",
        "over": "This payment is already over",
    },
}


@dataclass(frozen=True, slots=True)
class _Visit:
    pareq: PaReq
    pareq_text: str
    transaction: Transaction
    term_url: str
    origin: str
    language: str


async def acs_page(request: Request) -> Response:
    """Shows the payment named by PaReq, MD and TermUrl (a form, or a query when tried by hand)."""
    terminal: Terminal = request.app.state.terminal
    fields = dict(request.query_params)
    if request.method == "POST":
        async with request.form(max_files=0, max_fields=10) as form:
            fields |= {name: value for name, value in form.items() if isinstance(value, str)}
    try:
        visit = _read(fields, terminal)
    except ValueError:
        return _message(_language(fields.get("lang") or _preferred(request)), "broken", 400)
    if visit.transaction.status is not Status.AWAITING_AUTHENTICATION:
        return _message(visit.language, "over", 409)
    secret = terminal.settings.api_secret
    return render(
        "acs.html",
        form_action=visit.origin,
        frame_ancestors="*",
        lang=visit.language,
        other="en" if visit.language == "ru" else "ru",
        texts=TEXTS[visit.language],
        merchant=visit.pareq.merchant_name,
        amount=money_text(visit.transaction.amount_minor, visit.transaction.currency, visit.language),
        card=f"{visit.pareq.first_six[:4]} {visit.pareq.first_six[4:]}•• •••• {visit.pareq.last_four}",
        network=visit.transaction.card_type,
        date=visit.transaction.created_at.strftime("%d.%m.%Y %H:%M UTC"),
        md=visit.transaction.id,
        pareq=visit.pareq_text,
        term_url=visit.term_url,
        confirmed=threeds.make_pares(visit.transaction.id, Verdict.CONFIRMED, secret),
        rejected=threeds.make_pares(visit.transaction.id, Verdict.REJECTED, secret),
    )


def _read(fields: dict[str, str], terminal: Terminal) -> _Visit:
    """Raises ValueError when the fields are not those of a challenge."""
    pareq_text, md, term_url = (fields.get(name, "")[:_MAX_FIELD] for name in ("PaReq", "MD", "TermUrl"))
    pareq = threeds.read_pareq(pareq_text)
    if not md.isascii() or not md.isdigit():
        raise ValueError("not an MD")
    transaction = terminal.store.transaction(int(md))
    if transaction is None or transaction.card_last_four != pareq.last_four:
        raise ValueError("no such challenge")
    address = urlsplit(term_url)
    origin = f"{address.scheme}://{address.netloc}"
    # What goes into the policy must not be able to end it: a bare origin, nothing else.
    if address.scheme not in ("http", "https") or not address.hostname or set(origin) & set(" ;,'\"@\\*"):
        raise ValueError("not a TermUrl")
    language = _language(fields.get("lang") or pareq.culture_name)
    return _Visit(pareq, pareq_text, transaction, term_url, origin, language)


def _language(culture_name: str) -> str:
    return "en" if culture_name.lower().startswith("en") else "ru"


def _preferred(request: Request) -> str:
    return request.headers.get("accept-language", "ru")


def _message(language: str, key: str, status: int) -> Response:
    texts = TEXTS[language]
    return render(
        "acs_message.html",
        status=status,
        frame_ancestors="*",
        lang=language,
        title=texts[key],
        lead=texts["broken_lead"],
    )
