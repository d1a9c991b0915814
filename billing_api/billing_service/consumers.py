"""Events of other services: each becomes one command, inside the transaction that the worker has opened."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from billing_api.billing_service.commands.apply_catalog_event import apply_catalog_event
from billing_api.billing_service.commands.apply_method_event import apply_method_event
from billing_api.billing_service.commands.apply_payment_event import apply_payment_event
from billing_api.billing_service.commands.apply_user_event import apply_user_event
from shared.queue.messages.base import Envelope, state_of
from shared.queue.messages.catalog import ProductState
from shared.queue.messages.payments import PaymentMethodState, PaymentState
from shared.queue.messages.users import UserState

EXCHANGES: Final = ("payments", "catalog", "users")


def apply_event(envelope: Envelope, now: datetime) -> None:
    """Takes over one event that the inbox has accepted; kinds that billing keeps nothing of are passed over.

    Raises pydantic's ValidationError for data of another shape, and what the command raises.
    """
    state = state_of(envelope)
    match state:
        case PaymentState():
            apply_payment_event(state, sequence=envelope.aggregatesequence, now=now)
        case PaymentMethodState():
            apply_method_event(state, sequence=envelope.aggregatesequence, now=now)
        case ProductState():
            apply_catalog_event(state, sequence=envelope.aggregatesequence, now=now)
        case UserState():
            apply_user_event(state, sequence=envelope.aggregatesequence, now=now)
        case _:
            return
