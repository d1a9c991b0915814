"""What staff does to accounts: block, unblock, end sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from sqlalchemy import select

from shared.asgi import problem_responses
from shared.auth import Service
from shared.errors import forbidden, not_found
from shared.idempotent_route import run_once
from user_api.api.account_schemas import ErasureView
from user_api.api.deps import AppResources, CallerService, IdempotencyKey, Line, RequestBody, key_scope
from user_api.resources import Resources
from user_api.user_service.block_user import Order, block_user, sign_out_user, unblock_user
from user_api.user_service.models import Erasure, User

router = APIRouter(
    prefix="/internal/v1/users", tags=["internal"], responses=problem_responses(401, 403, 404, 409)
)
_ALLOWED = {"admin-panel", "operator"}


class ReasonBody(RequestBody):
    reason: Line


class AccountView(BaseModel):
    """An account without contacts."""

    id: UUID
    status: str
    token_epoch: int


async def _act(
    request: Request,
    resources: Resources,
    caller: Service,
    key: str,
    user_id: UUID,
    body: ReasonBody,
    command: Callable[[Order], Awaitable[User]],
) -> Response:
    if caller.name not in _ALLOWED:
        raise forbidden()

    async def work(_: UUID) -> tuple[int, Any]:
        user = await command(Order(user_id, caller.name, body.reason))
        return 200, {"user": AccountView(id=user.id, status=user.status, token_epoch=user.token_epoch)}

    scope = key_scope(request, caller.name, key, body)
    return await run_once(resources.sessions, resources.clock, scope, work)


@router.get("/{user_id}/erasure")
async def get_erasure(user_id: UUID, resources: AppResources, caller: CallerService) -> ErasureView:
    """The act of a user's erasure, for whoever has to prove it (it holds no contacts)."""
    if caller.name not in _ALLOWED:
        raise forbidden()
    async with resources.sessions() as session:
        act = await session.scalar(select(Erasure).where(Erasure.user_id == user_id))
    if act is None:
        raise not_found("erasure")
    return ErasureView.model_validate(act, from_attributes=True)


@router.post("/{user_id}/block", response_model=dict[str, AccountView])
async def block(
    request: Request,
    user_id: UUID,
    body: ReasonBody,
    resources: AppResources,
    caller: CallerService,
    key: IdempotencyKey,
) -> Response:
    """Blocks an account and ends its sessions."""

    async def command(order: Order) -> User:
        return await block_user(resources.sessions, resources.session_store, order, resources.clock.now())

    return await _act(request, resources, caller, key, user_id, body, command)


@router.post("/{user_id}/unblock", response_model=dict[str, AccountView])
async def unblock(
    request: Request,
    user_id: UUID,
    body: ReasonBody,
    resources: AppResources,
    caller: CallerService,
    key: IdempotencyKey,
) -> Response:
    """Lets the user sign in again."""

    async def command(order: Order) -> User:
        return await unblock_user(resources.sessions, order, resources.clock.now())

    return await _act(request, resources, caller, key, user_id, body, command)


@router.post("/{user_id}/end-sessions", response_model=dict[str, AccountView])
async def end_sessions(
    request: Request,
    user_id: UUID,
    body: ReasonBody,
    resources: AppResources,
    caller: CallerService,
    key: IdempotencyKey,
) -> Response:
    """Signs the user out everywhere."""

    async def command(order: Order) -> User:
        return await sign_out_user(resources.sessions, resources.session_store, order, resources.clock.now())

    return await _act(request, resources, caller, key, user_id, body, command)
