"""Counts failed log-ins of an account in the Users database: guessing is slow, nobody is shut out for good.

Reliability 4.4: at most 10 guesses per account in 15 minutes, with a growing delay. An address from which
the account has been used before has a count of its own, so a stranger's guessing does not lock the owner out.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared import logs
from shared.errors import AppError, Kind
from user_api.user_service.database import Sessions
from user_api.user_service.models import LoginThrottle

WINDOW: Final = timedelta(minutes=15)
MAX_FAILURES: Final = 10
FREE_FAILURES: Final = 4  # mistakes without any delay
KEPT: Final = timedelta(days=90)
LEAST_WAIT: Final = timedelta(minutes=1)

log = logs.logger(__name__)
_GIVING: Final[set[asyncio.Task[None]]] = set()  # the loop itself keeps no hold of its tasks


@dataclass(frozen=True, slots=True)
class Keys:
    """SHA-256 keys: of the account, and of the account seen from one address."""

    account: bytes
    known_address: bytes


@dataclass(frozen=True, slots=True)
class Reservation:
    """An attempt counted before it is tried: under which key, in which window, and the delay it set."""

    key: bytes
    window_started_at: datetime
    retry_at: datetime


def keys(email_normalized: str, address: str) -> Keys:
    return Keys(
        hashlib.sha256(email_normalized.encode()).digest(),
        hashlib.sha256(f"{email_normalized}\n{address}".encode()).digest(),
    )


def delay_after(failures: int) -> timedelta:
    """How long the next attempt has to wait within the window (pure)."""
    if failures <= FREE_FAILURES:
        return timedelta()
    return timedelta(seconds=2 ** (failures - FREE_FAILURES - 1))


async def reserve_attempt(session: AsyncSession, found: Keys, now: datetime) -> Reservation:
    """Counts an attempt as failed before it is tried, so that parallel guesses are counted too.

    Raises ``too-many-attempts`` (429).
    """
    known = await session.get(LoginThrottle, found.known_address)
    key = found.known_address if known is not None else found.account
    await session.execute(
        insert(LoginThrottle)
        .values(key=key, failures=0, window_started_at=now, retry_at=now, updated_at=now)
        .on_conflict_do_nothing()
    )
    row = (
        await session.scalars(
            select(LoginThrottle)
            .where(LoginThrottle.key == key)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).one()
    if now >= row.window_started_at + WINDOW:
        row.failures, row.window_started_at, row.retry_at = 0, now, now
    if now < row.retry_at:
        raise too_many_attempts(row.retry_at - now)
    row.failures += 1
    row.updated_at = now
    full = row.failures >= MAX_FAILURES
    row.retry_at = row.window_started_at + WINDOW if full else now + delay_after(row.failures)
    return Reservation(key, row.window_started_at, row.retry_at)


@asynccontextmanager
async def given_back_if_untried(
    sessions: Sessions, reservation: Reservation, now: datetime
) -> AsyncIterator[None]:
    """Takes the reservation back when something other than a judgement of the password ends the attempt.

    Overload (503 ``busy``), a lost database and a cancelled request say nothing about the caller: counted as
    guesses they would lock owners out for as long as the overload makes them retry.
    """
    try:
        yield
    except BaseException as error:
        if not isinstance(error, AppError) or error.kind is Kind.UNAVAILABLE:
            # In a task of its own: a request that is being cancelled may not wait for anything.
            giving = asyncio.create_task(_give_back(sessions, reservation, now))
            _GIVING.add(giving)
            giving.add_done_callback(_GIVING.discard)
            await asyncio.shield(giving)
        raise


async def _give_back(sessions: Sessions, reservation: Reservation, now: datetime) -> None:
    """Never raises: what ended the attempt is what the caller is told."""
    try:
        async with sessions.begin() as session:
            row = await session.get(LoginThrottle, reservation.key, with_for_update=True)
            if row is None or row.window_started_at != reservation.window_started_at:
                return  # purged, or counted anew since
            row.failures = max(0, row.failures - 1)
            if row.retry_at == reservation.retry_at:  # no other attempt has been counted since
                row.retry_at = now
            row.updated_at = now
    except Exception as error:
        log.warning("login-attempt-not-given-back", error=type(error).__name__)


async def forgive_attempt(
    session: AsyncSession, found: Keys, reservation: Reservation, now: datetime
) -> None:
    """After a success: takes the reservation back and remembers the address as the account's."""
    row = await session.get(LoginThrottle, reservation.key, with_for_update=True)
    if row is not None:
        known = reservation.key == found.known_address
        # A stranger's failures stay counted when the owner comes in; the owner's own are wiped out.
        row.failures = 0 if known else max(0, row.failures - 1)
        row.retry_at = now
        row.updated_at = now
    await session.execute(
        insert(LoginThrottle)
        .values(key=found.known_address, failures=0, window_started_at=now, retry_at=now, updated_at=now)
        .on_conflict_do_nothing()
    )


async def lift_throttle(session: AsyncSession, email_normalized: str, now: datetime) -> None:
    """Forgets the account's failures, once its owner has proved to be it in another way."""
    row = await session.get(LoginThrottle, keys(email_normalized, "").account, with_for_update=True)
    if row is not None:
        row.failures, row.retry_at, row.updated_at = 0, now, now


async def purge_throttle(session: AsyncSession, now: datetime) -> None:
    """Forgets counts and addresses unused for ``KEPT``."""
    await session.execute(delete(LoginThrottle).where(LoginThrottle.updated_at < now - KEPT))


def too_many_attempts(wait: timedelta) -> AppError:
    """429 with the seconds to wait."""
    return AppError(
        "too-many-attempts",
        Kind.TOO_MANY,
        "Too many attempts. Try again later.",
        retry_after_seconds=max(1, int(wait.total_seconds() + 0.999)),
    )
