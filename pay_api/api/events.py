"""The payer's live view of a payment: a stream of server-sent events that ends with the payment."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event

from pay_api import repository
from pay_api.api.deps import Edge, EdgeDep, require_payer
from pay_api.api.schemas import json_of, public_view, view_payment
from pay_api.links import Purpose
from pay_api.pay_service.payment import FINAL
from pay_api.watch import wait
from shared.asgi import problem_responses
from shared.queue.messages.payments import PaymentStatus

router = APIRouter(tags=["browser"])

HEARTBEAT_SECONDS: Final = 10.0
LIFETIME_BEATS: Final = 90  # the browser then comes back by itself, with Last-Event-ID
_RETRY_MILLISECONDS: Final = 2000
_EVENT_ID: Final = re.compile(r"[0-9]{1,18}")


@router.get(
    "/v1/payments/{payment_id}/events",
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
        204: {"description": "The last event was the end: do not come back"},
        **problem_responses(401, 404),
    },
)
async def events(
    request: Request,
    payment_id: UUID,
    edge: EdgeDep,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
) -> Response:
    """Event ``payment``, data the payment as its payer may see it, id its version. Newest state first."""
    seen = _version_of(last_event_id)
    async with edge.ctx.sessions() as session:
        payment = await repository.payment(session, payment_id)
    await require_payer(edge, payment_id, payment.user_id if payment else None, Purpose.EVENTS, request)
    assert payment is not None
    if payment.version <= seen and PaymentStatus(payment.status) in FINAL:
        return Response(status_code=204)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(edge, payment_id, seen), media_type="text/event-stream", headers=headers)


def _version_of(event_id: str | None) -> int:
    """The version a browser saw last; what is no id of ours counts as nothing seen."""
    return int(event_id) if event_id and _EVENT_ID.fullmatch(event_id) else 0


async def _stream(edge: Edge, payment_id: UUID, seen: int) -> AsyncIterator[bytes]:
    yield format_sse_event(retry=_RETRY_MILLISECONDS, comment="payment events")
    with edge.watch.changes_of(str(payment_id)) as changed:
        for _ in range(LIFETIME_BEATS):
            while True:
                async with edge.ctx.sessions() as session:
                    payment = await repository.payment(session, payment_id)
                    refunds = await repository.refunds_of(session, payment_id)
                assert payment is not None
                if payment.version > seen:
                    seen = payment.version
                    body = json_of(public_view(view_payment(payment, refunds, edge.links)))
                    yield format_sse_event(
                        event="payment", id=str(seen), data_str=json.dumps(body, ensure_ascii=False)
                    )
                if PaymentStatus(payment.status) in FINAL or edge.watch.is_closing:
                    return
                if not await wait(changed, HEARTBEAT_SECONDS):
                    break
            yield format_sse_event(comment="heartbeat")
