"""The catalogue as the public sees it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel
from sqlalchemy import select, tuple_

from shared.asgi import problem_responses
from shared.errors import not_found
from shared.money import Money
from shared.pagination import decode_cursor, page
from shared.queue.messages.catalog import PriceState
from user_api.api.deps import AppResources
from user_api.api.language import RequestLanguage
from user_api.api.paging import DEFAULT_LIMIT, Cursor, Limit, decode_id
from user_api.user_service.commerce_models import CatalogProduct

router = APIRouter(prefix="/v1/products", tags=["products"])


class PriceView(BaseModel):
    """A price; no interval: charged once. ``access_days`` null on a one-time price: access without an end.

    ``term_periods``: the subscription ends after so many periods, null: it renews until it is cancelled.
    ``next_amount`` is charged from ``next_amount_from`` on.
    """

    id: UUID
    amount: Money
    interval_unit: str | None
    interval_count: int
    term_periods: int | None
    trial_days: int
    access_days: int | None
    is_default: bool
    next_amount: Money | None
    next_amount_from: datetime | None


class ProductView(BaseModel):
    """``reduced_grants``: those of the grants that outlast the grace for who does not pay; empty: none."""

    id: UUID
    slug: str
    kind: Literal["recurring", "one_time"]
    group: str
    title: str
    description: str
    grants: list[str]
    reduced_grants: list[str]
    prices: list[PriceView]


class ProductList(BaseModel):
    items: list[ProductView]
    next_cursor: str | None


@router.get("")
async def list_products(
    resources: AppResources,
    language: RequestLanguage,
    kind: Annotated[Literal["recurring", "one_time"] | None, Query()] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> ProductList:
    """Published products in the catalogue's order, in the language of ``Accept-Language`` (ru, en)."""
    query = select(CatalogProduct).where(CatalogProduct.status == "published")
    if kind is not None:
        query = query.where(CatalogProduct.kind == kind)
    if cursor is not None:
        rank, last_id = decode_cursor(cursor, int, str)
        if not -(2**31) <= rank < 2**31:
            rank = 2**31 - 1
        after = tuple_(CatalogProduct.rank, CatalogProduct.id) > tuple_(rank, decode_id(last_id))
        query = query.where(after)
    query = query.order_by(CatalogProduct.rank, CatalogProduct.id).limit(limit + 1)
    async with resources.sessions() as session:
        rows = (await session.scalars(query)).all()
    shown, following = page(rows, limit, lambda row: [row.rank, str(row.id)])
    now = resources.clock.now()
    return ProductList(items=[_view(row, language, now) for row in shown], next_cursor=following)


@router.get("/{product_id}", responses=problem_responses(404))
async def get_product(product_id: UUID, resources: AppResources, language: RequestLanguage) -> ProductView:
    """One published product."""
    async with resources.sessions() as session:
        row = await session.get(CatalogProduct, product_id)
    if row is None or row.status != "published":
        raise not_found("product")
    return _view(row, language, resources.clock.now())


def _view(row: CatalogProduct, language: str, now: datetime) -> ProductView:
    return ProductView(
        id=row.id,
        slug=row.slug,
        kind="one_time" if row.kind == "one_time" else "recurring",
        group=row.product_group,
        title=row.title[language],
        description=row.description[language],
        grants=row.grants,
        reduced_grants=row.reduced_grants,
        prices=[_price(price, now) for price in _on_sale(row.prices, now)],
    )


def _on_sale(prices: list[dict[str, Any]], now: datetime) -> list[PriceState]:
    states = [PriceState.model_validate(price) for price in prices]
    on_sale = [price for price in states if price.is_active and not _is_ahead(price, now)]
    return sorted(on_sale, key=lambda price: (not price.is_default, price.amount.amount))


def _is_ahead(price: PriceState, now: datetime) -> bool:
    """On sale only from its date: nothing is known that holds until then."""
    return price.next_amount is None and price.valid_from is not None and price.valid_from > now


def _price(price: PriceState, now: datetime) -> PriceView:
    following = price.next_amount if price.valid_from is not None else None
    if following is not None and price.valid_from is not None and price.valid_from <= now:
        amount, following = following, None
    else:
        amount = price.amount
    return PriceView(
        id=price.price_id,
        amount=amount,
        interval_unit=price.interval_unit and price.interval_unit.value,
        interval_count=price.interval_count,
        term_periods=price.term_periods,
        trial_days=price.trial_days,
        access_days=price.access_days,
        is_default=price.is_default,
        next_amount=following,
        next_amount_from=price.valid_from if following is not None else None,
    )
