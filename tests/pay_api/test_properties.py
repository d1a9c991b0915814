"""Any sums and any bytes: the money codec and the check of signatures, each against its own definition."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from decimal import Decimal
from fractions import Fraction
from urllib.parse import unquote, unquote_plus

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pay_api.providers.base import NotificationMalformed, SignatureInvalid
from pay_api.providers.cloudpayments_amounts import amount_of, encode
from pay_api.providers.cloudpayments_answers import minor_of
from pay_api.providers.cloudpayments_notifications import read, verify
from pay_api.sandbox.signature import form_encode, signature_headers
from pay_api.sandbox.transaction import amount_number
from shared.money import EXPONENTS, MAX_AMOUNT_MINOR, decimal_text_to_minor, minor_to_decimal_text
from tests.pay_api.conftest import Pay
from tests.pay_api.rounds import rounds

MANY = settings(max_examples=500 * rounds(), deadline=None)
SOME = settings(max_examples=150 * rounds(), deadline=None)
SECRET = "секрет of the tests"
minors = st.integers(0, MAX_AMOUNT_MINOR)
currencies = st.sampled_from(sorted(EXPONENTS))


@MANY
@given(minors, currencies)
def test_kopecks_survive_the_wire_and_back(minor: int, currency: str) -> None:
    sent = encode({"Amount": amount_of(minor, currency), "Currency": currency})
    body = json.loads(sent, parse_float=Decimal)
    assert Decimal(body["Amount"]) * 10 ** EXPONENTS[currency] == minor
    assert minor_of(body["Amount"], currency) == minor
    # What a client that knows only floats reads is the same sum still.
    assert round(json.loads(sent)["Amount"] * 10 ** EXPONENTS[currency]) == minor
    assert decimal_text_to_minor(minor_to_decimal_text(minor, currency), currency) == minor


@MANY
@given(minors, currencies)
def test_the_sandbox_prints_what_the_connector_reads(minor: int, currency: str) -> None:
    printed = json.dumps({"Amount": amount_number(minor, currency)})
    assert minor_of(json.loads(printed, parse_float=Decimal)["Amount"], currency) == minor


@MANY
@given(st.one_of(st.text(max_size=30), st.from_regex(r"-?[0-9]{1,12}(\.[0-9]{0,5})?", fullmatch=True)))
def test_text_is_an_amount_only_when_it_is_exact(text: str) -> None:
    try:
        minor = decimal_text_to_minor(text)
    except ValueError:
        plain = text.removeprefix("-").replace(".", "", 1)
        if plain.isascii() and plain.isdigit() and not text.endswith(".") and text.strip("-")[0] != ".":
            assert (Fraction(text) * 100).denominator != 1
        return
    assert Fraction(text) * 100 == minor


def _reference(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """The rule of the provider's page, the slow way: hex digests compared after decoding."""

    def signs(message: bytes, given_: str) -> bool:
        try:
            raw = base64.b64decode(given_.strip().encode("utf-8", "replace"), validate=True)
        except ValueError:
            return False
        expected = hmac.digest(secret.encode(), message, hashlib.sha256)
        return raw == expected and base64.b64encode(raw).decode() == given_.strip()

    if "content-hmac" in headers:
        return signs(body, headers["content-hmac"])
    if "x-content-hmac" not in headers:
        return False
    text = body.decode("utf-8", "replace")
    messages = [body, unquote_plus(text).encode(), unquote(text).encode()]
    return any(signs(message, headers["x-content-hmac"]) for message in messages)


def _sign(secret: str, message: bytes) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), message, hashlib.sha256)).decode()


@st.composite
def signed(draw: st.DrawFn) -> tuple[dict[str, str], bytes]:
    """Bytes with headers that are right, nearly right, or anything."""
    body = draw(st.one_of(st.binary(max_size=200), st.text(max_size=80).map(str.encode)))
    text = body.decode("utf-8", "replace")
    right = st.sampled_from(
        [
            _sign(SECRET, body),
            _sign(SECRET, unquote_plus(text).encode()),
            _sign(SECRET, unquote(text).encode()),
            _sign("another secret", body),
            _sign(SECRET, body + b"&"),
            _sign(SECRET, body).lower(),
            f" {_sign(SECRET, body)} ",
            _sign(SECRET, body)[:-1],
            "",
        ]
    )
    headers: dict[str, str] = {}
    for name in ("content-hmac", "x-content-hmac"):
        if draw(st.booleans()):
            headers[name] = draw(st.one_of(right, right, st.text(max_size=50)))
    return headers, body


@MANY
@given(signed())
def test_accepted_exactly_when_the_reference_accepts(case: tuple[dict[str, str], bytes]) -> None:
    headers, body = case
    try:
        verify(SECRET, headers, body)
    except SignatureInvalid:
        accepted = False
    else:
        accepted = True
    assert accepted == _reference(SECRET, headers, body)


@SOME
@given(st.dictionaries(st.text(max_size=10), st.text(max_size=20), max_size=6))
def test_what_the_sandbox_signs_is_accepted_under_either_header(fields: dict[str, str]) -> None:
    body = form_encode(fields)
    sent = {name.lower(): value for name, value in signature_headers(SECRET, body).items()}
    for name in ("content-hmac", "x-content-hmac"):
        verify(SECRET, {name: sent[name]}, body)
        if body:
            with pytest.raises(SignatureInvalid):
                verify("", {name: sent[name]}, body)


@SOME
@given(
    st.sampled_from(["check", "pay", "fail", "confirm", "refund", "cancel", "recurrent", "kkt"]),
    st.sampled_from(["application/x-www-form-urlencoded", "application/json", "text/plain", ""]),
    st.one_of(
        st.binary(max_size=200),
        st.dictionaries(
            st.sampled_from(
                ["TransactionId", "Amount", "Currency", "Status", "InvoiceId", "CardExpDate", "Data", "x"]
            ),
            st.one_of(st.text(max_size=12), st.sampled_from(["Completed", "RUB", "1", "10.00", "12/40"])),
        ).map(form_encode),
        st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5).map(
            lambda value: json.dumps({"TransactionId": value, "Amount": value}).encode()
        ),
    ),
)
def test_any_signed_bytes_are_read_or_malformed(kind: str, content_type: str, body: bytes) -> None:
    try:
        event = read(kind, content_type, body)
    except NotificationMalformed:
        return
    assert event.kind.value


@pytest.mark.parametrize("size", [0, 1, 64, 4096])
async def test_arbitrary_bytes_never_break_the_route(pay: Pay, size: int) -> None:
    url = f"{pay.house.pay_url}/v1/webhooks/cloudpayments/pay"
    body = hashlib.shake_256(str(size).encode()).digest(size) if size else b""
    for headers in ({}, {"Content-HMAC": "x"}, {"Content-HMAC": _sign("cinema-sandbox-secret", body)}):
        answer: httpx.Response = await pay.http.post(url, content=body, headers=headers)
        assert answer.status_code in (400, 401), answer.text
