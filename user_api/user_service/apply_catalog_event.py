"""Applies AdminPanel's catalogue: products with prices and grants, and the films of collections."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.queue.messages.catalog import CollectionState, ProductState
from user_api.user_service.access import rights_of, source_of
from user_api.user_service.apply_subscription_event import as_purchase
from user_api.user_service.commerce_models import (
    CatalogCollection,
    CatalogProduct,
    CatalogVersion,
    UserProduct,
)
from user_api.user_service.rights_store import lock_product, lock_version, replace_rights


async def apply_product_event(session: AsyncSession, state: ProductState, now: datetime) -> Sequence[UUID]:
    """Stores a product; when its grants changed, derives the rights of all who have it. Gives those users."""
    await lock_product(session, state.product_id, exclusive=True)
    known = await session.get(CatalogProduct, state.product_id, populate_existing=True)
    before = (set(known.grants), set(known.reduced_grants)) if known else (set(), set())
    changed = before != (set(state.grants), set(state.reduced_grants))
    values: dict[str, Any] = {
        "id": state.product_id,
        "slug": state.slug,
        "kind": state.kind,
        "product_group": state.group,
        "title": state.title.model_dump(),
        "description": state.description.model_dump(),
        "grants": state.grants,
        "reduced_grants": state.reduced_grants,
        "prices": [price.model_dump(mode="json") for price in state.prices],
        "rank": state.rank,
        "status": state.status,
        "updated_at": state.updated_at,
    }
    await session.execute(
        insert(CatalogProduct)
        .values(**values)
        .on_conflict_do_update(index_elements=[CatalogProduct.id], set_=values)
    )
    return await _derive_again(session, state, now) if changed else ()


async def _derive_again(session: AsyncSession, state: ProductState, now: datetime) -> Sequence[UUID]:
    owned = await session.scalars(
        select(UserProduct)
        .where(UserProduct.product_id == state.product_id)
        .order_by(UserProduct.user_id, UserProduct.id)
    )
    by_user: dict[UUID, list[UserProduct]] = {}
    for held in owned:
        by_user.setdefault(held.user_id, []).append(held)
    for user_id in sorted(by_user):  # users are locked in one order, whoever does it
        version = await lock_version(session, user_id, now)
        derived = {}
        for held in by_user[user_id]:
            # Read again under the lock: the user may have removed it meanwhile.
            await session.refresh(held)
            derived[source_of(held.id)] = rights_of(as_purchase(held), state.grants, state.reduced_grants)
        await replace_rights(session, version, derived, now)
    return sorted(by_user)


async def apply_collection_event(session: AsyncSession, state: CollectionState) -> int:
    """Stores a collection and gives the new version of the film -> collections map."""
    values: dict[str, Any] = {
        "id": state.collection_id,
        "slug": state.slug,
        "movie_ids": state.movie_ids,
        "updated_at": state.updated_at,
    }
    # The version's row first: its lock puts changes of the map in a row.
    raised = (
        insert(CatalogVersion)
        .values(id=1, version=1)
        .on_conflict_do_update(
            index_elements=[CatalogVersion.id], set_={"version": CatalogVersion.version + 1}
        )
        .returning(CatalogVersion.version)
    )
    version = (await session.scalars(raised)).one()
    await session.execute(
        insert(CatalogCollection)
        .values(**values)
        .on_conflict_do_update(index_elements=[CatalogCollection.id], set_=values)
    )
    return int(version)
