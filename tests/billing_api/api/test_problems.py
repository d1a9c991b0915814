"""Every failure is a problem in the very form of the ASGI services."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from shared import asgi
from shared.errors import broken_invariant
from shared.health import Health
from tests.billing_api.api.conftest import SERVICE_TOKEN, Callers

INVOICES = "/internal/v1/invoices"


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(response.content)
    assert (body["type"], body["status"]) == (f"/problems/{code}", status)
    assert body["correlation_id"] == response.headers["X-Correlation-ID"]
    assert response.headers["Cache-Control"] == "no-store"
    return body


@pytest.fixture
async def asgi_service() -> AsyncIterator[httpx.AsyncClient]:
    """A FastAPI service with the suite's edge, to compare with."""
    app = FastAPI()

    @app.get("/thing")
    async def thing() -> None:
        raise RuntimeError("secret detail")

    @app.post("/thing")
    async def make(body: dict[str, Any]) -> dict[str, Any]:
        return body

    asgi.install(app, Health())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://asgi") as client:
        yield client


async def test_form_is_byte_identical_to_the_asgi_services(
    callers: Callers, asgi_service: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "billing_api.billing_service.queries.read_invoice",
        lambda _: (_ for _ in ()).throw(RuntimeError("secret detail")),
    )
    user = UUID(int=7)
    ours = callers.client
    same = {"X-Correlation-ID": "same-for-both"}
    json_type = {"Content-Type": "application/json"}
    auth = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
    account = f"/internal/v1/invoices/{user}"
    pairs = [
        (ours.get("/no/such", headers=same), await asgi_service.get("/no/such", headers=same)),
        (ours.delete(account, headers=same | auth), await asgi_service.delete("/thing", headers=same)),
        (ours.get(account, headers=same | auth), await asgi_service.get("/thing", headers=same)),
        (
            ours.post(account, "x" * 65537, content_type="application/json", headers=same),
            await asgi_service.post("/thing", content="x" * 65537, headers=same | json_type),
        ),
        (
            ours.post(account, "[" * 33, content_type="application/json", headers=same),
            await asgi_service.post("/thing", content="[" * 33, headers=same | json_type),
        ),
    ]
    for mine, theirs in pairs:
        assert (mine.status_code, mine.content) == (theirs.status_code, theirs.content)
        assert mine.headers["Content-Type"] == theirs.headers["Content-Type"]
        for name in ("X-Content-Type-Options", "Referrer-Policy", "X-Frame-Options", "Cache-Control"):
            assert mine.headers[name] == theirs.headers[name]


def test_unknown_path(callers: Callers) -> None:
    problem(callers.client.get("/internal/v1/nothing"), 404, "not-found")


def test_wrong_method_says_what_is_allowed(callers: Callers) -> None:
    answer = callers.post(INVOICES)
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] == "GET, HEAD"
    asked = callers.client.options(INVOICES, headers={"Authorization": f"Bearer {SERVICE_TOKEN}"})
    problem(asked, 405, "method-not-allowed")


def test_an_unexpected_error_tells_nothing(callers: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("billing_api.billing_service.queries.read_invoice", lambda _: 1 / 0)
    body = problem(callers.get(f"/internal/v1/invoices/{UUID(int=1)}"), 500, "internal-error")
    assert "division" not in json.dumps(body)


def test_a_broken_invariant_keeps_its_words_for_the_log(
    callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: UUID) -> None:
        raise broken_invariant("ledger-not-zero", "17 kopecks are missing")

    monkeypatch.setattr("billing_api.billing_service.queries.read_invoice", broken)
    body = problem(callers.get(f"/internal/v1/invoices/{UUID(int=1)}"), 500, "ledger-not-zero")
    assert "kopecks" not in json.dumps(body)


def test_a_database_that_does_not_answer_is_a_503(callers: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def refuses(_: UUID) -> None:
        raise OperationalError("canceling statement due to lock timeout")

    monkeypatch.setattr("billing_api.billing_service.queries.read_invoice", refuses)
    answer = callers.get(f"/internal/v1/invoices/{UUID(int=1)}")
    problem(answer, 503, "database-busy")
    assert answer.headers["Retry-After"] == "1"


def test_bad_query_names_fields_and_repeats_no_value(callers: Callers) -> None:
    query = "user_id=4111111111111111&status=4111111111111111&limit=0"
    body = problem(callers.get(f"{INVOICES}?{query}"), 422, "invalid-request")
    assert {item["field"] for item in body["errors"]} == {"query.user_id", "query.status", "query.limit"}
    assert "4111" not in json.dumps(body)


@pytest.mark.parametrize("length", ["-1", "ten", "1e3", "٣"])
def test_content_length_that_is_no_number(callers: Callers, length: str) -> None:
    answer = callers.client.post(INVOICES, CONTENT_LENGTH=length, content_type="text/plain")
    problem(answer, 400, "malformed-request")


def test_depth_counts_brackets_outside_strings_only() -> None:
    from billing_api.api.edge import depth

    assert depth(b'{"a": "[[[[", "b": ["\\"[", [1]]}') == 3
    assert depth(b"[" * 33) == 33


def test_a_forged_correlation_id_is_replaced(callers: Callers) -> None:
    answer = callers.client.get("/nope", headers={"X-Correlation-ID": "a b\tforged"})
    assert answer.headers["X-Correlation-ID"] != "a b\tforged"
    kept = callers.client.get("/nope", headers={"X-Correlation-ID": "kept-1"})
    assert kept.headers["X-Correlation-ID"] == "kept-1"
