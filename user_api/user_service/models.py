"""Tables of accounts: columns and constraints only."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, MetaData, Text, text
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
    """A person with an account. ``email_normalized`` decides whether two addresses are the same.

    ``email_confirmed_at``: when the present address was proved to be the person's; NULL after a change of it.
    """

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("status IN ('active', 'blocked', 'erased')", name="status"),
        CheckConstraint("token_epoch >= 1", name="token_epoch"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    email_normalized: Mapped[str] = mapped_column(unique=True)
    email_confirmed_at: Mapped[datetime | None]
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


class AccountMessage(Base):
    """A message somebody else's mailer is to send; see docs/decisions/0005.

    ``address`` is set only when it goes elsewhere than to the account's present e-mail. ``email_hash``
    (SHA-256) is of the e-mail the link is good for. ``token_hash`` (SHA-256) is of the secret in the link
    collected last; the secret itself is kept nowhere.
    """

    __tablename__ = "account_messages"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('password_reset', 'email_confirmation', 'password_changed', 'email_changed',"
            " 'session_theft_suspected')",
            name="kind",
        ),
        Index(None, "user_id", "created_at"),
        Index(None, "expires_at"),
        Index(
            "ix_account_messages_waiting",
            "id",
            postgresql_where=text("collected_at IS NULL AND used_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str]
    address: Mapped[str | None]
    email_hash: Mapped[bytes] = mapped_column(LargeBinary)
    token_hash: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)
    collections: Mapped[int]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    collected_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]


class Erasure(Base):
    """The act of erasing a person: what has been done in which place, and when. Kept; holds no contacts."""

    __tablename__ = "erasures"
    __table_args__ = (Index("ix_erasures_open", "id", postgresql_where=text("completed_at IS NULL")),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), unique=True)
    requested_at: Mapped[datetime]
    anonymised_at: Mapped[datetime]
    sessions_forgotten_at: Mapped[datetime | None]
    payments_erased_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
