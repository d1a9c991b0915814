"""A forgotten password and an unconfirmed e-mail: asking for a link, and using it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response, status

from shared.asgi import problem_responses
from shared.idempotent_route import run_once
from user_api.api.account_schemas import CompleteResetBody, LinkBody, PasswordResetBody
from user_api.api.deps import AppResources, ClientAddress, CurrentUser, IdempotencyKey, key_scope
from user_api.user_service.confirm_email import confirm_email, request_email_confirmation
from user_api.user_service.request_password_reset import request_password_reset
from user_api.user_service.reset_password import reset_password

router = APIRouter(tags=["auth"])
# A known e-mail costs a few statements more than an unknown one: the answer waits for the same moment.
ANSWERED_AFTER_SECONDS: Final = 0.25


@asynccontextmanager
async def _not_before(seconds: float) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    due = loop.time() + seconds
    try:
        yield
    finally:
        await asyncio.sleep(max(0.0, due - loop.time()))


@router.post(
    "/v1/auth/password-resets", status_code=status.HTTP_202_ACCEPTED, responses=problem_responses(429)
)
async def post_password_reset(
    body: PasswordResetBody, resources: AppResources, address: ClientAddress
) -> dict[str, Any]:
    """Has a link sent, if there is such an account: the answer is the same either way."""
    await resources.address_throttle.count("password-reset", resources.settings.resets_per_ip, address)
    async with _not_before(ANSWERED_AFTER_SECONDS):
        await request_password_reset(resources.sessions, body.email, resources.clock.now())
    return {}


@router.post("/v1/auth/password-resets/complete", status_code=status.HTTP_204_NO_CONTENT)
async def post_password_reset_complete(body: CompleteResetBody, resources: AppResources) -> None:
    """A new password by the key of a link; every session ends. It is no log-in."""
    await reset_password(
        resources.sessions,
        resources.session_store,
        resources.passwords,
        body.key.get_secret_value(),
        body.new_password.get_secret_value(),
        resources.clock.now(),
    )


@router.post("/v1/auth/email-confirmations/complete", status_code=status.HTTP_204_NO_CONTENT)
async def post_email_confirmation_complete(body: LinkBody, resources: AppResources) -> None:
    """Confirms an e-mail by the key of a link; nobody needs to be signed in."""
    await confirm_email(resources.sessions, body.key.get_secret_value(), resources.clock.now())


@router.post(
    "/v1/me/email-confirmations",
    status_code=status.HTTP_202_ACCEPTED,
    response_model=dict[str, Any],
    responses=problem_responses(401, 409, 429),
)
async def post_my_email_confirmation(
    request: Request, resources: AppResources, user: CurrentUser, key: IdempotencyKey
) -> Response:
    """Has the link sent again."""

    async def work(_: UUID) -> tuple[int, Any]:
        await request_email_confirmation(resources.sessions, user.user_id, resources.clock.now())
        return status.HTTP_202_ACCEPTED, {}

    scope = key_scope(request, str(user.user_id), key, None)
    return await run_once(resources.sessions, resources.clock, scope, work)
