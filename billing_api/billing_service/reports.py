"""Findings that a person should look at; one per kind and subject."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from billing_api.billing_service.models import Account, ReviewItem


def report(
    kind: str, account: Account, subject: tuple[str, UUID], detail: dict[str, Any], now: datetime
) -> None:
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
