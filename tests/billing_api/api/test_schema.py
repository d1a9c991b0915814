"""BillingAPI against its own OpenAPI: generated requests, good and bad, and rows that are really there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from shared.ids import new_id
from tests.billing_api.api import rows
from tests.billing_api.api.conftest import SERVICE_TOKEN, Callers
from tests.documented_answers import AS_DOCUMENTED, NOTHING_CAN_BE_WRONG, ROUNDS

CHECKS = [not_a_server_error, *AS_DOCUMENTED]


@pytest.fixture
def schema(callers: Callers, billing: Any) -> Any:
    from django.core.wsgi import get_wsgi_application

    found = schemathesis.openapi.from_wsgi("/openapi.json", get_wsgi_application())
    found.raw_schema["servers"] = [{"url": "/"}]  # the document names its own place, for the gateway's prefix
    return found


def headers(callers: Callers, path: str) -> dict[str, str]:
    token = callers.token() if path.startswith("/v1/me/") else SERVICE_TOKEN
    return {"Authorization": f"Bearer {token}", "Idempotency-Key": str(new_id())}


def attack(schema: Any, callers: Callers, rounds: int) -> tuple[list[str], Counter[tuple[str, int]]]:
    """Sends ``rounds`` generated requests per operation and mode; gives what was not as documented."""
    failures: list[str] = []
    answered: Counter[tuple[str, int]] = Counter()
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @hypothesis_settings(
                max_examples=rounds,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                database=None,
                derandomize=True,
                phases=[Phase.explicit, Phase.generate],
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def send(case: Any) -> None:
                given_headers = headers(callers, case.operation.path)
                answer = case.call_and_validate(checks=CHECKS, headers=given_headers)
                answered[case.operation.label, answer.status_code] += 1

            try:
                send()
            except NOTHING_CAN_BE_WRONG:
                continue
            except (AssertionError, BaseExceptionGroup) as error:
                failures.append(f"{operation.label}: {error!r} {getattr(error, 'exceptions', '')}"[:1500])
    asked = {label for label, _ in answered} | {one.partition(":")[0] for one in failures}
    assert asked == {found.ok().label for found in schema.get_all_operations()}
    return failures, answered


def test_answers_as_documented(schema: Any, callers: Callers) -> None:
    failures, answered = attack(schema, callers, 4)
    assert failures == []
    assert {200, 201, 404, 422} <= {status for _, status in answered}, answered


@pytest.mark.long
def test_answers_as_documented_at_length(schema: Any, callers: Callers) -> None:
    assert attack(schema, callers, 100 * ROUNDS)[0] == []


def undocumented(value: Any, schema: dict[str, Any], document: dict[str, Any], path: str) -> Iterator[str]:
    """Where an answer has what its document does not name; objects of any form are left alone."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    parts = [one for one in schema.get("allOf", schema.get("oneOf", ())) if one.get("type") != "null"]
    if parts:
        yield from undocumented(value, parts[0], document, path)
    elif isinstance(value, list):
        for one in value:
            yield from undocumented(one, schema.get("items", {}), document, f"{path}[]")
    elif isinstance(value, dict) and (known := schema.get("properties")):
        yield from (f"{path}.{name}" for name in value if name not in known)
        for name in value.keys() & known.keys():
            yield from undocumented(value[name], known[name], document, f"{path}.{name}")


def test_rows_look_as_documented(schema: Any, callers: Callers) -> None:
    """Every read whose answer is a row, of rows that are there; and it names all of it."""
    of = rows.account(callers.user_id, 5000)
    invoice = rows.invoice(of)
    rows.payment(of, invoice)
    note = rows.credit_note(of, invoice)
    ids = {"invoice_id": invoice.id, "credit_note_id": note.id, "user_id": callers.user_id}
    shown = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        wanted = {parameter.name for parameter in operation.path_parameters}
        if operation.method != "get" or not wanted <= set(ids):
            continue
        case = operation.Case(path_parameters={name: str(UUID(str(ids[name]))) for name in wanted})
        answer = case.call_and_validate(checks=CHECKS, headers=headers(callers, operation.path))
        assert answer.status_code == 200, operation.label
        described = operation.definition.raw["responses"]["200"]["content"].get("application/json")
        if described is not None:
            told = undocumented(answer.json(), described["schema"], schema.raw_schema, operation.label)
            assert set(told) == set()
        shown += 1
    assert shown >= 14
