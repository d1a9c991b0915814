"""Tables of purchases, payments, consents, rights and the catalogue copy: columns and constraints only."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, PrimaryKeyConstraint, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from user_api.user_service.models import Base


class CatalogProduct(Base):
    """A product as AdminPanel published it last. ``prices`` are PriceState objects as JSON."""

    __tablename__ = "catalog_products"
    __table_args__ = (
        CheckConstraint("kind IN ('recurring', 'one_time')", name="kind"),
        CheckConstraint("status IN ('published', 'retired')", name="status"),
        Index(None, "rank", "id", postgresql_where=text("status = 'published'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    slug: Mapped[str]
    kind: Mapped[str]
    product_group: Mapped[str]
    title: Mapped[dict[str, str]] = mapped_column(JSONB)
    description: Mapped[dict[str, str]] = mapped_column(JSONB)
    grants: Mapped[list[str]] = mapped_column(ARRAY(Text))
    # Those of them that go on after the grace, until ``user_products.reduced_until``.
    reduced_grants: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    prices: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    rank: Mapped[int]
    status: Mapped[str]
    updated_at: Mapped[datetime]


class CatalogCollection(Base):
    """A collection of films as published last: source of the film -> collections map."""

    __tablename__ = "catalog_collections"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    slug: Mapped[str]
    movie_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    updated_at: Mapped[datetime]


class CatalogVersion(Base):
    """One row: grows with every change of the film -> collections map."""

    __tablename__ = "catalog_version"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)


class UserProduct(Base):
    """A purchased product: a subscription or one-time purchase as BillingAPI's last event told it.

    ``removed_at``: the user removed a one-time product; it gives no rights any more.
    """

    __tablename__ = "user_products"
    __table_args__ = (
        CheckConstraint("kind IN ('recurring', 'one_time')", name="kind"),
        Index(None, "user_id", "id"),
        Index(None, "product_id", "user_id"),
        Index(
            "ix_user_products_removed",
            "id",
            postgresql_where=text("removed_at IS NOT NULL AND status NOT IN ('cancelled', 'expired')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)  # BillingAPI's subscription id
    user_id: Mapped[UUID]
    kind: Mapped[str]
    product_id: Mapped[UUID]
    price_id: Mapped[UUID]
    product_group: Mapped[str]
    status: Mapped[str]
    cancel_at_period_end: Mapped[bool]
    grants_access: Mapped[bool]
    access_until: Mapped[datetime | None]
    reduced_until: Mapped[datetime | None]
    current_period_start: Mapped[date | None]
    current_period_end: Mapped[date | None]
    trial_ends_at: Mapped[datetime | None]
    next_invoice_at: Mapped[datetime | None]
    latest_invoice_id: Mapped[UUID | None]
    removed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class AccessRightRow(Base):
    """A right: (user, resource, until, source). ``until`` NULL has no end; collections stay unexpanded."""

    __tablename__ = "access_rights"
    __table_args__ = (PrimaryKeyConstraint("user_id", "source", "resource"),)

    user_id: Mapped[UUID]
    source: Mapped[str]
    resource: Mapped[str]
    until: Mapped[datetime | None]
    granted_at: Mapped[datetime]


class AccessVersion(Base):
    """One row a user: grows with every change of their rights; its lock puts those changes in a row."""

    __tablename__ = "access_versions"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[datetime]


class Payment(Base):
    """A payment, committed before PayAPI is called; then a copy of what PayAPI says.

    ``known_at`` is NULL until PayAPI has answered or sent an event: such a row is an intent, not shown.
    ``request_id`` is the row of the Idempotency-Key it was made for (NULL: made elsewhere or by an event).
    ``payer`` is what PayAPI is told of them, kept only until it has answered.
    """

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("initiator IN ('customer', 'merchant')", name="initiator"),
        Index(None, "user_id", "id"),
        Index(None, "invoice_id"),
        Index(None, "subscription_id", postgresql_where=text("subscription_id IS NOT NULL")),
        Index(
            "ix_payments_queued",
            "id",
            postgresql_where=text("initiator = 'merchant' AND status = 'created'"),
        ),
        Index("ix_payments_unanswered", "updated_at", postgresql_where=text("known_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    request_id: Mapped[UUID | None] = mapped_column(unique=True)
    user_id: Mapped[UUID]
    invoice_id: Mapped[UUID | None]
    subscription_id: Mapped[UUID | None]
    initiator: Mapped[str]
    method_id: Mapped[UUID | None]
    status: Mapped[str]
    currency: Mapped[str]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    captured_minor: Mapped[int] = mapped_column(BigInteger)
    refunded_minor: Mapped[int] = mapped_column(BigInteger)
    card_mask: Mapped[str | None]
    decline: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    next_action: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    events_url: Mapped[str | None]
    payer: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    known_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    # PayAPI's moment of the state held here; of an intent: when it was tried last.
    updated_at: Mapped[datetime]
    state_sequence: Mapped[int | None] = mapped_column(BigInteger)  # of the event it came by; NULL: an answer


class PaymentMethod(Base):
    """A saved card: masked data. ``detached_at`` is set before PayAPI is told, ``forgotten_at`` after."""

    __tablename__ = "payment_methods"
    __table_args__ = (
        Index(None, "user_id", "id"),
        Index(
            "ix_payment_methods_to_forget",
            "id",
            postgresql_where=text("detached_at IS NOT NULL AND forgotten_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    provider: Mapped[str]
    card_mask: Mapped[str]
    card_brand: Mapped[str]
    expires_month: Mapped[int]
    expires_year: Mapped[int]
    created_at: Mapped[datetime]
    detached_at: Mapped[datetime | None]
    forgotten_at: Mapped[datetime | None]


class RecurringPayment(Base):
    """A consent to automatic charges of one subscription: which text was accepted, and when.

    ``pending`` until ``payment_id`` succeeds with a saved method; at most one is active a subscription.
    """

    __tablename__ = "recurring_payments"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'active', 'revoked')", name="status"),
        CheckConstraint("status <> 'active' OR payment_method_id IS NOT NULL", name="active_has_method"),
        Index(
            "uq_recurring_payments_active",
            "subscription_id",
            unique=True,
            postgresql_where=text("status = 'active'"),
        ),
        Index(None, "user_id", "id"),
        Index(None, "payment_id", unique=True),
        Index(None, "payment_method_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    subscription_id: Mapped[UUID]
    payment_method_id: Mapped[UUID | None]
    payment_id: Mapped[UUID | None]
    status: Mapped[str]
    text_version: Mapped[str]
    text_language: Mapped[str | None]
    text_sha256: Mapped[str | None]  # NULL: a text that is not published here
    accepted_at: Mapped[datetime]
    created_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revoked_reason: Mapped[str | None]


class PaymentCancellation(Base):
    """What BillingAPI decided for one request to cancel a payment, so that a resumed run repeats it."""

    __tablename__ = "payment_cancellations"
    __table_args__ = (Index(None, "payment_id"),)

    request_id: Mapped[UUID] = mapped_column(primary_key=True)
    payment_id: Mapped[UUID]
    cancellation_id: Mapped[UUID]
    action: Mapped[str]
    currency: Mapped[str]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
