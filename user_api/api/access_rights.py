"""What the signed-in user may watch."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path
from pydantic import BaseModel

from shared.asgi import problem_responses
from shared.auth import bearer
from shared.errors import invalid, unauthenticated
from user_api.api.deps import AppResources
from user_api.rights_cache import UserRights, holds
from user_api.user_service.access import RESOURCE

router = APIRouter(prefix="/v1/me/access-rights", tags=["access rights"], responses=problem_responses(401))


class AccessView(BaseModel):
    """``until`` null with ``granted``: without an end (UTC)."""

    resource: str
    granted: bool
    until: datetime | None


class AccessRightView(BaseModel):
    resource: str
    until: datetime | None
    source: str


class AccessRightList(BaseModel):
    items: list[AccessRightView]
    next_cursor: str | None = None


def check_resource(resource: str) -> str:
    """Raises ``resource-invalid`` (422) for anything but movie:<id>, collection:<slug>, feature:<slug>."""
    if not RESOURCE.fullmatch(resource):
        raise invalid("resource-invalid", "A resource is movie:<id>, collection:<slug> or feature:<slug>.")
    return resource


def rights_list(held: UserRights, now: datetime) -> AccessRightList:
    """Rights that hold now, as granted: collections are not expanded into films."""
    live = [right for right in held.rights if right.until is None or now < right.until]
    items = [AccessRightView(resource=r.resource, until=r.until, source=r.source) for r in live]
    return AccessRightList(items=items)


async def get_own_rights(
    resources: AppResources, authorization: Annotated[str | None, Header(include_in_schema=False)] = None
) -> UserRights:
    """Verifies the token and its session, and gives the owner's rights: all from one read of the cache."""
    user = resources.end_users.verify(bearer(authorization))
    held = await resources.rights.read_one(user.user_id)
    if not holds(held, user):
        raise unauthenticated("session-ended", "This session has been ended. Sign in again.")
    return held


OwnRights = Annotated[UserRights, Depends(get_own_rights)]


@router.get("")
async def list_access_rights(resources: AppResources, held: OwnRights) -> AccessRightList:
    """Everything that is granted now."""
    return rights_list(held, resources.clock.now())


@router.get("/{resource}")
async def get_access_right(
    resource: Annotated[str, Path(max_length=100)], resources: AppResources, held: OwnRights
) -> AccessView:
    """Whether one resource is granted now: a film also through any collection that holds it.

    A plain yes or no is answered before it comes here, by ``user_api/access_route.py``.
    """
    decision = resources.rights.decide(held, check_resource(resource))
    return AccessView(resource=resource, granted=decision.granted, until=decision.until)
