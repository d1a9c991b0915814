"""The unmodified PyPI client, written by others against the live service, is content with the sandbox."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from cloudpayments import CloudPayments, CloudPaymentsError, PaymentError

from tests.pay_api.sandbox.conftest import (
    PUBLIC_ID,
    SECRET,
    VISA,
    VISA_3DS,
    VISA_3DS_POOR,
    VISA_ONCE,
    VISA_POOR,
    Sandbox,
)


async def run(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return await asyncio.to_thread(function, *args, **kwargs)


@pytest.fixture
def client(sandbox: Sandbox) -> CloudPayments:
    client = CloudPayments(PUBLIC_ID, SECRET)
    client.URL = sandbox.url + "/"
    return client


async def acs_press(sandbox: Sandbox, secure: Any, button: str) -> str:
    """Opens the issuer's page as a browser does and gives the PaRes of a button."""
    form = {"PaReq": secure.pa_req, "MD": str(secure.transaction_id), "TermUrl": "http://shop.test/return"}
    page = await sandbox.http.post("/acs", data=form, auth=None)
    assert page.status_code == 200
    found = re.search(rf'id="{button}" name="PaRes" value="([^"]+)"', page.text)
    assert found is not None
    return found.group(1)


async def test_it_is_there(client: CloudPayments) -> None:
    assert re.fullmatch(r"[0-9a-f-]{36}", await run(client.test))


async def test_charge_get_find_and_list(sandbox: Sandbox, client: CloudPayments) -> None:
    paid = await run(
        client.charge_card, sandbox.packet(VISA), 12.34, "RUB", "IVAN PETROV", "10.0.0.1",
        invoice_id="inv-1", account_id="acc-1", email="a@example.com", data={"film": "Сталкер"},
    )  # fmt: skip
    assert (paid.status, paid.amount, paid.card_last_four) == ("Completed", Decimal("12.34"), "3055")
    assert paid.created_date == datetime(2027, 3, 1, 12, 0, 5, tzinfo=UTC)
    assert paid.confirm_date is not None
    assert '"Сталкер"' in paid.data
    same = [await run(client.get_transaction, paid.id), await run(client.find_payment, "inv-1")]
    same += list(await run(client.list_payments, date(2027, 3, 1), "MSK"))
    assert [item.id for item in same] == [paid.id] * 3


async def test_decline(sandbox: Sandbox, client: CloudPayments) -> None:
    with pytest.raises(PaymentError) as caught:
        await run(client.charge_card, sandbox.packet(VISA_POOR), 10, "RUB", "IVAN", "10.0.0.1")
    assert (caught.value.reason, caught.value.reason_code) == ("InsufficientFunds", 5051)
    assert caught.value.cardholder_message == "Недостаточно средств на карте"


@pytest.mark.parametrize(
    ("pan", "button", "reason_code"),
    [(VISA_3DS, "confirm", 0), (VISA_3DS, "reject", 5206), (VISA_3DS_POOR, "confirm", 5051)],
)
async def test_three_d_secure(
    sandbox: Sandbox, client: CloudPayments, pan: str, button: str, reason_code: int
) -> None:
    secure = await run(client.charge_card, sandbox.packet(pan), 10, "RUB", "IVAN", "10.0.0.1")
    assert secure.secure3d_required
    assert await sandbox.effects() == []
    pares = await acs_press(sandbox, secure, button)
    if reason_code == 0:
        paid = await run(client.finish_3d_secure_authentication, secure.transaction_id, pares)
        assert (paid.id, paid.status) == (secure.transaction_id, "Completed")
        assert await sandbox.effects() == [("charged", 1000)]
    else:
        with pytest.raises(PaymentError) as caught:
            await run(client.finish_3d_secure_authentication, secure.transaction_id, pares)
        assert caught.value.reason_code == reason_code
        assert await sandbox.effects() == []


async def test_hold_confirm_void(sandbox: Sandbox, client: CloudPayments) -> None:
    args = (sandbox.packet(VISA), 10, "RUB", "IVAN", "10.0.0.1")
    first = await run(client.charge_card, *args, require_confirmation=True)
    second = await run(client.charge_card, *args, require_confirmation=True)
    assert (first.status, first.confirm_date) == ("Authorized", None)
    await run(client.confirm_payment, first.id, 7.5)
    await run(client.void_payment, second.id)
    with pytest.raises(CloudPaymentsError, match="not authorized"):
        await run(client.void_payment, second.id)
    assert (await run(client.get_transaction, first.id)).status == "Completed"
    assert (await run(client.get_transaction, second.id)).status == "Cancelled"
    assert await sandbox.effects() == [("held", 1000), ("held", 1000), ("captured", 750), ("voided", 1000)]


async def test_refunds_in_parts(sandbox: Sandbox, client: CloudPayments) -> None:
    paid = await run(client.charge_card, sandbox.packet(VISA), 10, "RUB", "I", "10.0.0.1", invoice_id="i")
    first = await run(client.refund, paid.id, 4, "refund-1")
    assert await run(client.refund, paid.id, 4, "refund-1") == first
    with pytest.raises(CloudPaymentsError, match="rest of the payment"):
        await run(client.refund, paid.id, 6.01)
    second = await run(client.refund, paid.id, 6)
    assert first != second
    assert await sandbox.effects() == [("charged", 1000), ("refunded", 400), ("refunded", 600)]
    assert (await run(client.find_payment, "i")).id == paid.id
    latest = await sandbox.call("v2/payments/find", InvoiceId="i")
    assert (latest["Model"]["TransactionId"], latest["Model"]["Type"]) == (second, 1)


async def test_token_payments(sandbox: Sandbox, client: CloudPayments) -> None:
    good, once = await sandbox.saved(VISA), await sandbox.saved(VISA_ONCE)
    assert (await run(client.charge_token, good, "acc", 5, "RUB")).status == "Completed"
    held = await run(client.charge_token, good, "acc", 5, "RUB", require_confirmation=True)
    assert (held.status, held.token) == ("Authorized", good)
    with pytest.raises(PaymentError) as caught:
        await run(client.charge_token, once, "acc", 5, "RUB")
    assert caught.value.reason_code == 5051
    for token, account in (("tk_unknown", "acc"), (good, "somebody-else")):
        with pytest.raises(CloudPaymentsError, match="Token not found"):
            await run(client.charge_token, token, account, 5, "RUB")


async def test_not_found_and_wrong_parameters(sandbox: Sandbox, client: CloudPayments) -> None:
    with pytest.raises(CloudPaymentsError, match="Not found"):
        await run(client.find_payment, 12345)
    with pytest.raises(CloudPaymentsError):
        await run(client.get_transaction, 1)
    with pytest.raises(CloudPaymentsError, match="Invalid Amount value"):
        await run(client.charge_card, sandbox.packet(VISA), 10.001, "RUB", "IVAN", "10.0.0.1")
