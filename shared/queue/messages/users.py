"""Events of the exchange ``users``, published by UserAPI."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.queue.messages.base import EventState


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class UserState(EventState):
    """A user without contacts or names. ``revoked_families`` are sessions ended and not yet expired."""

    AGGREGATE: ClassVar[str] = "user"
    EXCHANGE: ClassVar[str] = "users"
    TYPES: ClassVar[tuple[str, ...]] = (
        "user.registered",
        "user.updated",
        "user.sessions_revoked",
        "user.blocked",
        "user.unblocked",
        "user.erased",
    )

    user_id: UUID
    status: Literal["active", "blocked", "erased"]
    locale: str
    time_zone: str
    token_epoch: int
    revoked_families: list[UUID] = Field(default_factory=list)
    email_confirmed: bool = False
    created_at: datetime
    updated_at: datetime


class AccessRight(_Part):
    resource: str
    until: datetime | None
    source: str


class AccessState(EventState):
    """All rights of one user after a change; the aggregate is the user's access."""

    AGGREGATE: ClassVar[str] = "access"
    EXCHANGE: ClassVar[str] = "users"
    TYPES: ClassVar[tuple[str, ...]] = ("access.granted", "access.revoked")

    user_id: UUID
    version: int
    rights: list[AccessRight]
    changed: list[str]
    updated_at: datetime


class MessageState(EventState):
    """A message to a user that waits for whoever sends mail; address and link are had from UserAPI."""

    AGGREGATE: ClassVar[str] = "message"
    EXCHANGE: ClassVar[str] = "users"
    TYPES: ClassVar[tuple[str, ...]] = ("message.requested",)

    message_id: UUID
    user_id: UUID
    kind: Literal[
        "password_reset", "email_confirmation", "password_changed", "email_changed", "session_theft_suspected"
    ]
    locale: str
    requested_at: datetime
    expires_at: datetime
