"""Gives one user a personal discount."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from billing_api.billing_service import locks
from billing_api.billing_service.actors import Actor, record, require_reason
from billing_api.billing_service.database import atomic
from billing_api.billing_service.domain.discounts.base import Duration, DurationKind
from billing_api.billing_service.domain.discounts.registry import kind_named
from billing_api.billing_service.models import PersonalDiscount
from shared.errors import invalid, not_found
from shared.ids import new_id


@dataclass(frozen=True, slots=True)
class DiscountTerms:
    """``value`` in the unit of ``kind``: basis points, minor units, days or periods. Moments UTC."""

    kind: str
    value: int
    currency: str = "RUB"
    label: str = ""
    priority: int = 0
    is_exclusive: bool = False
    product_ids: tuple[UUID, ...] = ()
    duration_kind: str = "once"
    duration_count: int = 1
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def columns(self) -> dict[str, Any]:
        """The checked columns of a row. Raises ``discount-invalid``."""
        try:
            kind_named(self.kind).check(self.value)
            Duration(DurationKind(self.duration_kind), self.duration_count)
        except ValueError as error:
            raise invalid("discount-invalid", str(error)) from error
        if self.starts_at and self.ends_at and self.ends_at <= self.starts_at:
            raise invalid("discount-invalid", "The window must end after it starts.")
        return {
            "kind": self.kind,
            "value": self.value,
            "currency": self.currency,
            "label": self.label,
            "priority": self.priority,
            "is_exclusive": self.is_exclusive,
            "product_ids": [str(product_id) for product_id in self.product_ids],
            "duration_kind": self.duration_kind,
            "duration_count": self.duration_count,
            "starts_at": self.starts_at,
            "ends_at": self.ends_at,
            **self.extra,
        }


@dataclass(frozen=True, slots=True)
class DiscountAssigned:
    """``discount_id`` None in a preview."""

    discount_id: UUID | None
    user_id: UUID


def assign_discount(
    user_id: UUID,
    terms: DiscountTerms,
    *,
    actor: Actor,
    reason: str,
    preview: bool = False,
    now: datetime,
) -> DiscountAssigned:
    """It works from the next invoice on.

    Raises ``account-not-found``, ``discount-invalid``, ``reason-missing``.
    """
    reason = require_reason(reason)
    columns = terms.columns()
    with atomic():
        account = locks.lock_account_of_user(user_id)
        if account is None:
            raise not_found("account")
        if preview:
            return DiscountAssigned(None, user_id)
        row = PersonalDiscount.objects.create(
            id=new_id(), account=account, reason=reason, given_by=actor.id, created_at=now, **columns
        )
        record(
            "assign_discount",
            actor,
            reason,
            account=account,
            subject=("personal_discount", row.id),
            before={},
            after={"kind": row.kind, "value": row.value, "duration": row.duration_kind},
            now=now,
        )
        return DiscountAssigned(row.id, user_id)
