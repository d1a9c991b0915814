"""One run per Idempotency-Key on a real Postgres, whichever driver holds the transaction."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import psycopg2
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from shared import idempotency, tables
from shared.clock import ManualClock
from shared.errors import AppError, conflict, invalid
from shared.idempotency import Claimed, Replay, Scope
from shared.idempotent_route import RELEASE_SECONDS, run_keyed, run_once
from shared.ids import new_id
from tests.servers import DatabaseUrls, create_database

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def _migrate(urls: DatabaseUrls) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(urls.owner)
        await connection.execute(tables.SQL)
        await connection.close()

    asyncio.run(run())


@pytest.fixture(scope="module")
def urls() -> DatabaseUrls:
    return create_database("pay", migrate=_migrate, variant="idempotency")


@pytest.fixture
async def sessions(urls: DatabaseUrls) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    engine = create_async_engine(urls.service.replace("postgresql://", "postgresql+asyncpg://"), pool_size=30)
    yield async_sessionmaker(engine, expire_on_commit=False)
    await engine.dispose()


def _scope(key: str, body: dict[str, Any] | None = None) -> Scope:
    return Scope("user", "POST", "/v1/me/subscriptions", key, idempotency.hash_request(body or {"a": 1}))


async def test_fifty_parallel_requests_do_the_work_once(sessions: async_sessionmaker[AsyncSession]) -> None:
    runs: list[UUID] = []

    async def work(row_id: UUID) -> tuple[int, Any]:
        runs.append(row_id)
        await asyncio.sleep(0.05)
        return 201, {"id": str(row_id)}

    async def ask() -> tuple[int, bytes]:
        try:
            answer = await run_once(sessions, ManualClock(NOW), _scope("fifty"), work)
        except AppError as error:
            return (409 if error.code == "request-in-progress" else 0), b""
        return answer.status_code, bytes(answer.body)

    answers = await asyncio.gather(*(ask() for _ in range(50)))
    assert len(runs) == 1
    assert {status for status, _ in answers} <= {201, 409}
    replay = await run_once(sessions, ManualClock(NOW), _scope("fifty"), work)
    assert replay.headers[idempotency.REPLAYED_HEADER] == "true"
    assert {body for status, body in answers if status == 201} == {bytes(replay.body)}
    assert len(runs) == 1


async def test_other_body_under_the_same_key_is_refused(sessions: async_sessionmaker[AsyncSession]) -> None:
    async def work(_: UUID) -> tuple[int, Any]:
        return 200, {}

    await run_once(sessions, ManualClock(NOW), _scope("body"), work)
    with pytest.raises(AppError, match="idempotency-key-reused"):
        await run_once(sessions, ManualClock(NOW), _scope("body", {"a": 2}), work)


@pytest.mark.parametrize(
    ("error", "stored"),
    [(invalid("bad"), True), (conflict("not-now"), False), (RuntimeError("crash"), False)],
)
async def test_only_final_answers_are_stored(
    sessions: async_sessionmaker[AsyncSession], error: Exception, stored: bool
) -> None:
    seen: list[UUID] = []

    async def work(row_id: UUID) -> tuple[int, Any]:
        seen.append(row_id)
        if len(seen) == 1:
            raise error
        return 200, {"second": True}

    scope = _scope(f"final-{error}")
    try:
        first = await run_once(sessions, ManualClock(NOW), scope, work)
        assert first.status_code in (409, 422)
    except RuntimeError:
        assert not stored
    second = await run_once(sessions, ManualClock(NOW), scope, work)
    if stored:
        assert second.status_code == 422
        assert second.media_type == "application/problem+json"
        assert len(seen) == 1
    else:
        assert second.status_code == 200
        assert seen[0] == seen[1]  # the resumed run derives the same downstream keys


async def test_a_dead_run_is_resumed_after_its_lease(sessions: async_sessionmaker[AsyncSession]) -> None:
    async with sessions.begin() as session:
        first = await idempotency.claim_async(session, _scope("dead"), NOW)
    assert isinstance(first, Claimed)
    with pytest.raises(AppError, match="request-in-progress"):
        async with sessions.begin() as session:
            await idempotency.claim_async(session, _scope("dead"), NOW + timedelta(seconds=29))
    async with sessions.begin() as session:
        resumed = await idempotency.claim_async(session, _scope("dead"), NOW + timedelta(seconds=31))
    assert resumed == first


def test_psycopg2_cursor_keeps_the_same_contract(urls: DatabaseUrls) -> None:
    with psycopg2.connect(urls.service) as connection, connection.cursor() as cursor:
        scope = _scope("sync")
        claimed = idempotency.claim_sync(cursor, scope, NOW)
        assert isinstance(claimed, Claimed)
        idempotency.complete_sync(cursor, claimed.row_id, 201, {"id": "x"}, NOW)
        assert idempotency.claim_sync(cursor, scope, NOW) == Replay(201, {"id": "x"})
        released = idempotency.claim_sync(cursor, _scope("sync-2"), NOW)
        assert isinstance(released, Claimed)
        idempotency.release_sync(cursor, released.row_id)
        assert idempotency.claim_sync(cursor, _scope("sync-2"), NOW) == released


@pytest.mark.parametrize("key", [None, "", "  ", "x" * 256, "ключ", "a\nb"])
def test_missing_or_odd_keys_are_refused(key: str | None) -> None:
    with pytest.raises(AppError, match="idempotency-key"):
        idempotency.require_key(key)


class _Stuck:
    """Keys whose database does not answer any more once the key is claimed."""

    async def claim(self, scope: Scope) -> Claimed | Replay:
        return Claimed(new_id())

    async def complete(self, row_id: UUID, status: int, body: str) -> None:
        raise AssertionError("there is nothing to complete")

    async def release(self, row_id: UUID) -> None:
        await asyncio.sleep(60)


async def test_a_key_that_cannot_be_freed_hides_nothing_and_holds_nobody_up() -> None:
    async def fails(_: UUID) -> tuple[int, Any]:
        raise ZeroDivisionError("what really happened")

    began = time.monotonic()
    with pytest.raises(ZeroDivisionError, match="what really happened"):
        await run_keyed(_Stuck(), _scope("stuck"), fails)
    assert RELEASE_SECONDS <= time.monotonic() - began < RELEASE_SECONDS + 1
