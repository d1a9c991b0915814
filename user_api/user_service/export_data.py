"""Gathers everything the suite keeps about one person (152-FZ art. 14, GDPR art. 15 and 20)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.errors import not_found
from user_api.cache import SessionStore
from user_api.user_service import repository
from user_api.user_service.commerce import Commerce
from user_api.user_service.models import User

# Name in the document -> rows of the Users database. Secrets (hashes, keys) are no part of an answer.
TABLES: Final[dict[str, str]] = {
    "purchases": "SELECT id, kind, product_id, price_id, status, cancel_at_period_end, access_until,"
    " current_period_start, current_period_end, trial_ends_at, removed_at, created_at"
    " FROM user_products WHERE user_id = :user_id ORDER BY id",
    "access_rights": "SELECT resource, source, until, granted_at FROM access_rights"
    " WHERE user_id = :user_id ORDER BY resource, source",
    "consents": "SELECT id, subscription_id, payment_method_id, status, text_version,"
    " text_language, text_sha256, accepted_at,"
    " activated_at, revoked_at, revoked_reason FROM recurring_payments WHERE user_id = :user_id ORDER BY id",
    "payment_methods": "SELECT id, provider, card_mask, card_brand, expires_month, expires_year,"
    " created_at, detached_at FROM payment_methods WHERE user_id = :user_id ORDER BY id",
    "account_actions": "SELECT action, acted_at FROM account_actions WHERE user_id = :user_id ORDER BY id",
    "messages": "SELECT kind, address, created_at, collected_at, used_at FROM account_messages"
    " WHERE user_id = :user_id ORDER BY id",
    "ended_sessions": "SELECT reason, revoked_at FROM revoked_sessions"
    " WHERE user_id = :user_id ORDER BY revoked_at",
}


async def export_data(commerce: Commerce, store: SessionStore, user_id: UUID) -> dict[str, Any]:
    """The document, JSON ready. Raises ``user-not-found`` and the unavailability of another service.

    Half an answer would look like a whole one, so a service that is away makes it fail.
    """
    now = commerce.clock.now()
    async with commerce.sessions() as session:
        user = await repository.find_user(session, user_id)
        if user is None:
            raise not_found("user")
        own = {name: await _rows(session, sql, user_id) for name, sql in TABLES.items()}
    live = await store.list_live(user_id, user.token_epoch, now)
    sessions = [
        {"user_agent": one.user_agent, "created_at": one.created_at, "used_at": one.used_at} for one in live
    ]
    params: dict[str, str | int] = {"user_id": str(user_id), "limit": 100}
    return {
        "exported_at": now.isoformat(),
        "profile": _profile(user),
        "sessions": [_plain(item) for item in sessions],
        **own,
        "payments": await _all(commerce.pay_api.list_payments, params),
        "subscriptions": await _all(commerce.billing_api.list_subscriptions, params),
        "invoices": await _all(commerce.billing_api.list_invoices, params),
    }


def _profile(user: User) -> dict[str, Any]:
    names = ("id", "email", "email_confirmed_at", "full_name", "phone", "locale", "time_zone", "status")
    return _plain({name: getattr(user, name) for name in (*names, "password_changed_at", "created_at")})


async def _rows(session: AsyncSession, sql: str, user_id: UUID) -> list[dict[str, Any]]:
    found = await session.execute(text(sql), {"user_id": user_id})
    return [_plain(dict(row)) for row in found.mappings()]


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain_value(value) for name, value in values.items()}


def _plain_value(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return value.isoformat() if isinstance(value, datetime) else str(value)


async def _all(
    read: Callable[[dict[str, str | int]], Awaitable[dict[str, Any]]], params: dict[str, str | int]
) -> list[dict[str, Any]]:
    """Every page of another service's list."""
    params = dict(params)
    found: list[dict[str, Any]] = []
    while True:
        page = await read(params)
        found += page.get("items", [])
        if page.get("next_cursor") is None:
            return found
        params["cursor"] = str(page["next_cursor"])
