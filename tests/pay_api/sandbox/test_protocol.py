"""Transport, shapes, parameters, X-Request-ID, limits: what clients rely on without saying so."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from pay_api.sandbox.cryptogram import TerminalKey, make_legacy_packet, make_packet
from pay_api.sandbox.main import create_app
from pay_api.sandbox.settings import SandboxSettings
from tests.pay_api.sandbox.conftest import (
    PUBLIC_ID,
    SECRET,
    VISA,
    VISA_3DS,
    VISA_POOR,
    OpenSandbox,
    Sandbox,
)

# Section 1.2 of the protocol, key by key.
KEYS = frozenset(
    """
    TransactionId PublicId TerminalUrl Type OriginalTransactionId
    FallBackScenarioDeclinedTransactionId SubscriptionId EscrowAccumulationId Amount Currency
    CurrencyCode PaymentAmount PaymentCurrency PaymentCurrencyCode TotalFee PayoutAmount Refunded
    VatAboveTotalFee ProcessorAndPartnerFee VatWithinProcessorFee InvoiceId AccountId Email
    Description JsonData Name TrInitiatorCode CreatedDate CreatedDateIso AuthDate AuthDateIso
    ConfirmDate ConfirmDateIso PayoutDate PayoutDateIso Status StatusCode Reason ReasonCode
    CardHolderMessage AuthCode Rrn CultureName TestMode TransactionIsInProcess IpAddress IpCountry
    IpCity IpRegion IpDistrict IpLatitude IpLongitude CardFirstSix CardLastFour CardExpDate CardType
    CardTypeCode CardProduct CardCategory Issuer IssuerBankCountry Token GatewayName Gateway
    AndroidPay ApplePay MasterPass WalletType IsLocalOrder HideInvoiceId InfoShopData Receiver
    """.split()  # noqa: SIM905 (a list of so many literals is unreadable)
)


async def test_credentials_on_every_call_but_the_public_key(sandbox: Sandbox) -> None:
    for auth in (None, (PUBLIC_ID, "wrong"), ("wrong", SECRET)):
        async with httpx.AsyncClient(base_url=sandbox.url, trust_env=False) as stranger:
            for path in ("test", "payments/cards/charge", "payments/get", "no/such/method"):
                answer = await stranger.post(f"/{path}", json={}, auth=auth)
                assert answer.status_code == 401, path
                assert answer.headers["www-authenticate"].startswith("Basic")
            key = (await stranger.get("/payments/publickey")).json()
    assert key == {"Pem": sandbox.terminal.key.pem, "Version": 4}


async def test_in_process_too() -> None:
    app = create_app(SandboxSettings(log_level="WARNING"))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://sandbox", auth=(PUBLIC_ID, SECRET)
    ) as http:
        assert (await http.post("/test")).json()["Success"] is True
        assert (await http.get("/readyz")).status_code == 200
        assert "sandbox_calls_total" in (await http.get("/metrics")).text


async def test_model_has_every_key_in_success_and_decline(sandbox: Sandbox) -> None:
    paid = await sandbox.charge(VISA, CultureName="en-US")
    poor = await sandbox.charge(VISA_POOR, CultureName="en-US")
    assert set(paid["Model"]) == set(poor["Model"]) == KEYS
    assert (paid["Success"], poor["Success"], poor["Message"]) == (True, False, None)
    assert paid["Model"]["CreatedDateIso"] == "2027-03-01T12:00:05"
    assert paid["Model"]["CreatedDate"] == "/Date(1803902405000)/"
    assert paid["Model"]["AuthCode"] == "A1B2C3"
    assert poor["Model"]["AuthDate"] is poor["Model"]["ConfirmDateIso"] is poor["Model"]["AuthCode"] is None
    assert poor["Model"]["CardHolderMessage"] == "Insufficient funds on the card"
    assert (poor["Model"]["Status"], poor["Model"]["StatusCode"]) == ("Declined", 5)


async def test_challenge_has_no_reason_code(sandbox: Sandbox) -> None:
    answer = await sandbox.charge(VISA_3DS)
    model = answer["Model"]
    assert (answer["Success"], answer["Message"]) == (False, None)
    assert "ReasonCode" not in model
    assert model["AcsUrl"] == "http://127.0.0.1:8005/acs"
    assert model["PaReq"].startswith("+/")
    state = await sandbox.call("payments/get", TransactionId=model["TransactionId"])
    assert (state["Success"], state["Model"]["Status"]) == (False, "AwaitingAuthentication")


async def test_form_bodies_and_names_in_any_case(sandbox: Sandbox) -> None:
    form = {
        "amount": "10.50",
        "IPADDRESS": "10.0.0.1",
        "cardcryptogrampacket": sandbox.packet(VISA),
        "invoiceId": "Ж 1",
    }
    answer = (await sandbox.http.post("/Payments/Cards/Charge", data=form)).json()
    assert (answer["Model"]["Amount"], answer["Model"]["InvoiceId"]) == (10.5, "Ж 1")
    whole = await sandbox.charge(Amount="10.00")
    assert whole["Model"]["Amount"] == 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Amount": None}, "Amount is required"),
        ({"Amount": ""}, "Amount is required"),
        *(
            ({"Amount": bad}, "Invalid Amount value")
            for bad in (0, -1, 0.001, "1,5", "10.005", "NaN", "1E-900000", "1e30", True, [1], "ten")
        ),
        ({"IpAddress": None}, "IpAddress is required"),
        ({"CardCryptogramPacket": None}, "CardCryptogramPacket is required"),
        ({"CardCryptogramPacket": "AAAA"}, "Invalid CardCryptogramPacket value"),
        ({"Currency": "XXX"}, "Invalid Currency value"),
    ],
)
async def test_malformed_requests_have_no_model(
    sandbox: Sandbox, changes: dict[str, Any], message: str
) -> None:
    assert await sandbox.charge(**changes) == {"Success": False, "Message": message}
    assert await sandbox.effects() == []


async def test_body_that_is_not_json(sandbox: Sandbox) -> None:
    for body in (b"{", b"[1]", b'{"Amount": NaN}', b"[" * 50_000):
        answer = await sandbox.http.post(
            "/payments/get", content=body, headers={"Content-Type": "application/json"}
        )
        assert (answer.status_code, answer.json()["Success"]) == (400, False)


@pytest.mark.parametrize("make", [make_packet, make_legacy_packet])
def test_both_envelopes_open(make: Any) -> None:
    key = TerminalKey.load(None)
    card = key.open(make(key.pem, 4, PUBLIC_ID, "4242 4242 4242 4242", 7, 2029, "321"), PUBLIC_ID)
    assert (card.pan, card.exp_date, card.cvv) == ("4242424242424242", "07/29", "321")
    for wrong in (
        make(TerminalKey.load(None).pem, 4, PUBLIC_ID, VISA, 7, 2029, "321"),
        make(key.pem, 5, PUBLIC_ID, VISA, 7, 2029, "321"),
        make(key.pem, 4, "pk_other", VISA, 7, 2029, "321"),
    ):
        with pytest.raises(ValueError, match=r".+"):
            key.open(wrong, PUBLIC_ID)


async def test_expired_and_unknown_cards(sandbox: Sandbox) -> None:
    expired = await sandbox.charge(CardCryptogramPacket=sandbox.packet(VISA, 2, 2027))
    this_month = await sandbox.charge(CardCryptogramPacket=sandbox.packet(VISA, 3, 2027))
    unknown = await sandbox.charge("4000000000000002")
    codes = [answer["Model"]["ReasonCode"] for answer in (expired, this_month, unknown)]
    assert codes == [5054, 0, 5014]


async def test_same_request_id_is_processed_once_for_an_hour(sandbox: Sandbox) -> None:
    headers = {"X-Request-ID": "r1"}
    first = await sandbox.charge(headers=headers)
    sandbox.clock.advance(timedelta(minutes=59))
    assert await sandbox.charge(headers=headers) == first
    assert len(await sandbox.effects()) == 1
    sandbox.clock.advance(timedelta(minutes=2))
    assert (await sandbox.charge(headers=headers))["Model"]["TransactionId"] > first["Model"]["TransactionId"]
    assert len(await sandbox.effects()) == 2


async def test_concurrent_repeats_charge_once(open_sandbox: OpenSandbox, merchant: Any) -> None:
    merchant.delay_seconds = 0.2  # each would be inside its Check while the others come
    async with open_sandbox(sandbox_check_enabled=True) as sandbox:
        answers = await asyncio.gather(*(sandbox.charge(headers={"X-Request-ID": "same"}) for _ in range(4)))
        assert len({answer["Model"]["TransactionId"] for answer in answers}) == 1
        assert await sandbox.effects() == [("charged", 1000)]


async def test_failure_is_not_stored_under_a_request_id(sandbox: Sandbox) -> None:
    headers = {"X-Request-ID": "r2"}
    assert (await sandbox.charge(VISA_POOR, headers=headers))["Success"] is False
    assert (await sandbox.charge(VISA, headers=headers))["Success"] is True


async def test_sixth_call_at_once_is_429(sandbox: Sandbox) -> None:
    slow = {"X-Sandbox-Fault": "delay; seconds=0.4"}
    answers = await asyncio.gather(*(sandbox.http.post("/test", headers=slow) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 3
    assert (await sandbox.http.post("/test")).status_code == 200


async def test_lists_by_day_span_status_and_page(sandbox: Sandbox) -> None:
    first = (await sandbox.charge())["Model"]["TransactionId"]
    sandbox.clock.advance(timedelta(hours=10))  # 22:00 UTC: the next day in Moscow
    second = (await sandbox.charge(VISA_POOR))["Model"]["TransactionId"]

    async def ids(method: str, **body: Any) -> list[int]:
        return [item["TransactionId"] for item in (await sandbox.call(method, **body))["Model"]]

    assert await ids("payments/list", Date="2027-03-01") == [first, second]
    assert await ids("payments/list", Date="2027-03-01", TimeZone="MSK") == [first]
    span = {"CreatedDateGte": "2027-03-01T00:00:00Z", "CreatedDateLte": "2027-03-02T02:00:00+03:00"}
    assert await ids("v2/payments/list", PageNumber=1, **span) == [first, second]
    assert await ids("v2/payments/list", PageNumber=1, Statuses=["Declined"], **span) == [second]
    assert await ids("v2/payments/list", PageNumber=2, **span) == []
    refused = await sandbox.call("v2/payments/list", PageNumber=0, **span)
    assert refused == {"Success": False, "Message": "Invalid PageNumber value"}


async def test_holds_lapse_after_seven_days(sandbox: Sandbox) -> None:
    held = (await sandbox.charge(method="auth"))["Model"]["TransactionId"]
    sandbox.clock.advance(timedelta(days=7))
    state = await sandbox.call("payments/get", TransactionId=held)
    assert (state["Success"], state["Model"]["Status"]) == (False, "Cancelled")
    assert await sandbox.effects() == [("held", 1000), ("voided", 1000)]


async def test_forged_pares_is_a_decline_and_a_second_post3ds_does_nothing(sandbox: Sandbox) -> None:
    first = (await sandbox.charge(VISA_3DS))["Model"]["TransactionId"]
    for pares in ("forged", "bm90IG91cnM="):
        answer = await sandbox.call("payments/cards/post3ds", TransactionId=str(first), PaRes=pares)
        assert answer["Model"]["ReasonCode"] == 5206
    assert await sandbox.effects() == []


async def test_initiator_code_when_required(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox(sandbox_require_initiator=True) as sandbox:
        body = {"Token": await sandbox.saved(), "AccountId": "acc", "Amount": 1}
        missing = await sandbox.call("payments/tokens/charge", **body)
        assert missing == {"Success": False, "Message": "TrInitiatorCode is required"}
        paid = await sandbox.call("payments/tokens/charge", TrInitiatorCode=0, PaymentScheduled=1, **body)
        assert (paid["Success"], paid["Model"]["TrInitiatorCode"]) == (True, 0)


async def test_state_and_key_outlive_a_restart(open_sandbox: OpenSandbox, tmp_path: Path) -> None:
    files = {"sandbox_state_file": tmp_path / "state.jsonl", "sandbox_key_file": tmp_path / "key.pem"}
    async with open_sandbox(**files) as sandbox:
        token, pem = await sandbox.saved(), sandbox.terminal.key.pem
        first = await sandbox.charge(headers={"X-Request-ID": "r"}, InvoiceId="i")
        before = await sandbox.ledger()
    with files["sandbox_state_file"].open("a") as half:
        half.write('{"kind": "transac')  # cut by a crash
    assert VISA not in files["sandbox_state_file"].read_text()
    assert all(path.stat().st_mode & 0o077 == 0 for path in files.values())
    async with open_sandbox(**files) as sandbox:
        assert sandbox.terminal.key.pem == pem
        assert (await sandbox.ledger())["entries"] == before["entries"]
        assert await sandbox.charge(headers={"X-Request-ID": "r"}) == first
        assert (await sandbox.call("payments/find", InvoiceId="i"))["Model"] == first["Model"]
        paid = await sandbox.call("payments/tokens/charge", Token=token, AccountId="acc", Amount=1)
        assert paid["Success"] is True
    async with open_sandbox(**files) as sandbox:
        assert len((await sandbox.ledger())["entries"]) == 3
