"""One effect per Idempotency-Key: replay, another body, a run in flight, resumed runs, refusals."""

from __future__ import annotations

import json
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from shared.errors import AppError, conflict, invalid, unavailable
from shared.ids import new_id
from tests.billing_api.api.conftest import NOW, OPERATOR_TOKEN, Callers, minutes
from tests.billing_api.api.test_auth import routes
from tests.billing_api.api.test_problems import problem
from tests.servers import DatabaseUrls

PATH = "/internal/v1/things"


class Effect:
    """A write (a row of token_state) whose course a test decides."""

    def __init__(self) -> None:
        self.raises: BaseException | None = None
        self.entered = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self) -> tuple[int, Any]:
        from billing_api.billing_service.models import TokenState

        row = TokenState.objects.create(user_id=new_id(), sequence=1, token_epoch=1, updated_at=NOW)
        self.entered.set()
        assert self.may_go_on.wait(10)
        if self.raises is not None:
            raise self.raises
        return 201, {"id": row.user_id, "at": row.updated_at}

    @property
    def count(self) -> int:
        from billing_api.billing_service.models import TokenState

        return TokenState.objects.count()


@pytest.fixture
def effect(billing: DatabaseUrls, callers: Callers) -> Iterator[Effect]:
    """Routes of a project with one write."""
    from django.test import override_settings
    from django.urls import path

    from billing_api.api.internal import InternalView
    from billing_api.api.once import run_once
    from billing_api.config import urls

    made = Effect()

    class Things(InternalView):
        def post(self, request: Any, thing_id: UUID | None = None) -> Any:
            return run_once(request, made)

    module = types.ModuleType("urls_of_test_once")
    module.urlpatterns = [
        path("internal/v1/things", Things.as_view()),
        path("internal/v1/things/<uuid:thing_id>", Things.as_view()),
    ]
    module.handler500 = urls.handler500
    sys.modules[module.__name__] = module
    with override_settings(ROOT_URLCONF=module.__name__):
        yield made


def test_the_same_request_is_answered_from_memory(effect: Effect, callers: Callers) -> None:
    first = callers.post(PATH, {"a": 1, "b": [2]}, key="k")
    again = callers.post(PATH, '{"b": [2],   "a": 1}', key="k")
    assert (first.status_code, again.status_code) == (201, 201)
    assert json.loads(first.content) == json.loads(again.content)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert effect.count == 1


def test_another_body_or_another_thing_is_refused(effect: Effect, callers: Callers) -> None:
    assert callers.post(PATH, {"a": 1}, key="k").status_code == 201
    problem(callers.post(PATH, {"a": 2}, key="k"), 422, "idempotency-key-reused")
    one, other = (f"{PATH}/{UUID(int=n)}" for n in (1, 2))
    assert callers.post(one, {"a": 1}, key="k").status_code == 201  # another template: a key of its own
    problem(callers.post(other, {"a": 1}, key="k"), 422, "idempotency-key-reused")
    assert effect.count == 2


def test_a_key_is_needed(effect: Effect, callers: Callers) -> None:
    problem(callers.post(PATH, {}, key=None), 400, "idempotency-key-missing")
    problem(callers.post(PATH, {}, key=" "), 400, "idempotency-key-missing")
    problem(callers.post(PATH, {}, key="ключ"), 400, "idempotency-key-invalid")
    problem(callers.post(PATH, {}, key="k" * 256), 400, "idempotency-key-invalid")
    assert effect.count == 0


def test_a_body_that_is_no_object(effect: Effect, callers: Callers) -> None:
    problem(callers.post(PATH, [1]), 422, "invalid-request")
    problem(callers.post(PATH, "{"), 400, "malformed-request")
    problem(callers.post(PATH, '{"a": NaN}'), 400, "malformed-request")
    problem(callers.post(PATH, b'{"a": "\xff"}'), 400, "malformed-request")
    assert effect.count == 0


def test_a_run_in_flight_is_told_and_then_replayed(effect: Effect, callers: Callers) -> None:
    effect.may_go_on.clear()
    answers: list[Any] = []

    def first() -> None:
        from django.db import connections

        answers.append(callers.post(PATH, {}, key="k"))
        connections["billing"].close()

    thread = threading.Thread(target=first)
    thread.start()
    assert effect.entered.wait(10)
    refused = callers.post(PATH, {}, key="k")
    problem(refused, 409, "request-in-progress")
    assert refused.headers["Retry-After"] == "1"
    effect.may_go_on.set()
    thread.join(10)
    assert answers[0].status_code == 201
    assert callers.post(PATH, {}, key="k").headers["Idempotent-Replayed"] == "true"
    assert effect.count == 1


def test_a_run_that_outlives_its_lease_has_no_second_effect(effect: Effect, callers: Callers) -> None:
    effect.may_go_on.clear()
    answers: list[Any] = []

    def run() -> None:
        from django.db import connections

        answers.append(callers.post(PATH, {}, key="k"))
        connections["billing"].close()

    threads = [threading.Thread(target=run)]
    threads[0].start()
    assert effect.entered.wait(10)
    callers.clock.advance(minutes(1))  # the lease of 30 s is over while the first still works
    threads.append(threading.Thread(target=run))
    threads[1].start()
    effect.may_go_on.set()
    for thread in threads:
        thread.join(10)
    assert sorted(answer.status_code for answer in answers) in ([201, 201], [201, 409])
    assert effect.count == 1


@pytest.mark.parametrize("refusal", [invalid("promo-code-expired", "It is over."), invalid("x", amount=5)])
def test_a_final_refusal_undoes_the_effect_and_is_replayed(
    effect: Effect, callers: Callers, refusal: AppError
) -> None:
    effect.raises = refusal
    first = problem(callers.post(PATH, {}, key="k"), 422, refusal.code)
    effect.raises = None
    again = callers.post(PATH, {}, key="k")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Content-Type"] == "application/problem+json"
    assert json.loads(again.content) == first
    assert effect.count == 0


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (unavailable("catalog-catching-up", "Soon."), 503),
        (conflict("subscription-exists", subscription_id=UUID(int=3)), 409),
        (RuntimeError("a bug"), 500),
    ],
)
def test_a_refusal_for_now_leaves_the_key_to_resume(
    effect: Effect, callers: Callers, refusal: Exception, status: int
) -> None:
    effect.raises = refusal
    assert callers.post(PATH, {}, key="k").status_code == status
    assert effect.count == 0
    effect.raises = None
    assert callers.post(PATH, {}, key="k").status_code == 201
    assert effect.count == 1


def test_a_503_says_when_to_come_again(effect: Effect, callers: Callers) -> None:
    effect.raises = unavailable("catalog-catching-up", "Soon.", retry_after_seconds=1)
    assert callers.post(PATH, {}).headers["Retry-After"] == "1"


def test_keys_of_two_callers_do_not_meet(
    effect: Effect, callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pydantic import SecretStr

    from billing_api.config import wiring
    from shared.auth import ServiceVerifier

    two = ServiceVerifier({"user-api": [SecretStr("one")], "operator": [SecretStr("two")]})
    monkeypatch.setattr(wiring, "services", lambda: two)
    assert callers.post(PATH, {"a": 1}, key="k", token="one").status_code == 201
    assert callers.post(PATH, {"a": 2}, key="k", token="two").status_code == 201
    assert effect.count == 2


def test_no_write_takes_a_field_it_does_not_know(callers: Callers, billing: DatabaseUrls) -> None:
    """Half a surrogate pair is JSON too, and no text an answer could repeat."""
    writes = [path for method, path in routes() if method == "post"]
    assert len(writes) > 15
    for path in writes:
        refused = callers.post(path, '{"nobody_reads": 1, "\\ud800": 1}', token=OPERATOR_TOKEN)
        fields = {one["field"] for one in problem(refused, 422, "invalid-request")["errors"]}
        assert {"body.nobody_reads", "body.?"} <= fields, path
