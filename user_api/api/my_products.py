"""Products the signed-in user has bought."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy import select

from shared.asgi import problem_responses
from user_api.api.commerce_schemas import UserProductView
from user_api.api.deps import AppResources, CurrentUser
from user_api.api.language import RequestLanguage
from user_api.api.paging import DEFAULT_LIMIT, Cursor, Limit, newest_first
from user_api.user_service.commerce_models import CatalogProduct, UserProduct
from user_api.user_service.remove_product import remove_product

router = APIRouter(prefix="/v1/me/products", tags=["products"], responses=problem_responses(401))


class UserProductList(BaseModel):
    items: list[UserProductView]
    next_cursor: str | None


@router.get("")
async def list_my_products(
    resources: AppResources,
    user: CurrentUser,
    language: RequestLanguage,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> UserProductList:
    """Subscriptions and one-time products, newest first; removed ones are left out."""
    query = select(UserProduct).where(UserProduct.user_id == user.user_id, UserProduct.removed_at.is_(None))
    async with resources.sessions() as session:
        rows, following = await newest_first(session, query, UserProduct.id, cursor, limit)
        products = await session.scalars(
            select(CatalogProduct).where(CatalogProduct.id.in_({row.product_id for row in rows}))
        )
        titles = {product.id: product.title[language] for product in products}
    items = [UserProductView.of(row, titles.get(row.product_id)) for row in rows]
    return UserProductList(items=items, next_cursor=following)


@router.delete("/{product_id}", status_code=204, responses=problem_responses(404, 409))
async def delete_my_product(product_id: UUID, resources: AppResources, user: CurrentUser) -> Response:
    """Ends the rights of a one-time product, without a refund. A subscription is cancelled instead (409)."""
    await remove_product(resources.commerce, user.user_id, product_id)
    await resources.rights.refresh([user.user_id])
    return Response(status_code=204)
