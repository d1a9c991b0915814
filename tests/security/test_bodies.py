"""Bodies: no field that is the server's to set is taken, and none is too large or too deep."""

from __future__ import annotations

import json
from typing import Any

from tests.security.conftest import Service, headers_of

# Every field the server alone sets, in any of the three services.
SERVER_SIDE = (
    "id",
    "user_id",
    "role",
    "is_staff",
    "is_superuser",
    "status",
    "price",
    "amount_minor",
    "amount_due",
    "balance",
    "discount",
    "paid",
    "captured",
    "refunded",
    "granted",
    "until",
    "access_until",
    "grants_access",
    "token_epoch",
    "email_normalized",
    "password_hash",
    "password_changed_at",
    "blocked",
    "verified",
    "created_at",
    "updated_at",
    "removed_at",
    "family_id",
    "sequence",
    "version",
    "number",
    "initiator",
    "provider",
    "next_invoice_at",
    "trial_ends_at",
    "card_mask",
    "late",
    "settles_invoice",
)
ACTOR = {True: "operator", False: "user"}
TOO_LARGE = b'{"padding":"' + b"x" * 70_000 + b'"}'
TOO_DEEP = b"[" * 40 + b"]" * 40


def writes(service: Service) -> list[Any]:
    """Operations with a JSON body and a schema of known fields."""
    return [operation for operation in service.operations if operation.schema is not None]


def foreign_fields(operation: Any) -> list[str]:
    own = operation.schema.get("properties", {})
    return [name for name in SERVER_SIDE if name not in own]


def is_refused(answer: Any, name: str) -> bool:
    """422 that names the field: the refusal must not be for something else alone."""
    text = answer.content.decode()
    return answer.status_code == 422 and name in text


def actor_of(service: Service, operation: Any) -> str:
    return (
        "service"
        if service.name == "PayAPI" and operation.template.startswith("/v1/")
        else ACTOR[operation.is_internal]
    )


async def test_no_write_of_user_api_takes_a_field_of_the_servers(user_service: Service, rows: Any) -> None:
    wrong = []
    tables = "SELECT (SELECT count(*) FROM user_products), (SELECT count(*) FROM payments)"
    for operation in writes(user_service):
        given = user_service.actors[ACTOR[operation.is_internal]]()
        authorization = await given if not isinstance(given, str) else given
        before = await rows("SELECT id, email, full_name, phone, status, token_epoch FROM users ORDER BY id")
        for name in foreign_fields(operation):
            answer = await user_service.send(
                operation.method, operation.path(), headers=headers_of(authorization), json={name: "1"}
            )
            if not is_refused(answer, name):
                wrong.append((operation.name, name, answer.status_code))
        after = await rows("SELECT id, email, full_name, phone, status, token_epoch FROM users ORDER BY id")
        assert [tuple(row) for row in after] == [tuple(row) for row in before], operation.name
    assert wrong == []
    assert tuple((await rows(tables))[0]) == (0, 0)


async def test_no_write_of_pay_api_takes_a_field_of_the_servers(pay_service: Service) -> None:
    wrong = []
    for operation in writes(pay_service):
        authorization = pay_service.actors[actor_of(pay_service, operation)]()
        for name in foreign_fields(operation):
            answer = await pay_service.send(
                operation.method, operation.path(), headers=headers_of(authorization), json={name: "1"}
            )
            if not is_refused(answer, name):
                wrong.append((operation.name, name, answer.status_code))
    assert wrong == []


def test_no_write_of_billing_api_takes_a_field_of_the_servers(billing_service: Service) -> None:
    wrong = []
    for operation in writes(billing_service):
        authorization = billing_service.actors["operator"]()
        for name in foreign_fields(operation):
            answer = billing_service.send(
                operation.method, operation.path(), headers_of(authorization), json={name: "1"}
            )
            # A subscription that is not there is told before its body is read: nothing could change.
            if answer.status_code != 404 and not is_refused(answer, name):
                wrong.append((operation.name, name, answer.status_code))
    assert wrong == []


async def _limits(service: Service) -> list[Any]:
    wrong = []
    for operation in writes(service):
        given = service.actors[actor_of(service, operation)]()
        authorization = await given if not isinstance(given, str) else given
        for body, expected in ((TOO_LARGE, {413}), (TOO_DEEP, {400}), (b"{", {400}), (b"\xff", {400})):
            headers = headers_of(authorization) | {"Content-Type": "application/json"}
            answer = await service.send(operation.method, operation.path(), headers=headers, content=body)
            if answer.status_code not in expected:
                wrong.append((operation.name, body[:12], answer.status_code))
    return wrong


async def test_limits_of_user_api(user_service: Service) -> None:
    assert await _limits(user_service) == []


async def test_limits_of_pay_api(pay_service: Service) -> None:
    assert await _limits(pay_service) == []


def test_limits_of_billing_api(billing_service: Service) -> None:
    wrong = []
    for operation in writes(billing_service):
        authorization = billing_service.actors["operator"]()
        for body, expected in ((TOO_LARGE, 413), (TOO_DEEP, 400), (b"{", 400), (b"\xff", 400)):
            answer = billing_service.send(
                operation.method, operation.path(), headers_of(authorization), content=body
            )
            if answer.status_code != expected:
                wrong.append((operation.name, body[:12], answer.status_code))
    assert wrong == []
    assert json.loads(TOO_DEEP)
