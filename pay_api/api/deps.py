"""What the routes are given: the context, who is calling, and runs under an Idempotency-Key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Request, Response

from pay_api.api.card_keys import CardKeys
from pay_api.links import Links, Purpose
from pay_api.pay_service.context import Context
from pay_api.watch import Watch
from shared import idempotency
from shared.auth import EndUserVerifier, Service, ServiceVerifier, bearer
from shared.errors import not_found, unauthenticated
from shared.idempotent_route import PoolKeys, Work
from shared.idempotent_route import run_keyed as run_under_key


@dataclass(frozen=True, slots=True)
class Edge:
    """The parts of this process the routes work with."""

    ctx: Context
    links: Links
    watch: Watch
    card_keys: CardKeys
    services: ServiceVerifier
    end_users: EndUserVerifier


# The dependencies are asynchronous though they wait for nothing: a plain function is sent to a thread.
async def edge_of(request: Request) -> Edge:
    edge: Edge = request.app.state.edge
    return edge


EdgeDep = Annotated[Edge, Depends(edge_of)]


async def calling_service(
    edge: EdgeDep, authorization: Annotated[str | None, Header(include_in_schema=False)] = None
) -> Service:
    """The calling service; raises 401."""
    return edge.services.verify(authorization)


ServiceDep = Annotated[Service, Depends(calling_service)]
KeyHeader = Annotated[str | None, Header(alias=idempotency.HEADER, description="Required; at most 255 ASCII")]


async def run_keyed(
    request: Request,
    edge: Edge,
    caller: Service,
    key: str | None,
    body: Mapping[str, Any],
    work: Callable[[], Awaitable[tuple[int, Any]]],
) -> Response:
    """Runs the work once per key of this caller and route; see ``shared.idempotency``."""

    async def run(_row_id: UUID) -> tuple[int, Any]:
        return await work()

    return await run_keeping(request, edge, caller, key, body, run)


async def run_keeping(
    request: Request, edge: Edge, caller: Service, key: str | None, body: Mapping[str, Any], work: Work
) -> Response:
    """The same for work that may store its answer in the transaction of its effect."""
    scope = idempotency.Scope(
        caller=caller.name,
        method=request.method,
        path_template=request.scope["route"].path,
        key=idempotency.require_key(key),
        request_hash=idempotency.hash_request(body, request.path_params),
    )
    return await run_under_key(PoolKeys(edge.ctx.pool, edge.ctx.clock), scope, work)


async def require_payer(
    edge: Edge, payment_id: UUID, owner_id: UUID | None, purpose: Purpose, request: Request
) -> None:
    """Lets in the owner's access token or a link signed for this payment and purpose.

    A payment that does not exist and one of somebody else look alike.
    """
    token = request.query_params.get("token")
    if token is not None:
        if not edge.links.allows(token, payment_id, purpose) or owner_id is None:
            raise unauthenticated("link-invalid", "This link is not valid, or not any more.")
        return
    credential = bearer(request.headers.get("authorization"))
    user = await asyncio.to_thread(edge.end_users.verify, credential)  # it may fetch keys
    if owner_id is None or user.user_id != owner_id:
        raise not_found("payment")
