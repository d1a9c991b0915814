"""Finishes what another service could not be told or asked: ended charges, cards, purchases, lost intents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select

from shared import logs
from shared.errors import AppError, Kind
from user_api.user_service.commerce import Commerce
from user_api.user_service.commerce_models import PaymentMethod, UserProduct
from user_api.user_service.detach_method import forget_method
from user_api.user_service.intents import list_given_up, settle_given_up
from user_api.user_service.queued_charges import close_unpermitted_charges
from user_api.user_service.remove_product import end_purchase

MOST_AT_ONCE: Final = 100
MOST_UNANSWERED: Final = 3  # in a row

log = logs.logger(__name__)


async def finish_endings(commerce: Commerce) -> None:
    """One turn; what cannot be done now is left to the next. Safe in several workers: every call repeats."""
    await close_unpermitted_charges(commerce, MOST_AT_ONCE)
    to_forget = select(PaymentMethod.user_id, PaymentMethod.id).where(
        PaymentMethod.detached_at.is_not(None), PaymentMethod.forgotten_at.is_(None)
    )
    to_end = select(UserProduct.id).where(
        UserProduct.removed_at.is_not(None), UserProduct.status.not_in(("cancelled", "expired"))
    )
    async with commerce.sessions() as session:
        methods = (await session.execute(to_forget.order_by(PaymentMethod.id).limit(MOST_AT_ONCE))).all()
        purchases = (await session.scalars(to_end.order_by(UserProduct.id).limit(MOST_AT_ONCE))).all()
    await _each(commerce, settle_given_up, await list_given_up(commerce, MOST_AT_ONCE))
    await _each(commerce, forget_method, methods)
    await _each(commerce, end_purchase, ((purchase_id,) for purchase_id in purchases))


async def _each(
    commerce: Commerce, finish: Callable[..., Awaitable[None]], rows: Iterable[tuple[UUID, ...] | Any]
) -> None:
    unanswered = 0
    for row in rows:
        try:
            await finish(commerce, *row)
            unanswered = 0
        except AppError as error:
            log.info(
                "ending-left-for-the-next-turn", ending=finish.__name__, id=str(row[-1]), code=error.code
            )
            unanswered += error.kind is Kind.UNAVAILABLE
            if unanswered == MOST_UNANSWERED:
                return  # nobody is there: every further call would cost its whole time
