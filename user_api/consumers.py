"""What UserAPI does with the events of its queues: one handler per queue, one transaction per event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from shared.clock import Clock
from shared.queue import inbox
from shared.queue.consumer import Handler
from shared.queue.messages import Envelope, state_of
from shared.queue.messages.catalog import CollectionState, ProductState
from shared.queue.messages.invoices import SubscriptionState
from shared.queue.messages.payments import PaymentMethodState, PaymentState
from user_api.rights_cache import RightsCache
from user_api.user_service import payment_copy
from user_api.user_service.apply_catalog_event import apply_collection_event, apply_product_event
from user_api.user_service.apply_subscription_event import apply_subscription_event
from user_api.user_service.database import Sessions
from user_api.user_service.erase_user import forget_cards_if_erased

PAYMENTS, INVOICES, CATALOG = "users.payments", "users.invoices", "users.catalog"


class EventHandlers:
    """Each handler writes the inbox row and the effect in one transaction, then brings Redis up to date.

    Redis is brought up to date for repeated events too: the first run may have died just before it.
    """

    def __init__(self, sessions: Sessions, clock: Clock, rights: RightsCache) -> None:
        self._sessions = sessions
        self._clock = clock
        self._rights = rights

    def by_queue(self) -> Mapping[str, Handler]:
        return {
            PAYMENTS: self.handle_payment_event,
            INVOICES: self.handle_invoice_event,
            CATALOG: self.handle_catalog_event,
        }

    async def handle_payment_event(self, envelope: Envelope) -> None:
        state, now = state_of(envelope), self._clock.now()
        async with self._sessions.begin() as session:
            if not await inbox.accept_async(session, PAYMENTS, envelope, now):
                return
            if isinstance(state, PaymentState):
                word = payment_copy.word_of_event(state, envelope.aggregatesequence)
                await payment_copy.store(session, word, now)
            elif isinstance(state, PaymentMethodState):
                await payment_copy.store_method(session, state, now)
            if isinstance(state, (PaymentState, PaymentMethodState)):
                await forget_cards_if_erased(session, state.user_id)

    async def handle_invoice_event(self, envelope: Envelope) -> None:
        """Of the invoices' exchange only subscriptions matter here; the rest is noted and let go."""
        state, now = state_of(envelope), self._clock.now()
        async with self._sessions.begin() as session:
            accepted = await inbox.accept_async(session, INVOICES, envelope, now)
            if accepted and isinstance(state, SubscriptionState):
                await apply_subscription_event(session, state, now)
        if isinstance(state, SubscriptionState):
            await self._rights.refresh([state.user_id])

    async def handle_catalog_event(self, envelope: Envelope) -> None:
        state, now = state_of(envelope), self._clock.now()
        users: Sequence[UUID] = ()
        version = 0
        async with self._sessions.begin() as session:
            if await inbox.accept_async(session, CATALOG, envelope, now):
                if isinstance(state, ProductState):
                    users = await apply_product_event(session, state, now)
                elif isinstance(state, CollectionState):
                    version = await apply_collection_event(session, state)
        await self._rights.refresh(users)
        if version:
            await self._rights.announce_catalog(version)
