"""Runs a write once per Idempotency-Key and stores its answer in the transaction of the effect."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.db import connections, transaction
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.utils.encoders import JSONEncoder

from billing_api.api.edge import route_of
from billing_api.api.permissions import caller_name
from billing_api.billing_service.database import rerun
from billing_api.config import wiring
from shared import correlation, idempotency, problem
from shared.errors import AppError, conflict, invalid

DATABASE: Final = "billing"
# Not a lock of the row: another request with the key must read it at once to be told 'in progress'.
_TURN_SQL: Final = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
_ANSWERED_SQL: Final = "SELECT response_status IS NOT NULL FROM idempotency_key WHERE id = %s"

Work = Callable[[], tuple[int, Any]]


def run_once(request: Request, work: Work) -> HttpResponse:
    """Claims the request's key, runs ``work`` (status and JSON body), or replays the stored answer.

    The effect and its answer are committed together. A refusal (AppError) undoes the effect; when it is
    final (see ``idempotency.storable``) it is stored and replayed too, else the key is free to resume.
    """
    scope = _scope(request)
    claim = rerun(partial(_claim, scope))
    if isinstance(claim, idempotency.Replay):
        return _answer(claim.status, claim.body, replayed=True)
    try:
        status, body = rerun(partial(_effect, claim.row_id, work))
    except AppError as error:
        return _refused(claim.row_id, error)
    except BaseException:
        _release(claim.row_id)
        raise
    return _answer(status, body)


def run_in_steps(request: Request, work: Work) -> HttpResponse:
    """The same for a write that commits step by step and finds by itself what is still to be done.

    Killed in its middle, or outliving its lease, it is resumed by the next request with the key, which does
    nothing twice. The answer is stored when the last step is committed.
    """
    claim = rerun(partial(_claim, _scope(request)))
    if isinstance(claim, idempotency.Replay):
        return _answer(claim.status, claim.body, replayed=True)
    try:
        status, body = work()
        body = json.loads(json.dumps(body, cls=JSONEncoder))
        rerun(partial(_store, claim.row_id, status, body))
    except AppError as error:
        return _refused(claim.row_id, error)
    except BaseException:
        _release(claim.row_id)
        raise
    return _answer(status, body)


def _store(row_id: UUID, status: int, body: Any) -> None:
    with transaction.atomic(using=DATABASE):
        idempotency.complete_sync(_cursor(), row_id, status, body, wiring.clock().now())


def _claim(scope: idempotency.Scope) -> idempotency.Claimed | idempotency.Replay:
    with transaction.atomic(using=DATABASE):
        return idempotency.claim_sync(_cursor(), scope, wiring.clock().now())


def _effect(row_id: UUID, work: Work) -> tuple[int, Any]:
    with transaction.atomic(using=DATABASE):
        _hold(row_id)
        status, body = work()
        body = json.loads(json.dumps(body, cls=JSONEncoder))
        idempotency.complete_sync(_cursor(), row_id, status, body, wiring.clock().now())
        return status, body


def _scope(request: Request) -> idempotency.Scope:
    key = idempotency.require_key(request.headers.get(idempotency.HEADER))
    match = request.resolver_match
    hashed = idempotency.hash_request(_json_object(request), match.kwargs if match else None)
    return idempotency.Scope(
        caller_name(request), request.method or "", route_of(request._request), key, hashed
    )


def _json_object(request: Request) -> dict[str, Any]:
    if not isinstance(request.data, dict):
        raise invalid("invalid-request", "The body has to be a JSON object.")
    return request.data


def _cursor() -> Any:
    return connections[DATABASE].cursor()


def _hold(row_id: UUID) -> None:
    """A run that outlived its lease has no second effect: the later one waits here and is refused."""
    cursor = _cursor()
    cursor.execute(_TURN_SQL, [str(row_id)])
    cursor.execute(_ANSWERED_SQL, [str(row_id)])
    if cursor.fetchone()[0]:
        refusal = conflict("request-in-progress", "The first request with this key has just been answered.")
        refusal.retry_after_seconds = 1
        raise refusal


def _refused(row_id: UUID, error: AppError) -> HttpResponse:
    status, body, headers = problem.of_error(error, correlation.current())
    body = json.loads(json.dumps(body, cls=JSONEncoder))
    if idempotency.storable(status):
        rerun(partial(_store, row_id, status, body))
    else:
        _release(row_id)
    return _answer(status, body, headers=headers)


def _release(row_id: UUID) -> None:
    with transaction.atomic(using=DATABASE):
        idempotency.release_sync(_cursor(), row_id)


def _answer(
    status: int, body: Any, *, replayed: bool = False, headers: dict[str, str] | None = None
) -> HttpResponse:
    kept = {name: value for name, value in (headers or {}).items() if name != "Content-Type"}
    if replayed:
        kept[idempotency.REPLAYED_HEADER] = "true"
    media_type = problem.CONTENT_TYPE if status >= 400 else "application/json"
    text = json.dumps(body, ensure_ascii=False)
    return HttpResponse(text, status=status, headers=kept, content_type=media_type)
