"""Pages of rows whose ids grow with time, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Query
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.errors import AppError, Kind
from shared.pagination import DEFAULT_LIMIT, MAX_LIMIT, decode_cursor, page

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Cursor = Annotated[str | None, Query(max_length=512)]
Row = TypeVar("Row")

__all__ = ["DEFAULT_LIMIT", "Cursor", "Limit", "decode_id_cursor", "newest_first"]


def decode_id(text: str) -> UUID:
    """Raises ``cursor-invalid`` (400)."""
    try:
        return UUID(text)
    except ValueError as error:
        raise AppError("cursor-invalid", Kind.MALFORMED, "This cursor was not given by this list.") from error


def decode_id_cursor(cursor: str) -> UUID:
    (text,) = decode_cursor(cursor, str)
    return decode_id(text)


async def newest_first(
    session: AsyncSession, query: Select[Row], column: Any, cursor: str | None, limit: int
) -> tuple[Sequence[Row], str | None]:
    """One page of ``query`` by descending ``column`` (an id), and the next cursor."""
    if cursor is not None:
        query = query.where(column < decode_id_cursor(cursor))
    rows = (await session.scalars(query.order_by(column.desc()).limit(limit + 1))).all()
    return page(rows, limit, lambda row: [str(getattr(row, column.key))])
