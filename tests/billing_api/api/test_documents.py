"""The OpenAPI document is complete and comes without a warning; its page needs nothing from elsewhere."""

from __future__ import annotations

import json
import re

import pytest

from tests.billing_api.api.conftest import Callers
from tests.billing_api.api.test_auth import routes


def test_document_has_every_route_and_no_warning(
    callers: Callers, capsys: pytest.CaptureFixture[str]
) -> None:
    from drf_spectacular.drainage import GENERATOR_STATS

    GENERATOR_STATS.reset()
    answer = callers.client.get("/openapi.json")
    assert answer.headers["Content-Type"] == "application/json"
    said = capsys.readouterr()
    assert "Warning" not in said.err + said.out
    assert "Error" not in said.err
    assert not GENERATOR_STATS._warn_cache
    assert not GENERATOR_STATS._error_cache
    document = json.loads(answer.content)
    documented = {
        (method, re.sub(r"\{\w+\}", "-", path))
        for path, operations in document["paths"].items()
        for method in operations
    }
    wanted = {
        (method, re.sub(r"0{8}-[0-9a-f-]+|(?<=/)0$", "-", path))
        for method, path in routes()
        if method != "head"
    }
    assert documented == wanted


def test_every_operation_names_its_security_and_its_problems(callers: Callers) -> None:
    document = json.loads(callers.client.get("/openapi.json").content)
    for path, operations in document["paths"].items():
        scheme = "access_token" if path.startswith("/v1/me/") else "service_credential"
        for operation in operations.values():
            assert operation["security"] == [{scheme: []}], path
            assert "application/problem+json" in operation["responses"]["401"]["content"]


def test_page_loads_only_what_we_serve(callers: Callers) -> None:
    page = callers.client.get("/docs").content.decode()
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert assets
    for asset in assets:
        assert not asset.startswith(("http", "//", "/")), asset  # relative: it works behind a prefix too
        answer = callers.client.get(f"/{asset}")
        assert answer.status_code == 200
        answer.close()


def test_health(callers: Callers) -> None:
    assert json.loads(callers.client.get("/healthz").content) == {"status": "alive"}
    body = json.loads(callers.client.get("/readyz").content)
    assert body["ready"] is True
    assert body["checks"]["database"] == "ok"
    assert b"http_requests_total" in callers.client.get("/metrics").content
