"""Access checks for other services."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import select

from shared.asgi import problem_responses
from user_api.api.access_rights import AccessRightList, check_resource, rights_list
from user_api.api.deps import AppResources, CallerService, RequestBody
from user_api.user_service.commerce_models import UserProduct

router = APIRouter(prefix="/internal/v1", tags=["internal"], responses=problem_responses(401))


class AccessCheckBody(RequestBody):
    user_id: UUID
    resource: Annotated[str, Field(max_length=100)]


class AccessChecksBody(RequestBody):
    checks: Annotated[list[AccessCheckBody], Field(min_length=1, max_length=100)]


class AccessCheckView(BaseModel):
    user_id: UUID
    resource: str
    granted: bool
    until: datetime | None


class AccessCheckList(BaseModel):
    items: list[AccessCheckView]


@router.post("/access-checks")
async def post_access_checks(
    body: AccessChecksBody, resources: AppResources, _: CallerService
) -> AccessCheckList:
    """Up to 100 checks in the order they were asked; one round trip to the cache."""
    for check in body.checks:
        check_resource(check.resource)
    held = await resources.rights.read(list(dict.fromkeys(check.user_id for check in body.checks)))
    items = []
    for check in body.checks:
        decision = resources.rights.decide(held[check.user_id], check.resource)
        view = AccessCheckView(
            user_id=check.user_id,
            resource=check.resource,
            granted=decision.granted,
            until=decision.until,
        )
        items.append(view)
    return AccessCheckList(items=items)


class StoredRightsList(AccessRightList):
    """``removed``: purchases whose owner removed them, so that they give nothing; ``at``: when read (UTC)."""

    removed: list[UUID]
    at: datetime


@router.get("/access-rights")
async def get_access_rights(user_id: UUID, resources: AppResources, _: CallerService) -> StoredRightsList:
    """A user's rights that hold now; empty for a user nobody knows."""
    async with resources.sessions() as session:
        gone = select(UserProduct.id).where(
            UserProduct.user_id == user_id, UserProduct.removed_at.is_not(None)
        )
        removed = list(await session.scalars(gone))
    held, now = await resources.rights.read_one(user_id), resources.clock.now()
    return StoredRightsList(items=rights_list(held, now).items, removed=removed, at=now)
