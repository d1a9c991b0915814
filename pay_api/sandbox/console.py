"""What testers and operators ask the stand-in: the ledger of effects, the script of faults, its health."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pay_api.sandbox.cryptogram import KEY_VERSION
from pay_api.sandbox.faults import Fault
from pay_api.sandbox.gate import is_authorised, unauthorised
from pay_api.sandbox.parameters import Parameters, Refused
from pay_api.sandbox.terminal import Call, Terminal
from shared import metrics, problem


def _terminal(request: Request) -> Terminal:
    terminal: Terminal = request.app.state.terminal
    return terminal


def refusal(request: Request) -> Response | None:
    """Outside production anybody may look; in production only the holder of the terminal's credentials."""
    settings = _terminal(request).settings
    header = request.headers.get("authorization")
    if settings.is_production and not is_authorised(header, settings.sandbox_public_id, settings.api_secret):
        return unauthorised()
    return None


async def oracle(request: Request) -> Response:
    """``GET /oracle?invoice_id=&account_id=``"""
    terminal, query = _terminal(request), request.query_params
    report = terminal.oracle.report(query.get("invoice_id"), query.get("account_id"))
    wanted = {name: query[name] for name in ("invoice_id", "account_id") if name in query}
    report["receipts"] = [
        {
            "transaction_id": receipt.transaction_id,
            "type": receipt.type,
            "total": receipt.total,
            "error": receipt.error,
            "items": receipt.content.get("items"),
            "email": receipt.content.get("email"),
        }
        for receipt in terminal.receipts.all()
        if all(getattr(receipt, name) == value for name, value in wanted.items())
    ]
    return refusal(request) or JSONResponse(report | {"notifications_pending": terminal.notifier.listing()})


async def read_faults(request: Request) -> Response:
    """``GET /faults``"""
    return refusal(request) or JSONResponse({"items": _terminal(request).faults.listing()})


async def add_fault(request: Request) -> Response:
    """``POST /faults`` with one fault or a list of them."""
    refused = refusal(request)
    if refused is not None:
        return refused
    try:
        body = await request.json()
        faults = [Fault.model_validate(item) for item in (body if isinstance(body, list) else [body])]
    except ValidationError as error:
        found = error.errors()[0]
        where = ".".join(str(part) for part in found["loc"])
        detail = f"{where}: {found['msg']}" if where else found["msg"]
        return JSONResponse(problem.of_status(422, detail=detail), 422, media_type=problem.CONTENT_TYPE)
    except ValueError:
        return JSONResponse(problem.of_status(400), 400, media_type=problem.CONTENT_TYPE)
    for fault in faults:
        _terminal(request).faults.add(fault)
    return JSONResponse({"items": [fault.model_dump(mode="json") for fault in faults]}, 201)


async def clear_faults(request: Request) -> Response:
    """``DELETE /faults``"""
    refused = refusal(request)
    if refused is None:
        _terminal(request).faults.clear()
    return refused or Response(status_code=204)


class ChargeBackBody(BaseModel):
    """Which payment the payer's bank takes back; ``amount`` in minor units, the whole by default."""

    model_config = ConfigDict(extra="forbid")

    transaction_id: int
    amount: int | None = None


async def add_chargeback(request: Request) -> Response:
    """``POST /chargebacks``"""
    denied = refusal(request)
    if denied is not None:
        return denied
    terminal = _terminal(request)
    try:
        body = ChargeBackBody.model_validate_json(await request.body())
        payment = terminal.store.transaction(body.transaction_id)
        if payment is None:
            raise Refused("Transaction not found")
        amount_minor = payment.amount_minor if body.amount is None else body.amount
        call = Call(terminal, "chargeback", Parameters({}), None)
        made = call.charge_back(payment, amount_minor, terminal.clock.now())
    except ValidationError:
        return JSONResponse(problem.of_status(422), 422, media_type=problem.CONTENT_TYPE)
    except Refused as error:
        detail = problem.of_status(409, detail=error.message)
        return JSONResponse(detail, 409, media_type=problem.CONTENT_TYPE)
    return JSONResponse(made.as_model(payment, terminal.settings.terminal_url), 201)


async def public_key(request: Request) -> Response:
    """The key browsers encrypt cards with; public by nature, so open to any page."""
    key = _terminal(request).key
    return JSONResponse(
        {"Pem": key.pem, "Version": KEY_VERSION}, headers={"Access-Control-Allow-Origin": "*"}
    )


async def healthz(_: Request) -> Response:
    return JSONResponse({"alive": True})


async def readyz(_: Request) -> Response:
    """It depends on nothing but itself."""
    return JSONResponse({"ready": True, "checks": {}})


async def exposition(_: Request) -> Response:
    body, content_type = metrics.exposition()
    return Response(body, media_type=content_type)
