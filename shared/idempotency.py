"""The Idempotency-Key contract: one run per key, its final answer stored and replayed.

Scope: caller + method + path template. The same key and body replays the stored answer; another body is
refused (422); a run in flight answers 409. A 5xx, 409 or 429 is never stored: the key then resumes, under
the same row id, so keys derived from it (``shared.ids.derived_id``) repeat the same downstream calls.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from shared.errors import AppError, Kind, conflict, invalid
from shared.ids import new_id
from shared.tables import Positional, for_psycopg2
from shared.writes import GUARDED, Write

if TYPE_CHECKING:
    from shared.pool import Connection, Pool

HEADER: Final = "Idempotency-Key"
REPLAYED_HEADER: Final = "Idempotent-Replayed"
LEASE: Final = timedelta(seconds=30)
KEPT: Final = timedelta(days=7)
_MAX_KEY_LENGTH: Final = 255

CLAIM_SQL: Final = """
INSERT INTO idempotency_key (id, caller, method, path_template, key, request_hash, leased_until, created_at)
VALUES (:id, :caller, :method, :path_template, :key, :request_hash, :leased_until, :now)
ON CONFLICT (caller, method, path_template, key) DO NOTHING
RETURNING id
"""
LOCK_SQL: Final = """
SELECT id, request_hash, leased_until, response_status, response_body FROM idempotency_key
WHERE caller = :caller AND method = :method AND path_template = :path_template AND key = :key
FOR UPDATE
"""
RESUME_SQL: Final = "UPDATE idempotency_key SET leased_until = :leased_until WHERE id = :id"
COMPLETE_SQL: Final = """
UPDATE idempotency_key SET response_status = :status, response_body = CAST(:body AS jsonb),
    completed_at = :now, leased_until = NULL
WHERE id = :id AND response_status IS NULL
"""
RELEASE_SQL: Final = (
    "UPDATE idempotency_key SET leased_until = NULL WHERE id = :id AND response_status IS NULL"
)
_CLAIM: Final = Positional(CLAIM_SQL)
_LOCK: Final = Positional(LOCK_SQL)
_RESUME: Final = Positional(RESUME_SQL)
_COMPLETE: Final = Positional(COMPLETE_SQL)
_RELEASE: Final = Positional(RELEASE_SQL)
PURGE_SQL: Final = "DELETE FROM idempotency_key WHERE created_at < :before"


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose key for which operation."""

    caller: str
    method: str
    path_template: str
    key: str
    request_hash: bytes


@dataclass(frozen=True, slots=True)
class Claimed:
    """This run may work; ``row_id`` is the same in every resumed run of the key."""

    row_id: UUID


@dataclass(frozen=True, slots=True)
class Replay:
    """The stored final answer."""

    status: int
    body: Any


def require_key(value: str | None) -> str:
    """Raises ``idempotency-key-missing`` (400) or ``idempotency-key-invalid`` (400)."""
    if value is None or not value.strip():
        raise AppError(
            "idempotency-key-missing", Kind.MALFORMED, "This request needs an Idempotency-Key header."
        )
    if len(value) > _MAX_KEY_LENGTH or not value.isascii() or not value.isprintable():
        raise AppError("idempotency-key-invalid", Kind.MALFORMED, "At most 255 printable ASCII characters.")
    return value


def hash_request(body: Mapping[str, Any] | None, path_parameters: Mapping[str, Any] | None = None) -> bytes:
    """A fingerprint of the request: canonical body and the path's own parameters."""
    canonical = json.dumps(
        [body or {}, {name: str(value) for name, value in (path_parameters or {}).items()}],
        sort_keys=True,
        separators=(",", ":"),
        default=str,
    )
    return hashlib.sha256(canonical.encode()).digest()


def storable(status: int) -> bool:
    """Final answers below 500, except those that say 'not now'."""
    return status < 500 and status not in (409, 429)


def decide(row: Mapping[str, Any], scope: Scope, now: datetime) -> Claimed | Replay:
    """What a locked row means for this request. Raises 422 for another body and 409 for a run in flight."""
    if bytes(row["request_hash"]) != scope.request_hash:
        raise invalid("idempotency-key-reused", "This key was used with another request.")
    if row["response_status"] is not None:
        body = row["response_body"]
        return Replay(row["response_status"], json.loads(body) if isinstance(body, str) else body)
    if row["leased_until"] is not None and row["leased_until"] > now:
        refusal = conflict("request-in-progress", "The first request with this key is still being worked on.")
        refusal.retry_after_seconds = 1
        raise refusal
    return Claimed(row["id"])


def _parameters(scope: Scope, now: datetime) -> dict[str, Any]:
    return {
        "id": new_id(),
        "caller": scope.caller,
        "method": scope.method,
        "path_template": scope.path_template,
        "key": scope.key,
        "request_hash": scope.request_hash,
        "leased_until": now + LEASE,
        "now": now,
    }


async def claim_async(session: Any, scope: Scope, now: datetime) -> Claimed | Replay:
    """Claims the key in a SQLAlchemy AsyncSession's transaction; the caller commits before it works."""
    from sqlalchemy import text

    parameters = _parameters(scope, now)
    row = (await session.execute(text(CLAIM_SQL), parameters)).first()
    if row is not None:
        return Claimed(row.id)
    found = (await session.execute(text(LOCK_SQL), parameters)).mappings().one()
    outcome = decide(found, scope, now)
    if isinstance(outcome, Claimed):
        await session.execute(text(RESUME_SQL), {"id": outcome.row_id, "leased_until": now + LEASE})
    return outcome


async def complete_async(session: Any, row_id: UUID, status: int, body: Any, now: datetime) -> None:
    """Stores the final answer, in the transaction of the effect where there is one."""
    from sqlalchemy import text

    parameters = {"id": row_id, "status": status, "body": json.dumps(body), "now": now}
    await session.execute(text(COMPLETE_SQL), parameters)


async def release_async(session: Any, row_id: UUID) -> None:
    """Ends the lease without an answer: the next request with the key resumes."""
    from sqlalchemy import text

    await session.execute(text(RELEASE_SQL), {"id": row_id})


async def claim_on(pool: Pool, scope: Scope, now: datetime) -> Claimed | Replay:
    """The same over asyncpg; committed when it returns, in one statement unless the key was used before."""
    parameters = _parameters(scope, now)
    async with pool.connection() as connection:
        row_id = await connection.fetchval(_CLAIM.sql, *_CLAIM.arguments(parameters))
        if row_id is not None:
            return Claimed(row_id)
    async with pool.transaction() as connection:
        found = await connection.fetchrow(_LOCK.sql, *_LOCK.arguments(parameters))
        outcome = decide(found, scope, now)
        if isinstance(outcome, Claimed):
            resumed = {"id": outcome.row_id, "leased_until": now + LEASE}
            await connection.execute(_RESUME.sql, *_RESUME.arguments(resumed))
    return outcome


async def complete_on(connection: Connection, row_id: UUID, status: int, body: str, now: datetime) -> None:
    """The same as ``complete_async`` on an asyncpg connection; ``body`` is JSON already."""
    parameters = {"id": row_id, "status": status, "body": body, "now": now}
    await connection.execute(_COMPLETE.sql, *_COMPLETE.arguments(parameters))


def completion(row_id: UUID, status: int, body: str, now: datetime) -> Write:
    """The same as one of several writes (``shared.writes``)."""
    parameters = {"id": row_id, "status": status, "body": body, "now": now}
    return Write("answered", f"{_COMPLETE.sql} AND {GUARDED} RETURNING id", _COMPLETE.arguments(parameters))


async def release_on(connection: Connection, row_id: UUID) -> None:
    """The same as ``release_async`` on an asyncpg connection."""
    await connection.execute(_RELEASE.sql, *_RELEASE.arguments({"id": row_id}))


def claim_sync(cursor: Any, scope: Scope, now: datetime) -> Claimed | Replay:
    """The same on a DB-API (psycopg2) cursor inside a transaction."""
    parameters = _parameters(scope, now)
    parameters["id"] = str(parameters["id"])
    cursor.execute(for_psycopg2(CLAIM_SQL), parameters)
    row = cursor.fetchone()
    if row is not None:
        return Claimed(UUID(str(row[0])))
    cursor.execute(for_psycopg2(LOCK_SQL), parameters)
    names = ["id", "request_hash", "leased_until", "response_status", "response_body"]
    found = dict(zip(names, cursor.fetchone(), strict=True))
    found["id"] = UUID(str(found["id"]))
    outcome = decide(found, scope, now)
    if isinstance(outcome, Claimed):
        cursor.execute(
            for_psycopg2(RESUME_SQL), {"id": str(outcome.row_id), "leased_until": parameters["leased_until"]}
        )
    return outcome


def complete_sync(cursor: Any, row_id: UUID, status: int, body: Any, now: datetime) -> None:
    """The same as ``complete_async`` on a psycopg2 cursor."""
    cursor.execute(
        for_psycopg2(COMPLETE_SQL),
        {"id": str(row_id), "status": status, "body": json.dumps(body), "now": now},
    )


def release_sync(cursor: Any, row_id: UUID) -> None:
    """The same as ``release_async`` on a psycopg2 cursor."""
    cursor.execute(for_psycopg2(RELEASE_SQL), {"id": str(row_id)})
