"""What payment forms in apps and browsers ask without credentials: a card's bank, the terminal's settings."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pay_api.sandbox import cards
from pay_api.sandbox.envelope import refused, succeeded
from pay_api.sandbox.terminal import Terminal

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
