"""Register, log in, refresh, log out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, status

from shared.asgi import problem_responses
from shared.errors import AppError
from user_api.api.account_schemas import (
    LogInBody,
    RefreshBody,
    RegisterBody,
    SignedInView,
    TokensView,
)
from user_api.api.deps import AppResources, ClientAddress
from user_api.resources import Resources
from user_api.user_service.log_in import log_in
from user_api.user_service.log_out import log_out
from user_api.user_service.models import User
from user_api.user_service.open_session import Tokens, open_session
from user_api.user_service.refresh_session import refresh_session
from user_api.user_service.register_user import Registration, register_user

router = APIRouter(prefix="/v1/auth", tags=["auth"])
UserAgent = Annotated[str, Header(include_in_schema=False)]


async def open_for(resources: Resources, user: User, user_agent: str) -> Tokens:
    """Tokens of a new session of a user who has just proved who they are."""
    return await open_session(
        resources.session_store,
        resources.access_tokens,
        resources.clock.now(),
        user_id=user.id,
        epoch=user.token_epoch,
        user_agent=user_agent,
    )


@router.post("/register", status_code=status.HTTP_201_CREATED, responses=problem_responses(409, 429))
async def register(
    body: RegisterBody, resources: AppResources, address: ClientAddress, user_agent: UserAgent = ""
) -> SignedInView:
    """A new account and its first session."""
    await resources.address_throttle.count("register", resources.settings.registrations_per_ip, address)
    registration = Registration(
        email=body.email,
        password=body.password.get_secret_value(),
        full_name=body.full_name,
        phone=body.phone,
        locale=body.locale,
        time_zone=body.time_zone,
    )
    user = await register_user(resources.sessions, resources.passwords, registration, resources.clock.now())
    return SignedInView.of_user(user, await open_for(resources, user, user_agent))


@router.post("/login", responses=problem_responses(401, 403, 429))
async def login(
    body: LogInBody, resources: AppResources, address: ClientAddress, user_agent: UserAgent = ""
) -> SignedInView:
    """A new session. An unknown e-mail and a wrong password get the same answer."""
    limit = resources.settings.login_failures_per_ip
    await resources.address_throttle.check("login", limit, address)
    try:
        user = await log_in(
            resources.sessions,
            resources.passwords,
            email=body.email,
            password=body.password.get_secret_value(),
            address=address,
            now=resources.clock.now(),
        )
    except AppError as refusal:
        if refusal.code == "credentials-invalid":
            await resources.address_throttle.count("login", limit, address)
        raise
    return SignedInView.of_user(user, await open_for(resources, user, user_agent))


@router.post("/refresh", responses=problem_responses(401, 409))
async def refresh(body: RefreshBody, resources: AppResources) -> TokensView:
    """The next tokens of a session; the given refresh token is worth nothing afterwards."""
    tokens = await refresh_session(
        resources.sessions,
        resources.session_store,
        resources.access_tokens,
        body.refresh_token.get_secret_value(),
        resources.clock.now(),
    )
    return TokensView.of(tokens)


@router.post("/logout", status_code=status.HTTP_204_NO_CONTENT, responses=problem_responses(401))
async def logout(body: RefreshBody, resources: AppResources) -> None:
    """Ends the session of a refresh token."""
    await log_out(
        resources.sessions,
        resources.session_store,
        body.refresh_token.get_secret_value(),
        resources.clock.now(),
    )
