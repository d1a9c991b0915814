"""Pages of a queryset by a keyset cursor: newest first, stable while rows are added."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet

from shared.errors import AppError, Kind
from shared.pagination import decode_cursor, page

Row = TypeVar("Row", bound=Model)


def newest_first(
    rows: QuerySet[Row],
    moment: str,
    query: Mapping[str, Any],
    render: Callable[[Row], dict[str, Any]],
) -> dict[str, Any]:
    """``{"items", "next_cursor"}`` ordered by (``moment``, id) descending; ``query`` is a checked PageQuery.

    Raises AppError ``cursor-invalid`` (400).
    """
    if query["cursor"] is not None:
        before, last_id = _key(query["cursor"])
        rows = rows.filter(Q(**{f"{moment}__lt": before}) | Q(**{moment: before, "id__lt": last_id}))
    limit = query["limit"]
    fetched = list(rows.order_by(f"-{moment}", "-id")[: limit + 1])

    def key(row: Row) -> tuple[str, str]:
        value: Any = row
        for part in moment.split("__"):
            value = getattr(value, part)
        return value.isoformat(), str(row.pk)

    shown, following = page(fetched, limit, key)
    return {"items": [render(row) for row in shown], "next_cursor": following}


def _key(cursor: str) -> tuple[datetime, UUID]:
    moment, identity = decode_cursor(cursor, str, str)
    try:
        before = datetime.fromisoformat(moment)
        if before.tzinfo is None:
            raise ValueError("a moment without a zone")
        return before.astimezone(UTC), UUID(identity)
    except (ValueError, OverflowError) as error:  # a zone may lead out of the calendar
        raise AppError("cursor-invalid", Kind.MALFORMED, "This cursor was not given by this list.") from error
