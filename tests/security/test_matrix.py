"""Every operation of the three APIs against every kind of caller, cell by cell as the committed table says.

``WRITE_SECURITY_TABLE=1`` writes what was seen into the table; its difference is then for a person to judge.
"""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from typing import Any

from tests.security.conftest import Service, headers_of

TABLE = Path(__file__).with_name("expected_statuses.json")
# Whoever is refused for not being known at all: 401 on every operation that is not public.
STRANGERS = {
    "none",
    "nonsense",
    "basic",
    "expired",
    "token for other services",
    "credential of another callee",
}
PUBLIC = {
    "UserAPI": {
        "GET /",
        "GET /.well-known/jwks.json",
        "GET /v1/consent-texts/{version}",
        "GET /v1/products",
        "GET /v1/products/{product_id}",
        "POST /v1/auth/email-confirmations/complete",
        "POST /v1/auth/login",
        "POST /v1/auth/logout",
        "POST /v1/auth/password-resets",
        "POST /v1/auth/password-resets/complete",
        "POST /v1/auth/refresh",
        "POST /v1/auth/register",
    },
    "PayAPI": set(),
    "BillingAPI": set(),
}


def compare(service: Service, seen: dict[str, dict[str, int]]) -> None:
    known: dict[str, Any] = json.loads(TABLE.read_text()) if TABLE.exists() else {}
    if os.environ.get("WRITE_SECURITY_TABLE"):
        known[service.name] = seen
        TABLE.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    assert seen, "no operation was found"
    assert seen == known[service.name], "run this with WRITE_SECURITY_TABLE=1 and judge the difference"


def check_rules(service: Service, seen: dict[str, dict[str, int]]) -> None:
    """What holds whatever the table says, so that no careless row gets into it."""
    for operation in service.operations:
        statuses = seen[operation.name]
        if operation.name in PUBLIC[service.name]:
            continue
        assert {statuses[actor] for actor in STRANGERS} == {401}, operation.name
        if operation.is_internal:
            assert statuses["user"] == 401, operation.name
            assert statuses["operator"] not in (401, 403, 500), operation.name
        if operation.is_of_user:
            assert {statuses[actor] for actor in ("service", "operator")} == {401}, operation.name
            assert {statuses[actor] for actor in ("ended session", "older epoch")} == {401}, operation.name
            assert statuses["blocked"] in (401, 403), operation.name
            assert statuses["user"] not in (401, 403, 500), operation.name


async def _authorization(actor: Any) -> str | None:
    given = actor()
    found: str | None = await given if inspect.isawaitable(given) else given
    return found


async def _see(service: Service) -> dict[str, dict[str, int]]:
    seen: dict[str, dict[str, int]] = {}
    for operation in service.operations:
        cells = seen[operation.name] = {}
        for name, actor in service.actors.items():
            headers = headers_of(await _authorization(actor))
            answer = await service.send(
                operation.method, operation.path(), headers=headers, **operation.request()
            )
            cells[name] = answer.status_code
    return seen


async def test_user_api(user_service: Service) -> None:
    seen = await _see(user_service)
    check_rules(user_service, seen)
    compare(user_service, seen)


async def test_pay_api(pay_service: Service) -> None:
    seen = await _see(pay_service)
    check_rules(pay_service, seen)
    compare(pay_service, seen)


def test_billing_api(billing_service: Service) -> None:
    seen: dict[str, dict[str, int]] = {}
    for operation in billing_service.operations:
        cells = seen[operation.name] = {}
        for name, actor in billing_service.actors.items():
            headers = headers_of(actor())
            answer = billing_service.send(operation.method, operation.path(), headers, **operation.request())
            cells[name] = answer.status_code
    check_rules(billing_service, seen)
    compare(billing_service, seen)
