"""Renders the payer's pages: RU/EN texts, one look, a policy that lets nothing else run."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from fastapi import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shared.money import Money

_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

PRIVATE: Final = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}

TEXTS: Final[dict[str, dict[str, str]]] = {
    "ru": {
        "payment": "Оплата",
        "to_bank": "Переходим на страницу банка",
        "to_bank_lead": "Банк попросит подтвердить платёж. Если страница не открылась сама, нажмите кнопку.",
        "to_bank_button": "Перейти в банк",
        "amount": "Сумма",
        "card": "Карта",
        "order": "Заказ",
        "succeeded": "Оплата прошла",
        "succeeded_lead": "Спасибо! Доступ откроется через несколько секунд.",
        "authorized": "Платёж подтверждён",
        "authorized_lead": "Деньги на карте придержаны до завершения заказа.",
        "saved": "Карта сохранена",
        "saved_lead": "Рубль для проверки уже возвращается.",
        "failed": "Оплата не прошла",
        "failed_lead": "Деньги не списаны.",
        "cancelled": "Платёж отменён",
        "cancelled_lead": "Деньги не списаны. Если нужно, начните оплату заново.",
        "refunded": "Деньги возвращены",
        "refunded_lead": "Возврат придёт на карту в срок, который устанавливает банк.",
        "waiting": "Проверяем платёж",
        "waiting_lead": "Банк ещё не ответил. Страница обновится сама; второй раз платить не нужно.",
        "action": "Нужно подтверждение",
        "action_lead": "Банк ждёт вашего подтверждения.",
        "continue": "Продолжить",
        "continue_soon": "Через несколько секунд вы вернётесь в кинотеатр.",
        "transfer": "Оплата банковским переводом",
        "transfer_lead": "Переведите деньги по этим реквизитам. Назначение укажите полностью: по коду в нём "
        "мы найдём платёж.",
        "transfer_until": "Ждём перевод до {day}. Банки переводят деньги до трёх рабочих дней.",
        "part": "Часть денег получена",
        "part_lead": "Остаток счёта можно оплатить картой или ещё одним переводом.",
        "back": "Вернуться в кинотеатр",
        "recipient": "Получатель",
        "inn": "ИНН",
        "account": "Расчётный счёт",
        "bank_name": "Банк",
        "bic": "БИК",
        "correspondent_account": "Корр. счёт",
        "purpose": "Назначение платежа",
        "link": "Ссылка не действует",
        "link_lead": "Вернитесь в кинотеатр и откройте оплату заново.",
        "close": "Эту страницу можно закрыть.",
    },
    "en": {
        "payment": "Payment",
        "to_bank": "Taking you to your bank",
        "to_bank_lead": "Your bank will ask you to confirm. If its page does not open, press the button.",
        "to_bank_button": "Go to the bank",
        "amount": "Amount",
        "card": "Card",
        "order": "Order",
        "succeeded": "Payment received",
        "succeeded_lead": "Thank you! You will have access in a few seconds.",
        "authorized": "Payment confirmed",
        "authorized_lead": "The money is held on your card until the order is complete.",
        "saved": "Card saved",
        "saved_lead": "The rouble held for the check is on its way back.",
        "failed": "The payment did not go through",
        "failed_lead": "Nothing was charged.",
        "cancelled": "The payment was cancelled",
        "cancelled_lead": "Nothing was charged. Start again if you still want to pay.",
        "refunded": "The money is on its way back",
        "refunded_lead": "It reaches your card in the time your bank takes.",
        "waiting": "Checking the payment",
        "waiting_lead": "The bank has not answered yet. This page updates itself; do not pay twice.",
        "action": "Confirmation needed",
        "action_lead": "Your bank is waiting for you to confirm.",
        "continue": "Continue",
        "continue_soon": "You will be taken back in a few seconds.",
        "transfer": "Pay by bank transfer",
        "transfer_lead": "Send the money to this account. Give the whole purpose: "
        "we find your payment by the code in it.",
        "transfer_until": "We wait for it until {day}. Banks take up to three working days.",
        "part": "A part has come",
        "part_lead": "The rest of the invoice can be paid by card or by another transfer.",
        "back": "Back to the cinema",
        "recipient": "Recipient",
        "inn": "INN",
        "account": "Account",
        "bank_name": "Bank",
        "bic": "BIC",
        "correspondent_account": "Correspondent account",
        "purpose": "Purpose of payment",
        "link": "This link does not work any more",
        "link_lead": "Go back to the cinema and open the payment again.",
        "close": "You can close this page.",
    },
}


def money_text(money: Money, locale: str) -> str:
    """``1 499,00 ₽`` or ``RUB 1,499.00``, exact digits."""
    whole, _, rest = money.as_decimal_text().partition(".")
    grouped = f"{int(whole):,}"
    if locale == "ru":
        sign = "₽" if money.currency == "RUB" else money.currency
        return f"{grouped.replace(',', ' ')},{rest} {sign}"
    return f"{money.currency} {grouped}.{rest}"


def with_payment(return_url: str, payment_id: str) -> str:
    """The caller's address with ``payment_id`` added to its query."""
    parts = urlsplit(return_url)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "payment_id"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("payment_id", payment_id)])))


def script_json(value: Any) -> str:
    """JSON fit to stand inside a script element."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def origin(url: str) -> str:
    """Scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def render(
    template: str,
    locale: str,
    *,
    status: int = 200,
    form_action: str = "'none'",
    refresh: str | None = None,
    **values: Any,
) -> Response:
    """A page under a strict policy: only its own style and script (by nonce), only this form target."""
    nonce = secrets.token_urlsafe(16)
    body = _TEMPLATES.get_template(template).render(nonce=nonce, locale=locale, texts=TEXTS[locale], **values)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        f"form-action {form_action}; frame-ancestors 'none'; base-uri 'none'"
    )
    headers = {"Content-Security-Policy": policy, **PRIVATE}
    if refresh is not None:
        headers["Refresh"] = f"6; url={refresh}"
    return Response(body, status, headers=headers, media_type="text/html; charset=utf-8")
