"""The webhook pack: every way a notification can be right, wrong, forged, odd or hostile."""

from __future__ import annotations

import ast
import asyncio
import base64
import dataclasses
import gzip
import hashlib
import hmac
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote_plus, urlencode
from uuid import UUID

import asyncpg
import httpx
import pytest

from pay_api.pay_service.apply_provider_event import apply_stored_event, store_event
from pay_api.pay_service.context import Context
from pay_api.providers import cloudpayments_notifications
from pay_api.providers.cloudpayments import CloudPayments
from pay_api.providers.guarded import Guarded
from shared.ids import new_id
from shared.settings import AppEnv
from tests.pay_api.conftest import OK_3DS, Pay, event_types
from tests.pay_api.test_webhooks import SECRET, attempt_of, fields

FORM = "application/x-www-form-urlencoded"


def sign(message: bytes, secret: str = SECRET) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), message, hashlib.sha256)).decode()


def decoded(body: bytes) -> bytes:
    return unquote_plus(body.decode()).encode()


def raw_header(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"Content-HMAC": sign(body, secret)}


def decoded_header(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Content-HMAC": sign(decoded(body), secret)}


def both(body: bytes) -> dict[str, str]:
    return raw_header(body) | decoded_header(body)


def like_dotnet(values: dict[str, str]) -> bytes:
    """The live sender's spelling: lower-case hex, ``+`` for a space."""
    text = urlencode(values)
    parts = text.split("%")
    return "%".join([parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])]).encode()


def form(values: dict[str, str]) -> bytes:
    return urlencode(values).encode()


def as_json(values: dict[str, str]) -> bytes:
    return json.dumps(values, ensure_ascii=False).encode()


@dataclass(frozen=True)
class Case:
    """How the request differs from a good one, and what must come of it."""

    status: int = 200
    payment: str = "action_required"
    changes: dict[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    body: Callable[[dict[str, str]], bytes] = form
    after_signing: Callable[[bytes], bytes] = lambda body: body
    headers: Callable[[bytes], dict[str, str]] = raw_header
    content_type: str = FORM
    extra: dict[str, str] = field(default_factory=dict)
    method: str = "POST"
    kind: str = "pay"


GOOD: dict[str, Case] = {
    "form, signed raw": Case(payment="succeeded"),
    "form, signed decoded": Case(payment="succeeded", headers=decoded_header),
    "form, both signatures": Case(payment="succeeded", headers=both),
    "form as the live sender writes it": Case(payment="succeeded", body=like_dotnet, headers=both),
    "form with a charset": Case(payment="succeeded", content_type=f"{FORM}; charset=utf-8"),
    "form of another charset": Case(
        payment="succeeded",
        content_type=f"{FORM}; charset=windows-1251",
        body=lambda values: urlencode(values, encoding="cp1251").encode(),
    ),
    "json, signed raw": Case(payment="succeeded", body=as_json, content_type="application/json"),
    "json, signed decoded": Case(
        payment="succeeded", body=as_json, content_type="application/json", headers=decoded_header
    ),
    "names in lower case": Case(
        payment="succeeded", body=lambda values: form({name.lower(): text for name, text in values.items()})
    ),
    "type with a capital": Case(payment="succeeded", kind="Pay"),
    "fields nobody knows": Case(payment="succeeded", changes={"CustomFields": "", "NewIn2027": "x"}),
}
FORGED: dict[str, Case] = {
    "no signature": Case(401, headers=lambda _: {}),
    "empty signature": Case(401, headers=lambda _: {"Content-HMAC": ""}),
    "another secret, raw": Case(401, headers=lambda body: raw_header(body, "another secret")),
    "another secret, decoded": Case(401, headers=lambda body: decoded_header(body, "another secret")),
    "empty secret": Case(401, headers=lambda body: raw_header(body, "")),
    "signatures swapped": Case(
        401, headers=lambda body: {"Content-HMAC": sign(decoded(body)), "X-Content-HMAC": sign(body)}
    ),
    "raw wrong beside decoded right": Case(
        401, headers=lambda body: decoded_header(body) | {"Content-HMAC": sign(b"")}
    ),
    "signature cut short": Case(401, headers=lambda body: {"Content-HMAC": sign(body)[:-2]}),
    "signature in hex": Case(
        401,
        headers=lambda body: {"Content-HMAC": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()},
    ),
    "signature of another body": Case(401, headers=lambda _: raw_header(b"Amount=1")),
    "one byte changed": Case(401, after_signing=lambda body: body.replace(b"499.00", b"498.00")),
    "one field added": Case(401, after_signing=lambda body: body + b"&Status=Completed"),
    "json with a space added": Case(
        401, body=as_json, content_type="application/json", after_signing=lambda body: body + b" "
    ),
    "gzip, signed before packing": Case(401, after_signing=gzip.compress, extra={"Content-Encoding": "gzip"}),
}
UNREADABLE: dict[str, Case] = {
    "a parameter twice": Case(400, body=lambda values: form(values) + b"&Amount=1.00"),
    "a parameter twice in another case": Case(400, body=lambda values: form(values) + b"&aMOUNT=499.00"),
    "an unknown currency": Case(400, changes={"Currency": "XXX"}),
    "an unknown status": Case(400, changes={"Status": "Maybe"}),
    "no transaction": Case(400, without=("TransactionId",)),
    "a negative transaction": Case(400, changes={"TransactionId": "-5"}),
    "an amount with a third decimal": Case(400, changes={"Amount": "499.001"}),
    "an amount that is no number": Case(400, changes={"Amount": "NaN"}),
    "a list instead of an object": Case(400, body=lambda _: b"[1]", content_type="application/json"),
    "json that ends early": Case(
        400, body=lambda values: as_json(values)[:-2], content_type="application/json"
    ),
    "json nested deep": Case(
        400, body=lambda _: b'{"a":' + b"[" * 9000 + b"]" * 9000 + b"}", content_type="application/json"
    ),
    "gzip, signed after packing": Case(
        400, body=lambda values: gzip.compress(form(values)), extra={"Content-Encoding": "gzip"}
    ),
    "three hundred fields": Case(
        400, body=lambda values: form(values | {f"f{number}": "1" for number in range(300)})
    ),
    "an unknown type": Case(400, kind="weather"),
    "one megabyte": Case(413, body=lambda values: form(values | {"Description": "x" * 2**20})),
    "GET": Case(405, method="GET"),
    "PUT": Case(405, method="PUT"),
}
WRONG: dict[str, Case] = {
    "another amount": Case(payment="needs_review", changes={"Amount": "4.99"}),
    "another currency": Case(payment="needs_review", changes={"Currency": "USD"}),
    "another account": Case(payment="needs_review", changes={"AccountId": str(new_id())}),
    "another transaction of the attempt": Case(
        payment="needs_review", changes={"TransactionId": "987654321987"}
    ),
    "an unknown invoice": Case(changes={"InvoiceId": str(new_id())}),
    "an invoice that is not ours": Case(changes={"InvoiceId": "order-77"}),
}
PACK = GOOD | FORGED | UNREADABLE | WRONG


def test_the_pack_is_whole() -> None:
    assert len(PACK) == len(GOOD) + len(FORGED) + len(UNREADABLE) + len(WRONG) >= 25


async def send(pay: Pay, case: Case, values: dict[str, str]) -> httpx.Response:
    body = case.body(values)
    return await pay.http.request(
        case.method,
        f"{pay.house.pay_url}/v1/webhooks/cloudpayments/{case.kind}",
        content=case.after_signing(body),
        headers={"Content-Type": case.content_type, **case.headers(body), **case.extra},
    )


@pytest.mark.parametrize("name", PACK)
async def test_pack(pay: Pay, db: asyncpg.Pool, name: str) -> None:
    case = PACK[name]
    view = await pay.pay(OK_3DS, "action_required")
    values = fields(view, await attempt_of(db, view), Name="ИВАН П", **case.changes)
    # Of this transaction alone: notifications of earlier payments may still come in.
    stored, transaction = "SELECT count(*) FROM webhook WHERE transaction_id = $1", values["TransactionId"]
    values = {key: text for key, text in values.items() if key not in case.without}
    before = await db.fetchval(stored, transaction)
    answer = await send(pay, case, values)
    assert answer.status_code == case.status, answer.text
    if case.status == 200:
        assert answer.json() == {"code": 0}
        assert await db.fetchval(stored, transaction) == before + 1
    else:
        assert answer.headers["content-type"] == "application/problem+json"
        assert await db.fetchval(stored, transaction) == before
    assert (await pay.show(view["id"]))["status"] == case.payment
    assert await pay.effects(view["user_id"]) == []  # a notification moves no money, whatever it says
    cancellation = {"cancellation_id": view["id"], "reason": "the test is over"}
    await pay.post(f"/v1/payments/{view['id']}/cancel", cancellation)  # none stays for the reconciler


async def test_a_hundred_replays_have_one_effect(pay: Pay, db: asyncpg.Pool) -> None:
    view = await pay.pay(OK_3DS, "action_required")
    values = fields(view, await attempt_of(db, view))
    for _ in range(5):
        answers = await asyncio.gather(*(send(pay, Case(), values) for _ in range(20)))
        assert {(answer.status_code, answer.text) for answer in answers} == {(200, '{"code":0}')}
    assert (await event_types(db, view["id"])).count("payment.succeeded") == 1
    row = await db.fetchrow("SELECT * FROM webhook WHERE transaction_id = $1", values["TransactionId"])
    assert (row["duplicates"], row["outcome"]) == (99, "applied")


async def test_test_money_is_no_money_in_production(pay: Pay, ctx: Context, db: asyncpg.Pool) -> None:
    """The same notification that pays here leads to a review where real money is expected."""
    strict = CloudPayments.from_settings(pay.house.settings.model_copy(update={"app_env": AppEnv.PRODUCTION}))
    guarded = ctx.providers["cloudpayments"]
    assert isinstance(guarded, Guarded)
    providers = MappingProxyType({**ctx.providers, "cloudpayments": strict})
    live = dataclasses.replace(ctx, providers=providers)
    view = await pay.pay(OK_3DS, "action_required")
    values = fields(view, await attempt_of(db, view), TestMode="1")
    body = form(values)
    headers = {"content-type": FORM, "content-hmac": sign(body)}
    stored = await store_event(live, "cloudpayments", strict.read_notification("pay", headers, body))
    assert stored is not None
    assert await apply_stored_event(live, stored) == "review"
    shown = await pay.show(view["id"])
    assert (shown["status"], shown["captured"]["amount"]) == ("needs_review", 0)
    reason = await db.fetchval("SELECT review_reason FROM payment WHERE id = $1", UUID(view["id"]))
    assert reason == "mismatch: test money"
    await strict.aclose()


def test_signatures_are_compared_in_constant_time_only() -> None:
    """By the code: the digest meets what was given in ``compare_digest`` and nowhere else."""
    tree = ast.parse(inspect.getsource(cloudpayments_notifications))
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    calls: list[Any] = [
        node.func.attr
        for node in ast.walk(functions["_matches"])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    assert "compare_digest" in calls
    for name in ("verify", "_matches"):
        compared = [node for node in ast.walk(functions[name]) if isinstance(node, ast.Compare)]
        assert all(isinstance(operator, ast.Is | ast.IsNot) for node in compared for operator in node.ops)
