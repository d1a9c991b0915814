"""The signed-in user's profile, contacts and password."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header

from shared.asgi import problem_responses
from shared.errors import forbidden, invalid, not_found
from user_api.api.account_schemas import (
    ChangePasswordBody,
    SignedInView,
    UpdateProfileBody,
    UserView,
)
from user_api.api.auth import open_for
from user_api.api.deps import AppResources, ClientAddress, CurrentUser
from user_api.api.presence import prove_password
from user_api.user_service import repository
from user_api.user_service.change_password import change_password
from user_api.user_service.update_profile import update_profile

router = APIRouter(prefix="/v1/me", tags=["me"], responses=problem_responses(401))
_CLEARABLE = {"full_name", "phone"}


@router.get("")
async def get_me(resources: AppResources, user: CurrentUser) -> UserView:
    """Profile and contacts."""
    async with resources.sessions() as session:
        found = await repository.find_user(session, user.user_id)
    if found is None:
        raise not_found("user")
    return UserView.of(found)


@router.patch("", responses=problem_responses(403, 409, 429))
async def patch_me(
    body: UpdateProfileBody, resources: AppResources, user: CurrentUser, address: ClientAddress
) -> UserView:
    """Changes the fields that are given; a new e-mail needs ``current_password``."""
    changes = body.model_dump(exclude_unset=True, exclude={"current_password"})
    emptied = [name for name, value in changes.items() if value is None and name not in _CLEARABLE]
    if emptied:
        raise invalid("invalid-request", f"{', '.join(sorted(emptied))} cannot be empty.")
    if "email" in changes:
        if body.current_password is None:
            raise forbidden("password-required", "A new e-mail needs the current password.")
        await prove_password(resources, user.user_id, body.current_password, address)
    changed = await update_profile(resources.sessions, user.user_id, changes, resources.clock.now())
    return UserView.of(changed)


@router.put("/password", responses=problem_responses(403, 409, 429))
async def put_password(
    body: ChangePasswordBody,
    resources: AppResources,
    user: CurrentUser,
    address: ClientAddress,
    user_agent: Annotated[str, Header(include_in_schema=False)] = "",
) -> SignedInView:
    """Changes the password: every session ends, and the answer opens a new one."""
    changed = await change_password(
        resources.sessions,
        resources.session_store,
        resources.passwords,
        user_id=user.user_id,
        current_password=body.current_password.get_secret_value(),
        new_password=body.new_password.get_secret_value(),
        address=address,
        now=resources.clock.now(),
    )
    return SignedInView.of_user(changed, await open_for(resources, changed, user_agent))
