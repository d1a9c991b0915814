"""Notifications: wire form, signatures, order, retries, Check."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from datetime import timedelta
from typing import Any
from urllib.parse import unquote_plus

import pytest

from pay_api.sandbox.notifications import RETRY_GAPS_MINUTES
from pay_api.sandbox.signature import form_encode, signature_headers
from tests.pay_api.sandbox.conftest import SECRET, VISA_POOR, Merchant, OpenSandbox, Sandbox


def test_published_signature_vector_and_dotnet_encoding() -> None:
    body = (
        b"TransactionId=666&Amount=123.00&Currency=RUB&InvoiceId=1234567&IpCity=%d0%a1%d0%b0%d0%bd%d0%ba%d1%82-"
        b"%d0%9f%d0%b5%d1%82%d0%b5%d1%80%d0%b1%d1%83%d1%80%d0%b3&DateTime=2015-11-17+14%3a51%3a20&TestMode=1"
        b"&Status=Completed"
    )
    fields = {
        "TransactionId": "666",
        "Amount": "123.00",
        "Currency": "RUB",
        "InvoiceId": "1234567",
        "IpCity": "Санкт-Петербург",
        "DateTime": "2015-11-17 14:51:20",
        "TestMode": "1",
        "Status": "Completed",
    }
    assert form_encode(fields) == body
    assert signature_headers("pass", body)["Content-HMAC"] == "MMP4obyCk+zPJ6LHxe2HwD0S5tmktqDnHaYrPS4gWGs="
    assert form_encode({"a": "~%2F&(x)!*'_.-+"}) == b"a=%7e%252F%26(x)!*%27_.-%2b"


async def test_pay_is_signed_and_complete(sandbox: Sandbox, merchant: Merchant) -> None:
    paid = await sandbox.charge(
        Amount=3900, InvoiceId="inv 1", AccountId="acc", SaveCard=True, Description="Кино & чай",
        JsonData={"a": "б"},
    )  # fmt: skip
    (heard,) = await merchant.until(1)
    fields = heard.fields
    assert heard.type == "pay"
    assert heard.headers["content-type"].startswith("application/x-www-form-urlencoded")
    assert (fields["Amount"], fields["Status"], fields["DateTime"]) == (
        "3900.00", "Completed", "2027-03-01 12:00:05",
    )  # fmt: skip
    assert fields["Token"] == paid["Model"]["Token"]
    assert (fields["Description"], fields["Data"], fields["TestMode"]) == ("Кино & чай", '{"a":"б"}', "1")
    required = {
        "TransactionId",
        "Currency",
        "PaymentAmount",
        "PaymentCurrency",
        "CardFirstSix",
        "CardLastFour",
    }
    assert required | {"CardType", "CardExpDate", "OperationType", "GatewayName"} <= set(fields)

    def signed(message: bytes) -> str:
        return base64.b64encode(hmac.new(SECRET.encode(), message, hashlib.sha256).digest()).decode()

    assert heard.headers["content-hmac"] == signed(heard.body)
    assert heard.headers["x-content-hmac"] == signed(unquote_plus(heard.body.decode()).encode())


async def test_every_move_is_told(sandbox: Sandbox, merchant: Merchant) -> None:
    held = (await sandbox.charge(method="auth", InvoiceId="a"))["Model"]["TransactionId"]
    await merchant.until(1, "pay")
    await sandbox.call("payments/confirm", TransactionId=held, Amount=8)
    (confirmed,) = await merchant.until(1, "confirm")
    assert (confirmed.fields["Amount"], confirmed.fields["Status"]) == ("8.00", "Completed")
    back = (await sandbox.call("payments/refund", TransactionId=held, Amount=3))["Model"]["TransactionId"]
    (refunded,) = await merchant.until(1, "refund")
    assert refunded.fields["TransactionId"] == str(back)
    assert refunded.fields["PaymentTransactionId"] == str(held)
    assert (refunded.fields["Amount"], refunded.fields["InvoiceId"]) == ("3.00", "a")
    other = (await sandbox.charge(method="auth"))["Model"]["TransactionId"]
    await sandbox.call("payments/void", TransactionId=other)
    (cancelled,) = await merchant.until(1, "cancel")
    assert cancelled.fields["TransactionId"] == str(other)
    await sandbox.charge(VISA_POOR)
    (failed,) = await merchant.until(1, "fail")
    assert (failed.fields["Reason"], failed.fields["ReasonCode"]) == ("InsufficientFunds", "5051")


@pytest.mark.parametrize("bad", [503, {"code": 13}, {"code": "0"}, {"code": False}, ["x"], {}])
async def test_anything_but_code_zero_is_sent_again(sandbox: Sandbox, merchant: Merchant, bad: Any) -> None:
    merchant.answers["pay"] = bad
    await sandbox.charge()
    await merchant.until(1)
    await asyncio.sleep(1.2)
    assert len(merchant.heard) == 1  # not before its minute by the suite's clock
    del merchant.answers["pay"]
    sandbox.clock.advance(timedelta(minutes=1))
    first, second = await merchant.until(2)
    assert first.body == second.body
    await asyncio.sleep(0.05)
    assert (await sandbox.ledger())["notifications_pending"] == []


async def test_ladder_of_retries(sandbox: Sandbox, merchant: Merchant) -> None:
    merchant.answers["pay"] = 500
    await sandbox.charge()
    await merchant.until(1)
    gaps = []
    for _ in range(6):
        await asyncio.sleep(0.03)
        (pending,) = sandbox.terminal.notifier._pending.values()
        gap = pending.due_at - sandbox.clock.now()
        gaps.append(int(gap.total_seconds()) // 60)
        sandbox.clock.advance(gap)
        await sandbox.terminal.notifier._deliver(pending)
    assert gaps == [*RETRY_GAPS_MINUTES, 30]


async def test_undelivered_survive_a_restart(
    open_sandbox: OpenSandbox, merchant: Merchant, tmp_path: Any
) -> None:
    merchant.answers["pay"] = 500
    async with open_sandbox(sandbox_state_file=tmp_path / "s") as sandbox:
        await sandbox.charge()
        await merchant.until(1)
        await asyncio.sleep(0.05)
    merchant.answers.clear()
    async with open_sandbox(sandbox_state_file=tmp_path / "s") as sandbox:
        sandbox.clock.advance(timedelta(minutes=1))
        assert len(await merchant.until(2)) == 2


@pytest.mark.parametrize(
    ("answer", "reason_code"),
    [({"code": 10}, 3001), ({"code": 11}, 3002), ({"code": 12}, 3003), ({"code": 13}, 3008),
     ({"code": 20}, 3004), ({"code": 7}, 3005), ({}, 3005), (504, 3007), ({"code": 0}, 0)],
)  # fmt: skip
async def test_check_may_refuse(
    open_sandbox: OpenSandbox, merchant: Merchant, answer: Any, reason_code: int
) -> None:
    merchant.answers["check"] = answer
    async with open_sandbox(sandbox_check_enabled=True) as sandbox:
        model = (await sandbox.charge())["Model"]
        assert model["ReasonCode"] == reason_code
        assert len(await sandbox.effects()) == (0 if reason_code else 1)
        heard = await merchant.until(2)
        assert [item.type for item in heard] == ["check", "fail" if reason_code else "pay"]
        assert heard[0].fields["Status"] == "Completed"


async def test_check_unreachable(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox(
        sandbox_check_enabled=True, sandbox_notifications_url="http://127.0.0.1:9/x"
    ) as sandbox:
        assert (await sandbox.charge())["Model"]["ReasonCode"] == 3006
