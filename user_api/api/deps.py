"""What routes are given: resources, the verified end user, the verified calling service, the key's scope."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from shared import idempotency
from shared.auth import EndUser, Service, bearer
from shared.clock import Clock
from shared.errors import unauthenticated
from user_api.resources import Resources
from user_api.settings import Settings
from user_api.user_service import repository
from user_api.user_service.database import Sessions


class RequestBody(BaseModel):
    """Base of every request body: a field nobody reads is a mistake of the caller's, not ignored."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, data: Any) -> Any:
        """Refuses what neither Postgres nor UTF-8 can hold: NUL and lone surrogates."""
        if isinstance(data, dict) and (unstorable := [name for name in data if _is_unstorable(data[name])]):
            raise ValueError(f"{', '.join(map(str, unstorable))}: has characters that cannot be stored")
        return data


def _is_unstorable(value: Any) -> bool:
    return isinstance(value, str) and ("\0" in value or any("\ud800" <= c <= "\udfff" for c in value))


Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
"""A line of text people type; blanks around it do not count."""


def get_resources(request: Request) -> Resources:
    resources = request.app.state.resources
    assert isinstance(resources, Resources)
    return resources


AppResources = Annotated[Resources, Depends(get_resources)]


def get_sessions(resources: AppResources) -> Sessions:
    return resources.sessions


def get_clock(resources: AppResources) -> Clock:
    return resources.clock


def get_settings(resources: AppResources) -> Settings:
    return resources.settings


AppSessions = Annotated[Sessions, Depends(get_sessions)]
AppClock = Annotated[Clock, Depends(get_clock)]
AppSettings = Annotated[Settings, Depends(get_settings)]


async def get_current_user(
    resources: AppResources, authorization: Annotated[str | None, Header(include_in_schema=False)] = None
) -> EndUser:
    """The owner of a valid access token whose session has not been ended; 401 otherwise."""
    user = resources.end_users.verify(bearer(authorization))
    async with resources.sessions() as session:
        if not await repository.is_session_alive(session, user.user_id, user.family_id, user.epoch):
            raise unauthenticated("session-ended", "This session has been ended. Sign in again.")
    return user


def get_caller_service(
    resources: AppResources, authorization: Annotated[str | None, Header(include_in_schema=False)] = None
) -> Service:
    """The service or operator whose credential came with the request; 401 otherwise."""
    return resources.services.verify(authorization)


def get_client_address(request: Request) -> str:
    """The caller's IP address for throttling; an IPv6 customer has a whole /64."""
    # Behind the gateway uvicorn takes it from X-Forwarded-For of addresses in FORWARDED_ALLOW_IPS.
    try:
        address = ip_address(request.client.host if request.client else "")
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address)


ClientAddress = Annotated[str, Depends(get_client_address)]
CurrentUser = Annotated[EndUser, Depends(get_current_user)]
CallerService = Annotated[Service, Depends(get_caller_service)]


def get_idempotency_key(
    key: Annotated[str | None, Header(alias=idempotency.HEADER)] = None,
) -> str:
    """The request's Idempotency-Key; 400 without one."""
    return idempotency.require_key(key)


IdempotencyKey = Annotated[str, Depends(get_idempotency_key)]


def key_scope(request: Request, caller: str, key: str, body: BaseModel | None) -> idempotency.Scope:
    """Whose key for which operation; ``caller`` is a user id or a service's name."""
    content: dict[str, Any] | None = body.model_dump(mode="json") if body is not None else None
    return idempotency.Scope(
        caller=caller,
        method=request.method,
        path_template=request.scope["route"].path,
        key=key,
        request_hash=idempotency.hash_request(content, request.path_params),
    )
