"""Gives the signed-in user an access passport: what a player or a CDN can verify offline."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from shared.asgi import problem_responses
from user_api.api.access_rights import OwnRights, check_resource
from user_api.api.deps import AppResources, CurrentUser, RequestBody
from user_api.user_service.access_passport import FEATURE, issue_passport

router = APIRouter(
    prefix="/v1/me/access-passport", tags=["access rights"], responses=problem_responses(401, 422)
)


class PassportBody(RequestBody):
    """``resources`` names what is going to be played; without it all that is held goes in as granted."""

    resources: Annotated[
        list[Annotated[str, Field(max_length=100)]] | None, Field(min_length=1, max_length=100)
    ] = None


class PassportView(BaseModel):
    """``passport`` is the signed JWT; the rest repeats what is in it. ``expires_at`` is UTC."""

    passport: str
    expires_at: datetime
    resources: list[str]
    features: list[str]


@router.post("")
async def post_access_passport(
    body: PassportBody, resources: AppResources, user: CurrentUser, held: OwnRights
) -> PassportView:
    """Signs what is granted of the named resources, and every quality feature held.

    Resources that are not granted are left out. Nothing is written, so no ``Idempotency-Key`` is needed.
    """
    features = [right.resource for right in held.rights if right.resource.startswith(FEATURE)]
    wanted = body.resources
    names = [right.resource for right in held.rights] if wanted is None else wanted
    decisions = {name: resources.rights.decide(held, check_resource(name)) for name in (*names, *features)}
    now = resources.clock.now()
    passport = issue_passport(resources.access_tokens.signing_key, user.user_id, decisions, now)
    return PassportView(
        passport=passport.text,
        expires_at=passport.expires_at,
        resources=passport.resources,
        features=passport.features,
    )
