"""The issuer's page, the list of transactions, and the ledger of effects."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from pay_api.sandbox.main import create_app
from pay_api.sandbox.settings import SandboxSettings
from tests.pay_api.sandbox.conftest import VISA, VISA_3DS, VISA_POOR, Sandbox


async def challenge(sandbox: Sandbox, **body: Any) -> dict[str, str]:
    model = (await sandbox.charge(VISA_3DS, **body))["Model"]
    return {
        "PaReq": model["PaReq"],
        "MD": str(model["TransactionId"]),
        "TermUrl": "http://shop.test:8080/pay-api/return?token=a&b=c",
    }


async def test_acs_page_shows_the_payment_and_lets_its_form_go_to_the_shop_alone(sandbox: Sandbox) -> None:
    form = await challenge(sandbox, Amount=1499)
    page = await sandbox.http.post("/acs", data=form, auth=None)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self' http://shop.test:8080;" in policy
    for text in (
        "Подтвердить",
        "Отклонить",
        "1\u00a0499,00\u00a0₽",
        "4242 42•• •••• 4242",
        "Онлайн-кинотеатр",
    ):
        assert text in page.text
    assert 'action="http://shop.test:8080/pay-api/return?token=a&amp;b=c"' in page.text
    english = await sandbox.http.post("/acs", data=form | {"lang": "en"})
    assert "1,499.00\u00a0₽" in english.text


async def test_acs_page_follows_the_culture_of_the_call(sandbox: Sandbox) -> None:
    page = await sandbox.http.post("/acs", data=await challenge(sandbox, CultureName="en-US"))
    assert "Reject" in page.text


@pytest.mark.parametrize(
    "changes",
    [
        {"TermUrl": "javascript:alert(1)"},
        {"TermUrl": "http://a.test; script-src *"},
        {"TermUrl": ""},
        {"MD": "1"},
        {"MD": "²"},
        {"PaReq": "+/AAAA"},
        {"PaReq": ""},
    ],
)
async def test_acs_page_refuses_what_is_not_a_challenge(sandbox: Sandbox, changes: dict[str, str]) -> None:
    page = await sandbox.http.post("/acs", data=await challenge(sandbox) | changes)
    assert page.status_code == 400
    assert "<form" not in page.text


async def test_acs_page_of_a_finished_payment(sandbox: Sandbox) -> None:
    form = await challenge(sandbox)
    await sandbox.call("payments/cards/post3ds", TransactionId=form["MD"], PaRes="no")
    assert (await sandbox.http.post("/acs", data=form)).status_code == 409


async def test_transactions_page(sandbox: Sandbox) -> None:
    assert "No transactions yet" in (await sandbox.http.get("/", auth=None)).text
    await sandbox.charge(VISA, InvoiceId="<b>1</b>")
    await sandbox.charge(VISA_POOR)
    page = (await sandbox.http.get("/", auth=None)).text
    assert "&lt;b&gt;1&lt;/b&gt;" in page
    assert "InsufficientFunds" in page
    assert 'http-equiv="refresh"' in page


async def test_oracle_tells_every_effect_and_filters(sandbox: Sandbox) -> None:
    headers = {"X-Request-ID": "op-1"}
    paid = (await sandbox.charge(Amount=12.34, InvoiceId="i1", AccountId="a1", headers=headers))["Model"]
    await sandbox.charge(method="auth", InvoiceId="i2", AccountId="a1")
    await sandbox.charge(VISA_POOR, InvoiceId="i3", AccountId="a1")
    back = await sandbox.call("payments/refund", TransactionId=paid["TransactionId"], Amount=2)
    report = await sandbox.ledger(invoice_id="i1", account_id="a1")
    first, second = report["entries"]
    assert first == {
        "sequence": 1,
        "at": "2027-03-01T12:00:05.700000+00:00",
        "effect": "charged",
        "transaction_id": paid["TransactionId"],
        "payment_id": paid["TransactionId"],
        "invoice_id": "i1",
        "account_id": "a1",
        "amount": 1234,
        "currency": "RUB",
        "request_id": "op-1",
        "method": "payments/cards/charge",
        "initiator_code": None,
    }
    assert second["transaction_id"] == back["Model"]["TransactionId"]
    assert second["payment_id"] == paid["TransactionId"]
    assert report["totals"]["RUB"]["net"] == 1034
    whole = await sandbox.ledger(account_id="a1")
    assert [entry["effect"] for entry in whole["entries"]] == ["charged", "held", "refunded"]
    assert (await sandbox.ledger(account_id="nobody"))["entries"] == []


async def test_production_keeps_its_ledger_to_itself_and_default_secrets_out() -> None:
    with pytest.raises(SystemExit):
        create_app(SandboxSettings(app_env="production"))
    settings = SandboxSettings(
        app_env="production",
        sandbox_api_secret="k3Jx81nQzT5w",
        amqp_url="amqp://a:Vq8xT2mL@c/",
        log_level="WARNING",
    )
    transport = httpx.ASGITransport(create_app(settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://s") as http:
        for path in ("/oracle", "/faults", "/"):
            assert (await http.get(path)).status_code == 401
            known = await http.get(path, auth=(settings.sandbox_public_id, "k3Jx81nQzT5w"))
            assert known.status_code == 200


async def test_every_registered_method_is_described(sandbox: Sandbox) -> None:
    document = (await sandbox.http.get("/openapi.json", auth=None)).json()
    for path in ("/payments/cards/charge", "/payments/refund", "/v2/payments/list", "/oracle"):
        assert document["paths"][path]
    assert "/payments/tokens/charge" in (await sandbox.http.get("/docs", auth=None)).text
