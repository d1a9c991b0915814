"""Tables of accounts: columns and constraints only."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Base of every table of the Users database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[type, object]] = {datetime: DateTime(timezone=True), str: Text}


class User(Base):
    """A person with an account. ``email_normalized`` decides whether two addresses are the same."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("status IN ('active', 'blocked', 'erased')", name="status"),
        CheckConstraint("token_epoch >= 1", name="token_epoch"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    email_normalized: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    full_name: Mapped[str | None]
    phone: Mapped[str | None]
    locale: Mapped[str]
    time_zone: Mapped[str]
    status: Mapped[str]
    token_epoch: Mapped[int]
    password_changed_at: Mapped[datetime]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class RevokedSession(Base):
    """A session (refresh family) ended before its time; kept until the family would have expired."""

    __tablename__ = "revoked_sessions"
    __table_args__ = (Index(None, "user_id", "revoked_at"), Index(None, "expires_at"))

    family_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    epoch: Mapped[int]
    reason: Mapped[str]
    revoked_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class LoginThrottle(Base):
    """Failed log-ins of one account, or of one account from an address it has been used from.

    ``key`` is a SHA-256: an unknown e-mail leaves no contact behind.
    """

    __tablename__ = "login_throttle"
    __table_args__ = (Index(None, "updated_at"),)

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    failures: Mapped[int]
    window_started_at: Mapped[datetime]
    retry_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class AccountAction(Base):
    """What staff or a service did to an account and why; never changed."""

    __tablename__ = "account_actions"
    __table_args__ = (Index(None, "user_id", "acted_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    actor: Mapped[str]
    action: Mapped[str]
    reason: Mapped[str]
    acted_at: Mapped[datetime]
