"""The rest of the family: subscriptions, orders, receipts, payouts, tokens, the cabinet's settings."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cloudpayments import CloudPayments, CloudPaymentsError
from cloudpayments.models import Amount, Receipt, ReceiptItem

from tests.pay_api.sandbox.conftest import (
    PUBLIC_ID,
    SECRET,
    VISA,
    VISA_3DS,
    VISA_ONCE,
    VISA_POOR,
    OpenSandbox,
    Sandbox,
)
from tests.pay_api.sandbox.test_client_witness import run

DAY = timedelta(days=1)
START = datetime(2027, 3, 31, 9, tzinfo=UTC)


@pytest.fixture
def client(sandbox: Sandbox) -> CloudPayments:
    client = CloudPayments(PUBLIC_ID, SECRET)
    client.URL = sandbox.url + "/"
    return client


async def subscribe(sandbox: Sandbox, client: CloudPayments, pan: str = VISA, **changes: Any) -> Any:
    token = await sandbox.saved(pan)
    values = {"interval": "Month", "period": 1} | changes
    return await run(
        client.create_subscription, token, "acc", 9.9, "RUB", "Кино", "a@example.com", START, **values
    )


async def settle(sandbox: Sandbox, moment: datetime) -> None:
    sandbox.clock.set(moment)
    await sandbox.call("test")


async def test_a_subscription_is_charged_by_the_calendar(sandbox: Sandbox, client: CloudPayments) -> None:
    made = await subscribe(sandbox, client, max_periods=3)
    assert (made.status, made.interval_code, made.successful_transactions_number) == ("Active", 1, 0)
    assert made.next_transaction_date == START
    await settle(sandbox, START - timedelta(seconds=1))
    assert len(await sandbox.effects()) == 1  # the one that saved the card
    for number, moment in enumerate([START, datetime(2027, 4, 30, 9, tzinfo=UTC)], start=1):
        await settle(sandbox, moment)
        now = await run(client.get_subscription, made.id)
        assert (now.successful_transactions_number, now.last_transaction_date) == (number, moment)
    assert now.next_transaction_date == datetime(2027, 5, 31, 9, tzinfo=UTC)  # the anchor's day is kept
    await settle(sandbox, datetime(2027, 9, 1, tzinfo=UTC))
    over = await run(client.get_subscription, made.id)
    assert (over.status, over.next_transaction_date) == ("Expired", None)
    assert (await sandbox.effects())[1:] == [("charged", 990)] * 3
    pays = [item.fields for item in await sandbox.merchant.until(4, "pay")]
    assert [fields["SubscriptionId"] for fields in pays] == ["", made.id, made.id, made.id]
    (told,) = await sandbox.merchant.until(1, "recurrent")
    assert (told.fields["Status"], told.fields["SuccessfulTransactionsNumber"]) == ("Expired", "3")


async def test_failures_of_a_subscription(sandbox: Sandbox, client: CloudPayments) -> None:
    made = await subscribe(sandbox, client, VISA_ONCE)
    statuses = []
    for day in range(4):
        await settle(sandbox, START + day * DAY)
        now = await run(client.get_subscription, made.id)
        statuses.append((now.status, now.failed_transactions_number))
    assert statuses == [("PastDue", 1), ("PastDue", 2), ("Rejected", 3), ("Rejected", 3)]
    assert len(await sandbox.merchant.until(3, "fail")) == 3
    told = [item.fields["Status"] for item in await sandbox.merchant.until(2, "recurrent")]
    assert told == ["PastDue", "Rejected"]


async def test_update_find_and_cancel_a_subscription(sandbox: Sandbox, client: CloudPayments) -> None:
    made = await subscribe(sandbox, client)
    changed = await run(client.update_subscription, made.id, amount=5, interval="Week", period=2)
    assert (changed.amount, changed.interval, changed.period) == (5, "Week", 2)
    await settle(sandbox, START)
    found = list(await run(client.list_subscriptions, "acc"))
    assert [item.next_transaction_date for item in found] == [START + 14 * DAY]
    assert list(await run(client.list_subscriptions, "nobody")) == []
    await run(client.cancel_subscription, made.id)
    assert (await run(client.get_subscription, made.id)).status == "Cancelled"
    await settle(sandbox, START + 60 * DAY)
    assert (await sandbox.effects())[1:] == [("charged", 500)]
    again = await run(client.update_subscription, made.id, amount=6)
    assert again.status == "Active"  # the provider's own trap: an update revives it
    assert again.next_transaction_date == START + 70 * DAY
    assert [item.fields["Status"] for item in await sandbox.merchant.until(1, "recurrent")] == ["Cancelled"]


async def test_what_a_subscription_refuses(sandbox: Sandbox, client: CloudPayments) -> None:
    for changes in ({"interval": "Year"}, {"period": 0}, {"period": 13}, {"max_periods": 0}):
        with pytest.raises(CloudPaymentsError):
            await subscribe(sandbox, client, **changes)
    sandbox.clock.set(START)
    with pytest.raises(CloudPaymentsError, match="StartDate"):
        await subscribe(sandbox, client)
    with pytest.raises(CloudPaymentsError, match="not found"):
        await run(client.get_subscription, "sc_unknown")
    assert await sandbox.call("subscriptions/find", AccountId="acc") == {
        "Model": [],
        "Success": True,
        "Message": None,
    }


async def test_a_payment_starts_a_subscription(sandbox: Sandbox, client: CloudPayments) -> None:
    wish = {"cloudPayments": {"recurrent": {"interval": "Day", "period": 7, "amount": 3}}}
    paid = await sandbox.charge(AccountId="acc", JsonData=wish, Description="Первая")
    subscription_id = paid["Model"]["SubscriptionId"]
    (pay,) = await sandbox.merchant.until(1, "pay")
    assert pay.fields["SubscriptionId"] == subscription_id
    sandbox.clock.advance(7 * DAY)
    now = await run(client.get_subscription, subscription_id)
    assert (now.successful_transactions_number, now.amount, now.description) == (1, 3, "Первая")


async def test_subscriptions_survive_a_restart(open_sandbox: OpenSandbox, tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    async with open_sandbox(sandbox_state_file=state) as first:
        client = CloudPayments(PUBLIC_ID, SECRET)
        client.URL = first.url + "/"
        made = await subscribe(first, client)
        order = await run(client.create_order, 10, "RUB", "Заказ")
        await settle(first, START)
    async with open_sandbox(sandbox_state_file=state) as second:
        client.URL = second.url + "/"
        assert (await run(client.get_subscription, made.id)).successful_transactions_number == 1
        assert (await second.call("orders/cancel", Id=order.id))["Success"]


async def test_an_order_is_paid_by_its_link(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox() as sandbox:
        client = CloudPayments(PUBLIC_ID, SECRET)
        client.URL = sandbox.url + "/"
        order = await run(client.create_order, 10, "RUB", "Билет", invoice_id="inv-7", email="a@example.com")
        assert (order.number, order.amount, order.currency_code) == (1, 10, 0)
        path = f"/d/{order.id}"
        assert order.url.endswith(path)
        card = {"number": VISA_POOR, "month": "12", "year": "2030", "cvv": "123"}
        assert "Билет" in (await sandbox.http.get(path, auth=None)).text
        assert (await sandbox.http.post(path, data=card | {"cvv": "x"}, auth=None)).status_code == 422
        declined = await sandbox.http.post(path, data=card, auth=None)
        assert "Недостаточно средств" in declined.text
        bank = await sandbox.http.post(path, data=card | {"number": VISA_3DS}, auth=None)
        fields = dict(re.findall(r'name="(PaReq|MD|TermUrl)" value="([^"]+)"', bank.text))
        page = await sandbox.http.post("/acs", data=fields, auth=None)
        confirm = re.search(r'id="confirm" name="PaRes" value="([^"]+)"', page.text)
        assert confirm is not None
        back = {"MD": fields["MD"], "PaRes": confirm.group(1)}
        assert "Оплачено" in (await sandbox.http.post(f"{path}/3ds", data=back, auth=None)).text
        again = await sandbox.http.post(path, data=card | {"number": VISA}, auth=None)
        assert "Оплачено" in again.text
        assert await sandbox.effects() == [("charged", 1000)]
        (pay,) = await sandbox.merchant.until(1, "pay")
        assert pay.fields["InvoiceId"] == "inv-7"
        assert (await sandbox.call("orders/cancel", Id=order.id))["Success"] is False


async def test_a_cancelled_order_takes_nothing(sandbox: Sandbox, client: CloudPayments) -> None:
    order = await run(client.create_order, 10, "RUB", "Ticket", culture_info="en-US")
    assert await sandbox.call("orders/cancel", Id=order.id) == {"Success": True, "Message": None}
    card = {"number": VISA, "month": "12", "year": "2030", "cvv": "123"}
    page = await sandbox.http.post(f"/d/{order.id}", data=card, auth=None)
    assert "no longer valid" in page.text
    assert (await sandbox.http.get("/d/unknown", auth=None)).status_code == 404
    assert await sandbox.effects() == []


def film(amount: float = 499.0, **changes: Any) -> ReceiptItem:
    values = {"label": "Подписка", "price": 499.0, "quantity": 1, "amount": amount, "vat": 20} | changes
    return ReceiptItem(**values)


async def test_a_receipt_is_printed(sandbox: Sandbox, client: CloudPayments) -> None:
    receipt = Receipt([film()], 0, "a@example.com", amounts=Amount(electronic=499))
    made = await run(client.create_receipt, "7700000000", "Income", receipt, "inv-1", "acc", "request-1")
    assert (
        await run(client.create_receipt, "7700000000", "Income", receipt, "inv-1", "acc", "request-1") == made
    )
    assert (await sandbox.call("kkt/receipt/status/get", Id=made))["Model"] == "Queued"
    sandbox.clock.advance(timedelta(seconds=1))
    assert (await sandbox.call("kkt/receipt/status/get", Id=made))["Model"] == "Processed"
    assert (await sandbox.call("kkt/receipt/status/get", Id="x"))["Model"] == "NotFound"
    read = await run(client.get_receipt, made)
    assert [(item.label, item.amount, item.vat) for item in read.items] == [("Подписка", Decimal(499), 20)]
    assert read.email == "a@example.com"


@pytest.mark.parametrize(
    "items",
    [
        [],
        [film(label="")],
        [film(amount=-1)],
        [film(0, price=0)],
        [film(vat=21)],
        [film(499.005)],
        [film(500)],
    ],
)
async def test_what_the_cash_register_refuses(
    sandbox: Sandbox, client: CloudPayments, items: list[ReceiptItem]
) -> None:
    with pytest.raises(CloudPaymentsError):
        await run(client.create_receipt, "7700000000", "Income", Receipt(items, 0))


async def test_an_unknown_inn(sandbox: Sandbox) -> None:
    answer = await sandbox.call("kkt/receipt", Inn="1", Type="Income", CustomerReceipt={"Items": []})
    assert (answer["Success"], answer["Model"]["ErrorCode"]) == (False, -1)


async def test_payouts(sandbox: Sandbox, client: CloudPayments) -> None:
    token = await sandbox.saved()
    by_client = await run(client.topup, token, 7, "acc", "RUB")
    assert by_client.status == "Completed"
    by_token = await sandbox.call(
        "payments/token/topup", Token=token, Amount=3, AccountId="acc", Currency="RUB"
    )
    assert (by_token["Model"]["Type"], by_token["Model"]["Status"]) == (2, "Completed")
    packet = sandbox.packet(VISA)
    body = {"CardCryptogramPacket": packet, "Amount": 1, "Currency": "RUB"}
    assert (await sandbox.call("payments/cards/topup", **body))["Success"]
    assert (await sandbox.effects())[1:] == [("paid_out", 700), ("paid_out", 300), ("paid_out", 100)]
    assert (await sandbox.ledger())["totals"]["RUB"]["net"] == 1000 - 1100
    refused = await sandbox.call("payments/refund", TransactionId=by_client.id, Amount=1)
    assert refused["Success"] is False
    pays = await sandbox.merchant.until(4, "pay")
    assert {item.fields["OperationType"] for item in pays} == {"Payment", "CardPayout"}


async def test_tokens_of_the_terminal(sandbox: Sandbox) -> None:
    token = await sandbox.saved()
    (row,) = (await sandbox.call("payments/tokens/list", PageNumber=1))["Model"]
    assert row == {
        "Token": token,
        "AccountId": "acc",
        "CardMask": "4000 00****** 3055",
        "ExpirationDateMonth": 12,
        "ExpirationDateYear": 2030,
    }
    assert (await sandbox.call("payments/tokens/list", PageNumber=2))["Model"] == []


async def test_the_cabinet_sends_notifications_elsewhere(sandbox: Sandbox) -> None:
    model = (await sandbox.call("site/notifications/pay/get"))["Model"]
    assert (model["IsEnabled"], model["HttpMethod"]) == (True, "POST")
    there = {"IsEnabled": True, "Address": f"{sandbox.merchant.url}/elsewhere", "HttpMethod": "POST"}
    changed = await sandbox.call("site/notifications/Pay/update", **there, Encoding="Windows1251")
    assert changed == {"Success": True, "Message": None}
    await sandbox.charge(Description="Кино")
    (heard,) = await sandbox.merchant.until(1, "elsewhere")
    assert b"Description=%ca%e8%ed%ee" in heard.body
    await sandbox.call("site/notifications/pay/update", IsEnabled=False)
    await sandbox.charge()
    await sandbox.charge(VISA_POOR)
    await sandbox.merchant.until(1, "fail")
    assert sandbox.merchant.types().count("elsewhere") == 1
    without = await sandbox.call("site/notifications/pay/update", IsEnabled=True)
    assert without == {"Success": False, "Message": "Address is required"}
    check = await sandbox.http.post("/site/notifications/check/update", json={"IsEnabled": False})
    assert check.status_code == 404


async def test_what_is_open_to_all(sandbox: Sandbox) -> None:
    info = await sandbox.http.get("/bins/info/400000", auth=None)
    assert info.json()["Model"]["BankName"] == "Sandbox Bank"
    assert (await sandbox.http.get("/bins/info/40", auth=None)).json()["Success"] is False
    terminal = await sandbox.http.get(
        "/merchant/configuration", params={"terminalPublicId": PUBLIC_ID}, auth=None
    )
    assert terminal.json()["Model"]["IsTest"] is True


async def test_apple_pay_session(sandbox: Sandbox) -> None:
    session = await sandbox.call("applepay/startsession", ValidationUrl="https://apple.test/session")
    assert {"epochTimestamp", "merchantSessionIdentifier", "signature"} <= set(session["Model"])
    refused = await sandbox.call("applepay/startsession", ValidationUrl="ftp://apple.test")
    assert refused["Success"] is False
