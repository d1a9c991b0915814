"""Errors of the suite, free of any transport."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What sort of refusal it is; the edge maps it to its protocol."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    MALFORMED = "malformed"
    TOO_MANY = "too_many"
    UNAVAILABLE = "unavailable"
    BROKEN_INVARIANT = "broken_invariant"


class AppError(Exception):
    """A refusal with a stable code (kebab-case, the last part of a problem's ``type``).

    ``detail`` is for people; ``extra`` are machine-readable members; ``retry_after_seconds`` says when a
    new try makes sense.
    """

    def __init__(
        self,
        code: str,
        kind: Kind,
        detail: str = "",
        *,
        extra: Mapping[str, Any] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.kind = kind
        self.detail = detail
        self.extra = dict(extra or {})
        self.retry_after_seconds = retry_after_seconds


def invalid(code: str, detail: str = "", **extra: Any) -> AppError:
    return AppError(code, Kind.INVALID, detail, extra=extra)


def not_found(what: str) -> AppError:
    """The same answer for a thing that does not exist and one that is somebody else's."""
    return AppError(f"{what}-not-found", Kind.NOT_FOUND, f"There is no such {what.replace('-', ' ')}.")


def conflict(code: str, detail: str = "", **extra: Any) -> AppError:
    return AppError(code, Kind.CONFLICT, detail, extra=extra)


def forbidden(code: str = "forbidden", detail: str = "This is not allowed.") -> AppError:
    return AppError(code, Kind.FORBIDDEN, detail)


def unauthenticated(code: str = "unauthenticated", detail: str = "Sign in first.") -> AppError:
    return AppError(code, Kind.UNAUTHENTICATED, detail)


def unavailable(code: str, detail: str = "", retry_after_seconds: int = 1) -> AppError:
    return AppError(code, Kind.UNAVAILABLE, detail, retry_after_seconds=retry_after_seconds)


def broken_invariant(code: str, detail: str) -> AppError:
    return AppError(code, Kind.BROKEN_INVARIANT, detail)
