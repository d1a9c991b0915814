"""Bodies of the account routes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, EmailStr, Field, SecretStr

from user_api.api.deps import Line, RequestBody
from user_api.cache import Session
from user_api.user_service.contacts import (
    DEFAULT_LOCALE,
    DEFAULT_TIME_ZONE,
    check_time_zone,
    normalize_phone,
)
from user_api.user_service.models import User
from user_api.user_service.open_session import Tokens
from user_api.user_service.passwords import MAX_LENGTH, MIN_LENGTH

Locale = Literal["ru", "en"]
Phone = Annotated[str, Field(max_length=32, examples=["+79161234567"]), AfterValidator(normalize_phone)]
TimeZone = Annotated[str, Field(max_length=64, examples=["Europe/Moscow"]), AfterValidator(check_time_zone)]
NewPassword = Annotated[SecretStr, Field(min_length=MIN_LENGTH, max_length=MAX_LENGTH)]
GivenPassword = Annotated[SecretStr, Field(min_length=1, max_length=MAX_LENGTH)]
LinkKey = Annotated[SecretStr, Field(min_length=1, max_length=128)]
GivenToken = Annotated[SecretStr, Field(min_length=1, max_length=256)]


class RegisterBody(RequestBody):
    email: EmailStr
    password: NewPassword
    full_name: Line | None = None
    phone: Phone | None = None
    locale: Locale = DEFAULT_LOCALE
    time_zone: TimeZone = DEFAULT_TIME_ZONE


class LogInBody(RequestBody):
    email: EmailStr
    password: GivenPassword


class RefreshBody(RequestBody):
    refresh_token: GivenToken


class UpdateProfileBody(RequestBody):
    """Absent fields stay as they are; null clears a name or a phone. A new e-mail needs the password."""

    email: EmailStr | None = None
    full_name: Line | None = None
    phone: Phone | None = None
    locale: Locale | None = None
    time_zone: TimeZone | None = None
    current_password: GivenPassword | None = None


class ChangePasswordBody(RequestBody):
    current_password: GivenPassword
    new_password: NewPassword


class PasswordResetBody(RequestBody):
    email: EmailStr


class CompleteResetBody(RequestBody):
    """``key`` is the one of the link."""

    key: LinkKey
    new_password: NewPassword


class LinkBody(RequestBody):
    key: LinkKey


class ConfirmBody(RequestBody):
    """The password once more, for what matters."""

    current_password: GivenPassword


class ErasureView(BaseModel):
    """The act of erasure: what was done where, and when. ``completed_at`` is null while steps are left."""

    id: UUID
    user_id: UUID
    requested_at: datetime
    anonymised_at: datetime
    sessions_forgotten_at: datetime | None
    payments_erased_at: datetime | None
    completed_at: datetime | None


class UserView(BaseModel):
    """``email_confirmed_at`` is null until the link sent to the address has been used."""

    id: UUID
    email: str
    email_confirmed_at: datetime | None
    full_name: str | None
    phone: str | None
    locale: str
    time_zone: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, user: User) -> UserView:
        return cls.model_validate(user, from_attributes=True)


class TokensView(BaseModel):
    """``expires_in`` is the access token's life in seconds."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the scheme's name
    expires_in: int

    @classmethod
    def of(cls, tokens: Tokens) -> TokensView:
        return cls(
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            expires_in=tokens.expires_in_seconds,
        )


class SignedInView(TokensView):
    user: UserView

    @classmethod
    def of_user(cls, user: User, tokens: Tokens) -> SignedInView:
        return cls(user=UserView.of(user), **TokensView.of(tokens).model_dump())


class SessionView(BaseModel):
    """``id`` is the family a session's access tokens carry; ``current`` is the session that asks."""

    id: UUID
    current: bool
    user_agent: str
    created_at: datetime
    used_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, session: Session, current_id: UUID) -> SessionView:
        return cls(
            id=session.family_id,
            current=session.family_id == current_id,
            user_agent=session.user_agent,
            created_at=session.created_at,
            used_at=session.used_at,
            expires_at=session.expires_at,
        )


class SessionList(BaseModel):
    items: list[SessionView]
    next_cursor: None = None
