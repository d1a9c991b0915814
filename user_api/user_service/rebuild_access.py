"""Recomputes all rights from BillingAPI's bases of access, tells the differences and puts them right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, union
from sqlalchemy.ext.asyncio import AsyncSession

from user_api.clients.billing_api import AccessBasis, SubscriptionView
from user_api.user_service.access import Purchase, Right, rights_of
from user_api.user_service.commerce import Commerce
from user_api.user_service.commerce_models import AccessRightRow, AccessVersion, CatalogProduct, UserProduct
from user_api.user_service.rights_store import lock_product, lock_version, replace_rights

TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Difference:
    """A user's rights as stored against what BillingAPI's state gives; both as [resource, until, source].

    ``purchases`` are ids of purchases whose stored access differs, is missing or should not be.
    """

    user_id: UUID
    lacking: list[Right]
    surplus: list[Right]
    purchases: list[UUID]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _State:
    version: int
    rights: frozenset[Right]
    held: dict[UUID, UserProduct]
    products: dict[UUID, CatalogProduct]


async def find_users(commerce: Commerce) -> Sequence[UUID]:
    """Everybody who has rights here or a purchase that gives some; in the order of their ids."""
    with_rights = select(AccessRightRow.user_id)
    with_access = select(UserProduct.user_id).where(UserProduct.grants_access)
    async with commerce.sessions() as session:
        found = await session.scalars(union(with_rights, with_access))
        return sorted(found.all())


async def compare_user(commerce: Commerce, user_id: UUID, bases: Sequence[AccessBasis]) -> Difference | None:
    """What differs, or None; nothing is written."""
    async with commerce.sessions() as session:
        return _difference(user_id, bases, await _read(session, user_id, bases))


async def rebuild_user(commerce: Commerce, user_id: UUID) -> Difference | None:
    """Puts a user's rights right by what BillingAPI says now; gives what differed.

    BillingAPI is asked before the transaction; when the rights have moved meanwhile it is asked again, so
    the state of an event is never undone by an older answer. Raises ``TimeoutError`` when they keep moving.
    """
    for _ in range(TRIES):
        async with commerce.sessions() as session:
            seen = await session.scalar(select(AccessVersion.version).where(AccessVersion.user_id == user_id))
        bases = await commerce.billing_api.access_bases(user_id)
        found = await compare_user(commerce, user_id, bases)
        if found is None:
            return None
        views = {
            purchase: await commerce.billing_api.get_subscription(purchase) for purchase in found.purchases
        }
        if await _write(commerce, user_id, seen or 0, bases, views):
            return found
    raise TimeoutError(f"the rights of {user_id} keep moving")


async def _write(
    commerce: Commerce,
    user_id: UUID,
    seen: int,
    bases: Sequence[AccessBasis],
    views: dict[UUID, SubscriptionView],
) -> bool:
    now = commerce.clock.now()
    async with commerce.sessions.begin() as session:
        for product_id in sorted({basis.product_id for basis in bases}):
            await lock_product(session, product_id, exclusive=False)
        version = await lock_version(session, user_id, now)
        if version.version != seen:
            return False
        state = await _read(session, user_id, bases)
        of_basis = {basis.subscription_id: basis for basis in bases}
        for purchase_id, view in views.items():
            _store(session, state.held.get(purchase_id), view, of_basis.get(purchase_id), now)
        expected = _expected(bases, state)
        by_source = {right.source: frozenset[Right]() for right in state.rights | expected}
        for right in expected:
            by_source[right.source] |= {right}
        await replace_rights(session, version, by_source, now)
    return True


def _store(
    session: AsyncSession,
    held: UserProduct | None,
    view: SubscriptionView,
    basis: AccessBasis | None,
    now: datetime,
) -> None:
    extra: dict[str, Any] = view.model_extra or {}
    if held is None:
        period: dict[str, Any] = extra.get("current_period") or {}
        held = UserProduct(
            id=view.id,
            user_id=view.user_id,
            kind=view.kind,
            product_group=extra.get("product_group") or "",
            cancel_at_period_end=bool(extra.get("cancel_at_period_end")),
            current_period_start=_date(period.get("start")),
            current_period_end=_date(period.get("end")),
            created_at=_moment(extra.get("created_at")) or now,
        )
        session.add(held)
    held.product_id = view.product_id
    held.price_id = view.price_id
    held.status = view.status.value
    held.grants_access = basis is not None
    held.access_until = basis.until if basis else _moment(extra.get("access_until"))
    held.reduced_until = basis.reduced_until if basis else None
    held.updated_at = now


async def _read(session: AsyncSession, user_id: UUID, bases: Sequence[AccessBasis]) -> _State:
    version = await session.scalar(select(AccessVersion.version).where(AccessVersion.user_id == user_id))
    rows = await session.scalars(select(AccessRightRow).where(AccessRightRow.user_id == user_id))
    rights = frozenset(Right(row.resource, row.until, row.source) for row in rows)
    held = await session.scalars(select(UserProduct).where(UserProduct.user_id == user_id))
    wanted = {basis.product_id for basis in bases}
    products = await session.scalars(select(CatalogProduct).where(CatalogProduct.id.in_(wanted)))
    return _State(
        version or 0,
        rights,
        {purchase.id: purchase for purchase in held},
        {product.id: product for product in products},
    )


def _expected(bases: Iterable[AccessBasis], state: _State) -> frozenset[Right]:
    """The rights that follow; what the user has removed here stays removed."""
    rights: frozenset[Right] = frozenset()
    for basis in bases:
        held = state.held.get(basis.subscription_id)
        removed = held is not None and held.removed_at is not None
        purchase = Purchase(
            basis.subscription_id,
            basis.product_id,
            True,
            basis.until,
            removed=removed,
            reduced_until=basis.reduced_until,
        )
        of = state.products.get(basis.product_id, basis)
        rights |= rights_of(purchase, of.grants, of.reduced_grants)
    return rights


def _difference(user_id: UUID, bases: Sequence[AccessBasis], state: _State) -> Difference | None:
    expected = _expected(bases, state)
    of_basis = {basis.subscription_id: basis for basis in bases}
    wrong = {
        held.id
        for held in state.held.values()
        if held.grants_access and held.removed_at is None and held.id not in of_basis
    }
    for basis in bases:
        held = state.held.get(basis.subscription_id)
        if held is None or (held.product_id, held.grants_access, held.access_until, held.reduced_until) != (
            basis.product_id,
            True,
            basis.until,
            basis.reduced_until,
        ):
            wrong.add(basis.subscription_id)
    if expected == state.rights and not wrong:
        return None
    key = _by_source
    return Difference(
        user_id,
        sorted(expected - state.rights, key=key),
        sorted(state.rights - expected, key=key),
        sorted(wrong),
    )


def _by_source(right: Right) -> tuple[str, str]:
    return right.source, right.resource


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
