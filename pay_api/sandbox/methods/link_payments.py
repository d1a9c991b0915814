"""Payments by link or QR code: SBP, T-Pay, SberPay, Dolyami; the payer ends them on a page."""

from __future__ import annotations

import asyncio
import base64
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from pay_api.sandbox import qr_code
from pay_api.sandbox.envelope import Answer, succeeded
from pay_api.sandbox.parameters import Parameters, Refused
from pay_api.sandbox.reasons import APPROVED
from pay_api.sandbox.registry import OpenBy, answers
from pay_api.sandbox.terminal import Call
from pay_api.sandbox.transaction import Status, Transaction, TransactionType, amount_number
from shared.ids import new_id

_PUBLIC_ID: Final = OpenBy("PublicId")
_LONGEST_TTL_MINUTES: Final = 129_600
_LONGEST_ADDRESS: Final = 1024
_DAY: Final = timedelta(hours=24)
_WAIT_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.1
_DEVICE: Final = ("Os", "Webview", "Device", "Browser")


@dataclass(frozen=True, slots=True)
class Scheme:
    """Of one way to pay: its name in notifications, its words for one stage and two, how long it lives."""

    payment_method: str
    one_stage: str
    two_stages: str | None
    lifetime: timedelta
    required: tuple[str, ...] = ()


SBP: Final = Scheme("Sbp", "charge", None, timedelta(hours=72))
T_PAY: Final = Scheme("TinkoffPay", "0", "1", _DAY, (*_DEVICE, "SuccessRedirectUrl", "FailRedirectUrl"))
SBER_PAY: Final = Scheme("SberPay", "charge", "auth", _DAY, _DEVICE)
DOLYAMI: Final = Scheme("Dolyame", "0", "1", _DAY)


@answers("payments/qr/sbp/link")
async def sbp_link(call: Call) -> Answer:
    """A link for a payment from a bank's app (SBP)."""
    return await _answer(call, SBP)


@answers("payments/qr/sbp/image")
async def sbp_image(call: Call) -> Answer:
    """The same link as a QR code, base64 of a PNG."""
    return await _answer(call, SBP, qr_code.png)


@answers("payments/qr/tinkoffpay/link")
async def t_pay_link(call: Call) -> Answer:
    """A link for T-Pay."""
    return await _answer(call, T_PAY)


@answers("payments/qr/tinkoffpay/image")
async def t_pay_image(call: Call) -> Answer:
    """The same link as a QR code, base64 of an SVG."""
    return await _answer(call, T_PAY, qr_code.svg)


@answers("payments/qr/sberpay/link", open_by=_PUBLIC_ID)
async def sber_pay_link(call: Call) -> Answer:
    """A link for SberPay; no secret is needed."""
    return await _answer(call, SBER_PAY)


@answers("payments/qr/sberpay/image", open_by=_PUBLIC_ID)
async def sber_pay_image(call: Call) -> Answer:
    """The same link as a QR code, base64 of an SVG; no secret is needed."""
    return await _answer(call, SBER_PAY, qr_code.svg)


@answers("payments/altpay/pay", open_by=_PUBLIC_ID)
async def dolyami(call: Call) -> Answer:
    """A link to pay in four parts (Dolyami); no secret is needed."""
    if call.parameters.required_text("AltPayType") != "TcsBnplDolyame":
        raise Refused("Invalid AltPayType value")
    transaction = await _begin(call, DOLYAMI)
    if transaction.status is not Status.CREATED:
        return _refused(call, transaction)
    link = {"Link": _address(call, transaction)}
    return succeeded(call.terminal.model(transaction)) | {"ExtensionData": link}


@answers("payments/qr/status/wait", open_by=_PUBLIC_ID)
async def wait(call: Call) -> Answer:
    """The state of a payment by link, once it has changed, or after a while as it is; no secret is needed."""
    transaction = call.transaction()
    for _ in range(int(_WAIT_SECONDS / _LOOK_SECONDS)):
        if transaction.status is not Status.CREATED:
            break
        await asyncio.sleep(_LOOK_SECONDS)
    return succeeded(
        {
            "TransactionId": transaction.id,
            "Status": transaction.status.wire_name,
            "StatusCode": int(transaction.status),
        }
    )


@answers("sbp/v2/banks/info", open_by=OpenBy("PublicTerminalId"))
async def banks(call: Call) -> Answer:
    """The banks a payer may choose from; no secret is needed."""
    read = call.parameters
    if read.required_text("PublicTerminalId") != call.terminal.settings.sandbox_public_id:
        raise Refused("Invalid PublicTerminalId value")
    members = [
        {
            "id": f"1000000000{number:02}",
            "name": name,
            "logo": None,
            "url": f"bank1000000000{number:02}",
        }
        for number, name in enumerate(("Учебный банк", "Второй учебный банк"), start=1)
    ]
    return succeeded([{"Source": "Sandbox", "Version": "1.0", "Members": members}])


async def _answer(call: Call, scheme: Scheme, draw: Any = None) -> Answer:
    transaction = await _begin(call, scheme)
    if transaction.status is not Status.CREATED:
        return _refused(call, transaction)
    address = _address(call, transaction)
    image = {"QrImage": base64.b64encode(draw(address)).decode()} if draw is not None else {"QrUrl": address}
    return succeeded(
        {
            **image,
            "TransactionId": transaction.id,
            "MerchantOrderId": transaction.invoice_id,
            "ProviderQrId": transaction.link_id,
            "Amount": amount_number(transaction.amount_minor, transaction.currency),
            "Message": "Created",
            "IsTest": True,
        }
    )


async def _begin(call: Call, scheme: Scheme) -> Transaction:
    """Check is asked before the link is made; a refusal of it is a decline."""
    read, terminal = call.parameters, call.terminal
    amount = read.amount()
    if read.required_text("PublicId") != terminal.settings.sandbox_public_id:
        raise Refused("Invalid PublicId value")
    stage = read.required_text("Scheme").lower()
    if stage not in (scheme.one_stage, scheme.two_stages):
        raise Refused("Invalid Scheme value")
    for name in scheme.required:
        read.required_text(name)
    transaction = call.new_transaction(TransactionType.PAYMENT, amount.minor, amount.currency)
    transaction.one_stage = stage == scheme.one_stage
    transaction.payment_method = scheme.payment_method
    transaction.link_id = new_id().hex + secrets.token_hex(4)
    transaction.success_url = _redirect(read, "SuccessRedirectUrl")
    transaction.fail_url = _redirect(read, "FailRedirectUrl")
    transaction.save_card = read.flag("SaveCard")
    transaction.settles_at = terminal.clock.now() + _lifetime(read, scheme)
    refusal = await call.checked(transaction)
    if refusal != APPROVED:
        call.authorise(transaction, refusal)
    else:
        transaction.status = Status.CREATED
        terminal.store.save(transaction)
    return transaction


def _refused(call: Call, transaction: Transaction) -> Answer:
    return {"Model": call.terminal.model(transaction), "Success": False, "Message": None}


def _lifetime(read: Parameters, scheme: Scheme) -> timedelta:
    minutes = read.integer("TtlMinutes")
    if minutes is None:
        return scheme.lifetime
    if not 1 <= minutes <= _LONGEST_TTL_MINUTES:
        raise Refused("Invalid TtlMinutes value")
    return timedelta(minutes=minutes)


def _redirect(read: Parameters, name: str) -> str | None:
    address = read.web_address(name)
    if address is not None and len(address) > _LONGEST_ADDRESS:
        raise Refused(f"Invalid {name} value")
    return address


def _address(call: Call, transaction: Transaction) -> str:
    return f"{call.terminal.settings.sandbox_public_url.rstrip('/')}/qr/{transaction.link_id}"
