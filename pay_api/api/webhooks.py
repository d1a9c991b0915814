"""Route of the providers' notifications: verify, store, answer, apply."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse

from pay_api.api.deps import EdgeDep
from pay_api.pay_service.apply_provider_event import (
    WEBHOOKS,
    answer_check,
    apply_stored_event,
    store_event,
)
from pay_api.providers.base import EventKind, NotificationMalformed, SignatureInvalid
from shared import logs
from shared.asgi import problem_responses
from shared.errors import AppError, Kind, not_found, unauthenticated
from shared.failpoints import failpoint

router = APIRouter(tags=["webhooks"])
log = logs.logger(__name__)


@router.post(
    "/v1/webhooks/{provider}/{kind}",
    responses={
        200: {"content": {"application/json": {"schema": {"type": "object"}}}},
        **problem_responses(401, 404),
    },
)
async def receive(
    request: Request,
    provider: Annotated[str, Path(max_length=40)],
    kind: Annotated[str, Path(max_length=40)],
    edge: EdgeDep,
) -> JSONResponse:
    """Answered when stored: what cannot be applied yet is tried again by us, not by the provider."""
    connector = edge.ctx.providers.get(provider)
    if connector is None:
        raise not_found("provider")
    body = await request.body()
    try:
        event = connector.read_notification(kind, dict(request.headers), body)
    except SignatureInvalid as error:
        WEBHOOKS.labels(provider, "any", "forged").inc()
        log.warning("webhook-forged", provider=provider, digest=hashlib.sha256(body).hexdigest()[:16])
        raise unauthenticated(
            "signature-invalid", "The notification is not signed as it should be."
        ) from error
    except NotificationMalformed as error:
        WEBHOOKS.labels(provider, "any", "malformed").inc()
        raise AppError("notification-malformed", Kind.MALFORMED, str(error)) from error
    if event.kind is EventKind.CHECK:
        return _answer(connector.answer_check(await answer_check(edge.ctx, provider, event)))
    stored = await store_event(edge.ctx, provider, event)
    if stored is not None:
        failpoint("pay.webhook.after_inbox_before_apply")
        try:
            await apply_stored_event(edge.ctx, stored)
            failpoint("pay.webhook.after_apply_before_reply")
        except Exception as error:  # it is stored: the worker applies it, the provider need not repeat it
            log.error("webhook-not-applied", webhook_id=str(stored), exc_info=error)
    return _answer(connector.answer_received())


def _answer(body: Any) -> JSONResponse:
    return JSONResponse(dict(body))
