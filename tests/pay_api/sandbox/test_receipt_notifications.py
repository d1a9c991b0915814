"""Receipt notifications: sent when a document is printed, with its fiscal data, by the road of all others."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest

from tests.pay_api.sandbox.conftest import SECRET, Heard, Merchant, OpenSandbox, Sandbox
from tests.pay_api.sandbox.test_corrections import PATH as CORRECTION
from tests.pay_api.sandbox.test_corrections import correction

# The required fields of protocol 2.3 in its order, then the optional ones.
FIELDS = [
    *("Id", "DocumentNumber", "SessionNumber", "Number", "FiscalSign", "DeviceNumber", "RegNumber"),
    *("FiscalNumber", "Inn", "Type", "Ofd", "Url", "QrCodeUrl", "Amount", "DateTime", "Receipt"),
    *("TransactionId", "InvoiceId", "AccountId", "CalculationPlace", "CashierName", "SettlePlace"),
]
PRINTING = timedelta(seconds=1)


def receipt_of(rubles: float) -> dict[str, Any]:
    item = {"label": "Подписка", "price": rubles, "quantity": 1, "amount": rubles, "vat": 20}
    return {"Items": [item], "taxationSystem": 0, "email": "a@example.com"}


def ordering(rubles: float) -> dict[str, Any]:
    return {"cloudpayments": {"CustomerReceipt": receipt_of(rubles)}}


async def told(sandbox: Sandbox, count: int = 1) -> list[Heard]:
    """Receipts the merchant hears of once the device has had its second."""
    sandbox.clock.advance(PRINTING)
    return await sandbox.merchant.until(count, "receipt")


async def test_it_comes_when_the_receipt_is_printed_signed_and_in_order(
    sandbox: Sandbox, merchant: Merchant
) -> None:
    whole = receipt_of(499) | {"cashierName": "Анна", "calculationPlace": "cinema.example"}
    made = await sandbox.call(
        "kkt/receipt", Inn="7700000000", Type="Income", CustomerReceipt=whole, InvoiceId="i 1", AccountId="a"
    )
    receipt_id = made["Model"]["Id"]
    await asyncio.sleep(1.2)  # longer than the sender's loop takes, and no moment by the suite's clock
    assert (await sandbox.call("kkt/receipt/status/get", Id=receipt_id))["Model"] == "Queued"
    assert merchant.heard == []
    (heard,) = await told(sandbox)
    assert (await sandbox.call("kkt/receipt/status/get", Id=receipt_id))["Model"] == "Processed"
    fields = heard.fields
    assert list(fields) == FIELDS
    model = (await sandbox.call("kkt/receipt/get", Id=receipt_id))["Model"]
    data = model.pop("AdditionalData")
    assert json.loads(fields["Receipt"]) == model
    assert {
        "Id": data["Id"],
        "DocumentNumber": data["DocumentNumber"],
        "SessionNumber": data["SessionNumber"],
        "Number": data["SessionCheckNumber"],
        "FiscalSign": data["FiscalSign"],
        "DeviceNumber": data["DeviceNumber"],
        "RegNumber": data["RegNumber"],
        "FiscalNumber": data["FiscalNumber"],
        "Inn": "7700000000",
        "Type": "Income",
        "Ofd": data["Ofd"],
        "Url": data["OfdReceiptUrl"],
        "Amount": "499.00",
        "DateTime": data["DateTime"].replace("T", " "),
        "TransactionId": "",
        "InvoiceId": "i 1",
        "AccountId": "a",
        "CalculationPlace": "cinema.example",
        "CashierName": "Анна",
        "SettlePlace": "",
    }.items() <= fields.items()
    assert f"s=499.00&fn={data['FiscalNumber']}" in fields["QrCodeUrl"]

    def signed(message: bytes) -> str:
        return base64.b64encode(hmac.new(SECRET.encode(), message, hashlib.sha256).digest()).decode()

    assert heard.headers["content-hmac"] == signed(heard.body)
    assert heard.headers["x-content-hmac"] == signed(unquote_plus(heard.body.decode()).encode())
    assert heard.headers["content-hmac"] != heard.headers["x-content-hmac"]


async def test_each_movement_of_money_and_a_correction_tell_of_theirs(sandbox: Sandbox) -> None:
    charged = (await sandbox.charge(JsonData=ordering(10), InvoiceId="one"))["Model"]["TransactionId"]
    (income,) = await told(sandbox)
    assert (income.fields["Type"], income.fields["Amount"]) == ("Income", "10.00")
    assert (income.fields["TransactionId"], income.fields["InvoiceId"]) == (str(charged), "one")
    held = (await sandbox.charge(method="auth", JsonData=ordering(10)))["Model"]["TransactionId"]
    await sandbox.call("payments/confirm", TransactionId=held, Amount=8, JsonData=ordering(8))
    captured = (await told(sandbox, 2))[1].fields
    assert (captured["Amount"], captured["TransactionId"]) == ("8.00", str(held))
    answer = await sandbox.call("payments/refund", TransactionId=charged, Amount=3, JsonData=ordering(3))
    back = (await told(sandbox, 3))[2].fields
    assert (back["Type"], back["Amount"]) == ("IncomeReturn", "3.00")
    assert back["TransactionId"] == str(answer["Model"]["TransactionId"])
    await sandbox.call(CORRECTION, CorrectionReceiptData=correction())
    corrected = (await told(sandbox, 4))[3].fields
    assert list(corrected) == FIELDS
    assert (corrected["Type"], corrected["TransactionId"], corrected["InvoiceId"]) == ("Income", "", "")


async def test_what_the_device_does_not_print_is_not_told(sandbox: Sandbox, merchant: Merchant) -> None:
    await sandbox.charge(JsonData=ordering(9))  # of ten roubles
    sandbox.clock.advance(PRINTING)
    await asyncio.sleep(1.2)
    assert merchant.types() == ["pay"]
    (broken,) = sandbox.terminal.receipts.all()
    assert (await sandbox.call("kkt/receipt/status/get", Id=broken.id))["Model"] == "Error"
    assert (await sandbox.call("kkt/receipt/get", Id=broken.id))["Success"] is False


async def test_queued_before_a_restart_told_after_it_and_retried_by_the_ladder(
    open_sandbox: OpenSandbox, merchant: Merchant, tmp_path: Path
) -> None:
    state = tmp_path / "state.jsonl"
    merchant.answers["receipt"] = 500
    async with open_sandbox(sandbox_state_file=state) as first:
        await first.charge(JsonData=ordering(10))
        await merchant.until(1, "pay")
    async with open_sandbox(sandbox_state_file=state) as second:
        (refused,) = await told(second)
        await asyncio.sleep(1.2)
        assert len(await merchant.until(1, "receipt")) == 1  # not before its minute
        merchant.answers.clear()
        second.clock.advance(timedelta(minutes=1))
        again = (await merchant.until(2, "receipt"))[1]
        assert again.body == refused.body


@pytest.mark.parametrize("kind", ["duplicate", "late", "early", "suppressed"])
async def test_faults_strike_receipts_too(sandbox: Sandbox, merchant: Merchant, kind: str) -> None:
    header = {"X-Sandbox-Fault": f"{kind}; webhook=receipt; seconds=0.3"}
    await sandbox.charge(JsonData=ordering(10), headers=header)
    if kind == "early":
        assert merchant.types() == ["receipt"]  # before the answer, and before Pay
        return
    sandbox.clock.advance(PRINTING)
    await asyncio.sleep(1.5)
    expected = {"duplicate": 2, "late": 1, "suppressed": 0}[kind]
    assert merchant.types().count("receipt") == expected


async def test_the_cabinet_lists_it_and_its_address_can_be_changed(
    sandbox: Sandbox, merchant: Merchant
) -> None:
    found = (await sandbox.call("site/notifications/Receipt/get"))["Model"]
    assert (found["IsEnabled"], found["Address"]) == (True, f"{merchant.url}/receipt")
    change = {"IsEnabled": True, "Address": f"{merchant.url}/papers", "HttpMethod": "POST"}
    assert (await sandbox.call("site/notifications/receipt/update", **change))["Success"] is True
    await sandbox.charge(JsonData=ordering(10))
    sandbox.clock.advance(PRINTING)
    (heard,) = await merchant.until(1, "papers")
    assert heard.fields["Type"] == "Income"
