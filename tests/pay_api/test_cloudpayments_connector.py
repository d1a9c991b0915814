"""The connector's translation: amounts, receipts, strict answers, signatures, every reason code."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import cast
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from pay_api.pay_service import declines
from pay_api.providers import cloudpayments
from pay_api.providers import cloudpayments_answers as answers
from pay_api.providers import cloudpayments_notifications as notifications
from pay_api.providers.base import (
    ActionRequired,
    AwaitingPayer,
    Charge,
    Declined,
    Done,
    NotExecuted,
    NotFound,
    Receipt,
    ReceiptLine,
    Refused,
    SignatureInvalid,
    Succeeded,
    Unknown,
    Voided,
)
from pay_api.providers.cloudpayments import CloudPayments
from pay_api.providers.cloudpayments_amounts import amount_of, encode
from pay_api.providers.cloudpayments_http import Answered, Transport
from pay_api.providers.cloudpayments_receipt import customer_receipt
from pay_api.sandbox import reasons
from pay_api.settings import DEMO_ACCOUNT, Settings
from shared.queue.messages.payments import DeclineClass

MODEL = {
    "TransactionId": 42,
    "Type": 0,
    "Amount": Decimal("499.00"),
    "Currency": "RUB",
    "InvoiceId": "i",
    "AccountId": "a",
    "Status": "Completed",
    "ReasonCode": 0,
    "TestMode": True,
    "CardFirstSix": "424242",
    "CardLastFour": "4242",
    "CardExpDate": "12/40",
    "CardType": "Visa",
    "Token": "tk_1",
}
# The codes of the provider's own list that say "never again with this card".
NEVER_RETRY = (5005, 5057, 5003, 5017, 5033, 5034, 5001, 5012)


@given(st.integers(min_value=1, max_value=10**13))
def test_amounts_go_out_and_come_back_exactly(amount_minor: int) -> None:
    sent = encode({"Amount": amount_of(amount_minor, "RUB")})
    assert b"e" not in sent.split(b":")[1]
    received = json.loads(sent, parse_float=Decimal)["Amount"]
    assert answers.minor_of(received, "RUB") == amount_minor


@pytest.mark.parametrize("value", [4.99, True, None, "4,99", "4.999", Decimal("1E+3"), Decimal("NaN"), []])
def test_strange_amounts_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        answers.minor_of(value, "RUB")


def test_success_is_read_whole() -> None:
    outcome = answers.read_charge({"Success": True, "Model": MODEL, "Message": None})
    assert isinstance(outcome, Succeeded)
    assert (outcome.transaction_id, outcome.amount_minor, outcome.token) == ("42", 49_900, "tk_1")
    assert outcome.card is not None
    assert (outcome.card.expires_month, outcome.card.expires_year) == (12, 2040)
    assert "tk_1" not in repr(outcome)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"Success": True},
        {"Success": True, "Model": None},
        {"Success": True, "Model": []},
        {"Success": False, "Model": MODEL},
        {"Success": "true", "Model": MODEL},
        {"Success": True, "Model": {**MODEL, "Status": "PendingReview"}},
        {"Success": True, "Model": {**MODEL, "Status": None}},
        {"Success": True, "Model": {**MODEL, "ReasonCode": 5051}},
        {"Success": True, "Model": {**MODEL, "ReasonCode": False}},
        {"Success": True, "Model": {**MODEL, "Amount": 4.99}},
        {"Success": True, "Model": {**MODEL, "Currency": "XXX"}},
        {"Success": True, "Model": {**MODEL, "TransactionId": None}},
        {"Success": True, "Model": {**MODEL, "TransactionId": -1}},
        {"Success": True, "Model": {**MODEL, "Type": 1}},
        {"Success": True, "Model": {**MODEL, "Status": "Cancelled"}},
        {"Success": False, "Model": {**MODEL, "Status": "Declined", "ReasonCode": 5999}},
        {"Success": False, "Model": {**MODEL, "Status": "Declined", "ReasonCode": None}},
        {"Success": True, "Model": {**MODEL, "Status": "Declined", "ReasonCode": 5051}},
        {"Success": False, "Message": ""},
        {"Success": False, "Model": {"TransactionId": 1, "AcsUrl": "javascript:1", "PaReq": "x"}},
        {"Success": False, "Model": {"TransactionId": 1, "AcsUrl": "https://b; script-src *", "PaReq": "x"}},
        {"Success": False, "Model": {"TransactionId": 1, "AcsUrl": "https://bank"}},
    ],
)
def test_whatever_is_not_recognised_is_unknown(body: dict) -> None:
    assert isinstance(answers.read_charge(body), Unknown)


def test_challenge_decline_and_refusal_are_told_apart() -> None:
    model = {"TransactionId": 1, "AcsUrl": "https://bank/acs", "PaReq": "x"}
    assert isinstance(answers.read_charge({"Success": False, "Model": model}), ActionRequired)
    declined = {**MODEL, "Status": "Declined", "ReasonCode": 5051}
    outcome = answers.read_charge({"Success": False, "Model": declined})
    assert isinstance(outcome, Declined)
    assert outcome.reason.code == "insufficient-funds"
    refused = answers.read_charge({"Success": False, "Message": "Amount is required"})
    assert refused == answers.RequestRefused("Amount is required")


def test_queries_look_at_the_model_first() -> None:
    def query(**changes: object) -> object:
        return answers.read_query({"Success": False, "Model": {**MODEL, **changes}}, "i")

    assert isinstance(query(), Succeeded)
    assert query(Status="Cancelled") == Voided("42")
    assert query(Status="AwaitingAuthentication") == AwaitingPayer("42")
    assert isinstance(query(InvoiceId="another"), Unknown)
    assert answers.read_query({"Success": False, "Message": "Not found"}, "i") == NotFound()
    assert isinstance(answers.read_query({"Success": False, "Message": "Try later"}, "i"), Unknown)


def test_operations() -> None:
    done = {"Success": True, "Message": None}
    assert answers.read_operation(done, gives_transaction=False) == Done()
    assert isinstance(answers.read_operation(done, gives_transaction=True), Unknown)
    refund = {**done, "Model": {"TransactionId": 7}}
    assert answers.read_operation(refund, gives_transaction=True) == Done("7")
    refused = {"Success": False, "Message": "no"}
    assert answers.read_operation(refused, gives_transaction=False) == Refused("no")


def test_every_reason_code_has_a_class_and_words_in_both_languages() -> None:
    for code in declines.known_codes():
        reason = declines.reason_of(code)
        assert reason is not None
        russian, english = declines.message(reason, "ru"), declines.message(reason, "en")
        assert any("а" <= letter <= "я" for letter in russian.lower()), code
        assert not any("а" <= letter <= "я" for letter in english.lower()), code
    assert declines.reason_of(5999) is None
    for code in NEVER_RETRY:
        assert declines.reason_of(code).decline_class is DeclineClass.HARD  # type: ignore[union-attr]
    assert declines.reason_of(5051).decline_class is DeclineClass.SOFT  # type: ignore[union-attr]
    assert declines.reason_of(5206).decline_class is DeclineClass.AUTHENTICATION  # type: ignore[union-attr]


def test_table_covers_every_code_the_sandbox_knows() -> None:
    known = {code for code in range(3000, 7000) if reasons.is_known(code)}
    assert known <= declines.known_codes()
    assert len(known) > 40


def _charge(lines: tuple[ReceiptLine, ...], **changes: object) -> Charge:
    values = {
        "attempt_id": UUID(int=1),
        "payment_id": UUID(int=2),
        "user_id": UUID(int=3),
        "amount_minor": sum(line.amount_minor for line in lines),
        "currency": "RUB",
        "description": "x",
        "locale": "ru",
        "email": "a@example.com",
        "ip": None,
        "hold": False,
        "receipt": lines,
    }
    return Charge(**{**values, **changes})  # type: ignore[arg-type]


def test_receipt_lines_multiply_and_add_up() -> None:
    lines = (ReceiptLine("A", 2, 20_000, 2000), ReceiptLine("B", 3, 10_000, None), ReceiptLine("C", 1, 1, 0))
    receipt = json.loads(
        encode(customer_receipt(Receipt(lines, "viewer@example.com"), "RUB", 0)), parse_float=Decimal
    )
    items = receipt["Items"]
    assert all(item["price"] * item["quantity"] == item["amount"] for item in items)
    assert sum(item["amount"] for item in items) == Decimal("300.01") == receipt["amounts"]["electronic"]
    assert [item["vat"] for item in items] == [20, None, 0]
    assert items[1]["label"] == "B × 3"


def test_documented_signature_vector() -> None:
    body = (
        b"TransactionId=666&Amount=123.00&Currency=RUB&InvoiceId=1234567&IpCity=%d0%a1%d0%b0%d0%bd%d0%ba%d1%82"
        b"-%d0%9f%d0%b5%d1%82%d0%b5%d1%80%d0%b1%d1%83%d1%80%d0%b3&DateTime=2015-11-17+14%3a51%3a20"
        b"&TestMode=1&Status=Completed"
    )
    good = {"content-hmac": "MMP4obyCk+zPJ6LHxe2HwD0S5tmktqDnHaYrPS4gWGs="}
    notifications.verify("pass", good, body)
    for secret, headers, message in (
        ("", good, body),
        ("pass", {}, body),
        ("pass", {"content-hmac": "é"}, body),
        ("pass", good, body + b"&"),
        ("pass", {**good, "content-hmac": ""}, body),
    ):
        with pytest.raises(SignatureInvalid):
            notifications.verify(secret, headers, message)


@given(st.binary(max_size=400), st.sampled_from(["application/json", "application/x-www-form-urlencoded"]))
def test_any_bytes_are_read_or_refused(body: bytes, content_type: str) -> None:
    for kind in ("pay", "refund", "check"):
        try:
            notifications.read(kind, content_type, body)
        except notifications.NotificationMalformed:
            continue


@pytest.mark.parametrize("amount", ["499.00", "499.0", "499", '"499.00"', '"499"'])
def test_amounts_of_json_notifications_are_read_exactly(amount: str) -> None:
    body = f'{{"TransactionId": 42, "Amount": {amount}, "Currency": "RUB", "Status": "Completed"}}'
    event = notifications.read("pay", "application/json", body.encode())
    assert (event.transaction_id, event.amount_minor, event.held) == ("42", 49_900, False)


class LongRegister:
    """A register of so many pages of 100 rows; the last row is a refund of transaction 42."""

    def __init__(self, pages: int | None) -> None:
        self.pages, self.asked = pages, 0

    async def post(self, path: str, content: bytes, request_id: UUID | None = None) -> Answered:
        assert path == "/v2/payments/list"
        page, self.asked = json.loads(content)["PageNumber"], self.asked + 1
        if self.pages is not None and page > self.pages:
            return Answered({"Success": True, "Model": []})
        first = (page - 1) * 100 + 1
        rows = [
            {**MODEL, "TransactionId": first + at, "InvoiceId": str(UUID(int=first + at))}
            for at in range(100)
        ]
        if page == self.pages:
            rows[-1] |= {"Type": 1, "OriginalTransactionId": 42, "JsonData": '{"refund_id": "x"}'}
        return Answered({"Success": True, "Model": rows})


def reading(register: LongRegister) -> CloudPayments:
    http = cast(Transport, register)
    return CloudPayments("pk", "secret", http, 0, refuse_test_mode=False)


async def test_a_register_of_a_renewal_day_is_read_to_its_end() -> None:
    span = (datetime(2027, 3, 1, tzinfo=UTC), datetime(2027, 3, 2, tzinfo=UTC))
    connector = reading(LongRegister(pages=80))
    assert await connector.is_listed(UUID(int=7_999), *span) is True
    assert await connector.is_listed(UUID(int=8_001), *span) is False
    (refund,) = await connector.list_refunds("42", *span) or ()
    assert refund.transaction_id == "8000"
    assert len(await connector.read_register(*span) or ()) == 8_000


async def test_reading_of_the_register_stops_at_what_was_looked_for_and_at_the_fuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    span = (datetime(2027, 3, 1, tzinfo=UTC), datetime(2027, 3, 2, tzinfo=UTC))
    register = LongRegister(pages=None)
    assert await reading(register).is_listed(UUID(int=250), *span) is True
    assert register.asked == 3
    monkeypatch.setattr(cloudpayments, "_MAX_PAGES", 60)
    logged: list[str] = []
    monkeypatch.setattr(cloudpayments.log, "error", lambda event, **values: logged.append(event))
    assert await reading(register).is_listed(UUID(int=10**9), *span) is None
    assert logged == ["register-has-no-end"]


async def test_nothing_listening_means_not_executed() -> None:
    transport = Transport("http://127.0.0.1:9", "id", "secret", concurrent_calls=1)
    assert isinstance(await transport.post("/x", b"{}"), NotExecuted)
    await transport.aclose()


def test_production_refuses_the_sandbox() -> None:
    strong = {
        "app_env": "production",
        "database_url": "postgresql://pay_api:Xk29fjw0@pay-db/pay",
        "amqp_url": "amqp://pay-api:Xk29fjw0@rabbitmq/",
        "public_url": "https://cinema.tv",
        "cloudpayments_api_url": "https://api.cloudpayments.ru",
        "cloudpayments_public_id": "pk_live",
        "cloudpayments_public_url": "https://api.cloudpayments.ru",
        "cloudpayments_api_secret": "Xk29fjw0Zr4t",
        "token_encryption_key": Fernet.generate_key().decode(),
        "link_signing_key": "Xk29fjw0Zr4t",
        "accepted_credentials": {"user-api": ["Xk29fjw0Zr4t"]},
    }
    Settings(**strong).refuse_unsafe()  # type: ignore[arg-type]
    for name, value in (
        ("cloudpayments_public_id", "pk_cinema_sandbox"),
        ("cloudpayments_api_secret", "cinema-sandbox-secret"),
        ("cloudpayments_api_url", "http://cloudpayments-sandbox:8005"),
        ("cloudpayments_api_url", "https://cloudpayments-sandbox"),
        ("link_signing_key", "dev-key"),
        ("public_url", "http://cinema.tv"),
        ("bank_transfer_account", DEMO_ACCOUNT),
    ):
        with pytest.raises(SystemExit, match=name.upper()):
            Settings(**{**strong, name: value}).refuse_unsafe()  # type: ignore[arg-type]


def test_test_money_is_no_money_in_production() -> None:
    connector = CloudPayments(
        "pk",
        SecretStr("s").get_secret_value(),
        None,
        0,
        refuse_test_mode=True,  # type: ignore[arg-type]
    )
    assert connector.refuses(test_mode=True)
    assert not connector.refuses(test_mode=False)
