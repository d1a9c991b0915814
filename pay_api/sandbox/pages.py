"""Renders the stand-in's pages under a strict content security policy."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pay_api.sandbox.reasons import reason_name
from pay_api.sandbox.terminal import Terminal
from pay_api.sandbox.transaction import Transaction, TransactionType
from shared.money import minor_to_decimal_text

_SHOWN: Final = 100
_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)
_SIGNS: Final = {"RUB": "₽", "USD": "$", "EUR": "€"}


def money_text(minor: int, currency: str, language: str = "ru") -> str:
    """``1 499,00 ₽`` in Russian, ``1,499.00 ₽`` in English; spaces do not break."""
    whole, _, rest = minor_to_decimal_text(abs(minor), currency).partition(".")
    thousands, point = ("\u00a0", ",") if language == "ru" else (",", ".")
    minus = "−" if minor < 0 else ""
    grouped = f"{int(whole):,}".replace(",", thousands)
    return f"{minus}{grouped}{point}{rest}\u00a0{_SIGNS.get(currency, currency)}"


def render(
    template: str, *, status: int = 200, form_action: str = "", frame_ancestors: str = "'none'", **values: Any
) -> Response:
    """A page without scripts; forms may go to this service and to ``form_action`` alone."""
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; base-uri 'none'; "
        f"form-action 'self' {form_action}".rstrip()
        + f"; frame-ancestors {frame_ancestors}"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    page = _TEMPLATES.get_template(template).render(nonce=nonce, **values)
    return HTMLResponse(page, status, headers)


async def transactions_page(request: Request) -> Response:
    """The latest transactions, newest first; refreshes itself."""
    terminal: Terminal = request.app.state.terminal
    newest = [item for _, item in zip(range(_SHOWN), terminal.store.newest_first(), strict=False)]
    report = terminal.oracle.report()
    return render(
        "transactions.html",
        rows=[_row(item) for item in newest],
        totals=[
            (currency, [(name, money_text(total[key], currency)) for name, key in _shown_totals(total)])
            for currency, total in report["totals"].items()
        ],
        pending=terminal.notifier.listing(),
        faults=terminal.faults.listing(),
        now=terminal.clock.now().strftime("%d.%m.%Y %H:%M:%S UTC"),
        public_id=terminal.settings.sandbox_public_id,
    )


def _shown_totals(total: dict[str, int]) -> list[tuple[str, str]]:
    """What every terminal has, and payouts and chargebacks once there are some."""
    rare = [key for key in ("paid_out", "charged_back") if total[key]]
    keys = ["charged", "held", "captured", "voided", "refunded", *rare, "net"]
    return [(key.replace("_", " "), key) for key in keys]


def _row(item: Transaction) -> dict[str, Any]:
    is_refund = item.type == TransactionType.REFUND
    return {
        "id": item.id,
        "at": item.created_at.strftime("%d.%m %H:%M:%S"),
        "operation": "refund" if is_refund else item.method.removeprefix("payments/").replace("/", " "),
        "of": item.original_id,
        "amount": ("−" if is_refund else "") + money_text(item.amount_minor, item.currency),
        "refunded": money_text(item.refunded_minor, item.currency) if item.refunded_minor else "",
        "status": item.status.wire_name,
        "reason": reason_name(item.reason_code) if item.reason_code else "",
        "card": f"{item.card_type} •{item.card_last_four}" if item.card_last_four else "",
        "invoice": item.invoice_id or "",
        "account": item.account_id or "",
    }
