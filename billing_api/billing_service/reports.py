"""Findings that a person should look at; one per kind and subject."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing_api.billing_service.models import Account, ReviewItem

BILLING_SET_ASIDE: Final = "billing_set_aside"
COLLECTION_REFUSED: Final = "collection_refused"
REFUND_UNKNOWN: Final = "refund_unknown"
DEBT_AFTER_REFUND: Final = "debt_after_refund"


def report(
    kind: str, account: Account, subject: tuple[str, UUID], detail: dict[str, Any], now: datetime
) -> None:
    """Once while it stands open; what was resolved and is found again stands open again."""
    ReviewItem.objects.bulk_create(
        [
            ReviewItem(
                account=account,
                kind=kind,
                subject_kind=subject[0],
                subject_id=subject[1],
                detail=detail,
                found_at=now,
            )
        ],
        ignore_conflicts=True,
    )
    ReviewItem.objects.filter(kind=kind, subject_id=subject[1], resolved_at__isnull=False).update(
        resolved_at=None, found_at=now, detail=detail
    )


def resolve(kind: str, subject_id: UUID, now: datetime) -> None:
    """Its cause is gone: nobody needs to look any more."""
    ReviewItem.objects.filter(kind=kind, subject_id=subject_id, resolved_at=None).update(resolved_at=now)
