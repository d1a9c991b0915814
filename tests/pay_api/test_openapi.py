"""PayAPI against its own OpenAPI: generated requests, good and bad; examples that are what they claim."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import uuid4

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from pay_api.api import schemas
from tests.documented_answers import AS_DOCUMENTED, BOTH, NOTHING_CAN_BE_WRONG, ROUNDS
from tests.pay_api.conftest import TOKEN, House

CHECKS = [not_a_server_error, *AS_DOCUMENTED]


@pytest.fixture(scope="session")
def pay_schema(house: House) -> Any:
    return schemathesis.openapi.from_url(f"{house.pay_url}/openapi.json", wait_for_schema=10)


def attack(schema: Any, rounds: int, modes: list[GenerationMode]) -> list[str]:
    """Sends ``rounds`` generated requests per operation and mode; gives what was not as documented."""
    failures: list[str] = []
    answered: Counter[tuple[str, int]] = Counter()
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in modes:

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
                headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": str(uuid4())}
                answer = case.call_and_validate(checks=CHECKS, headers=headers, timeout=20)
                answered[case.operation.label, answer.status_code] += 1

            try:
                send()
            except NOTHING_CAN_BE_WRONG:
                continue
            except (AssertionError, BaseExceptionGroup) as error:
                failures.append(f"{operation.label}: {error!r} {getattr(error, 'exceptions', '')}"[:1500])
    # It truly reached every operation, and got past the reading of bodies.
    asked = {label for label, _ in answered}
    assert asked == {found.ok().label for found in schema.get_all_operations()}
    assert {200, 404, 422} <= {status for _, status in answered}, answered
    return failures


def test_answers_as_documented(pay_schema: Any) -> None:
    assert attack(pay_schema, 4, BOTH) == []


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_answers_as_documented_for_long(pay_schema: Any) -> None:
    assert attack(pay_schema, 100 * ROUNDS, BOTH) == []


def test_every_body_has_an_example_it_accepts(house: House) -> None:
    document = requests.get(f"{house.pay_url}/openapi.json", timeout=10).json()
    bodies = {
        reference.rpartition("/")[2]
        for operations in document["paths"].values()
        for operation in operations.values()
        for media in operation.get("requestBody", {}).get("content", {}).values()
        if (reference := media["schema"].get("$ref", ""))
    }
    json_bodies = {name for name in bodies if not name.startswith("Body_")}
    assert len(json_bodies) >= 7
    for name in json_bodies:
        examples = document["components"]["schemas"][name]["examples"]
        for example in examples:
            getattr(schemas, name).model_validate(example)
    for example in document["components"]["schemas"]["PaymentView"]["examples"]:
        schemas.PaymentView.model_validate(
            {"next_action": None, "decline": None, "review_reason": None, **example}
        )  # nulls are not shown
