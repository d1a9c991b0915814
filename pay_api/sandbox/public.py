"""What apps and browsers ask without credentials: a card's bank, the terminal, the end of 3-D Secure."""

from __future__ import annotations

import hmac
import json
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from pay_api.sandbox import cards, threeds
from pay_api.sandbox.envelope import refused, succeeded
from pay_api.sandbox.notifications import Outgoing
from pay_api.sandbox.parameters import Parameters, Refused
from pay_api.sandbox.reasons import AUTHENTICATION_FAILED, cardholder_message
from pay_api.sandbox.terminal import Call, Terminal
from pay_api.sandbox.transaction import Status

_OPEN = {"Access-Control-Allow-Origin": "*"}


async def bin_info(request: Request) -> Response:
    """``GET /bins/info/{first six digits}``"""
    digits = request.path_params["bin"]
    if not (digits.isascii() and digits.isdigit() and len(digits) == 6):
        return JSONResponse(refused("Invalid Bin value"), headers=_OPEN)
    network, _ = cards.network_of(digits)
    known = network != "Unknown"
    model = {"LogoUrl": None, "BankName": "Sandbox Bank" if known else None}
    return JSONResponse(succeeded(model), headers=_OPEN)


async def merchant_configuration(request: Request) -> Response:
    """``GET /merchant/configuration?terminalPublicId=``"""
    terminal: Terminal = request.app.state.terminal
    settings = terminal.settings
    if request.query_params.get("terminalPublicId") != settings.sandbox_public_id:
        return JSONResponse(refused("Terminal not found"), headers=_OPEN)
    model = {
        "TerminalName": settings.sandbox_merchant_name,
        "TerminalUrl": settings.terminal_url,
        "IsTest": True,
        "ExternalPaymentMethods": [],
        "Features": {"IsAllowedNotSanctionedCards": True, "IsQiwi": False, "IsSaveCard": 1},
    }
    return JSONResponse(succeeded(model), headers=_OPEN)


async def threeds_callback(request: Request) -> Response:
    """``POST /payments/ThreeDSCallback``: ends 3-D Secure for an app, then leads to SuccessUrl or FailUrl.

    ``MD`` is JSON with TransactionId, ThreeDsCallbackId, SuccessUrl, FailUrl.
    """
    terminal: Terminal = request.app.state.terminal
    async with request.form(max_files=0, max_fields=4) as form:
        pares, text = str(form.get("PaRes", "")), str(form.get("MD", ""))
    try:
        md = {name.lower(): value for name, value in json.loads(text).items()}
        transaction = terminal.store.transaction(int(md["transactionid"]))
        wanted = Parameters({name: md.get(name) for name in ("successurl", "failurl")})
        success, failure = wanted.web_address("SuccessUrl"), wanted.web_address("FailUrl")
    except (ValueError, TypeError, KeyError, AttributeError, Refused):
        return JSONResponse(refused("Invalid MD value"), 400)
    if transaction is None or not transaction.callback_id or success is None or failure is None:
        return JSONResponse(refused("Transaction not found"), 400)
    if not hmac.compare_digest(transaction.callback_id, str(md.get("threedscallbackid"))):
        return JSONResponse(refused("Transaction not found"), 400)
    if transaction.status is Status.AWAITING_AUTHENTICATION:
        outgoing = Outgoing()
        call = Call(terminal, transaction.method, Parameters({}), transaction.request_id, outgoing)
        confirmed = threeds.is_confirmed(pares, transaction.id, terminal.settings.api_secret)
        call.authorise(transaction, transaction.awaited_reason_code if confirmed else AUTHENTICATION_FAILED)
        terminal.notifier.release(outgoing)
    code = transaction.reason_code or 0
    if transaction.succeeded:
        return RedirectResponse(success, 302)
    words = {"ReasonCode": code, "CardHolderMessage": cardholder_message(code, transaction.culture_name)}
    return RedirectResponse(f"{failure}{'&' if '?' in failure else '?'}{urlencode(words)}", 302)


async def web_view_data(request: Request) -> Response:
    """``POST /WebFormPost/GetWebViewData``: gives an app what the issuer's page posted."""
    async with request.form(max_files=0, max_fields=4) as form:
        return JSONResponse({name: str(form.get(name, "")) for name in ("MD", "PaRes")})
