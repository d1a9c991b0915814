"""Events of the exchange ``catalog``, published by AdminPanel."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.money import Money
from shared.period import IntervalUnit
from shared.queue.messages.base import EventState


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class LocalizedText(_Part):
    ru: str
    en: str


class PriceState(_Part):
    """A price; ``interval_unit`` None for a one-time product. ``access_days`` None: access without an end.

    ``amount`` holds until ``valid_from``, then ``next_amount``: for new customers at once, for running
    subscriptions after a notice. ``minimum``: discounts do not go below it, except those that promise a free
    period or free days. ``term_periods``: the subscription ends after so many periods.
    """

    price_id: UUID
    amount: Money
    next_amount: Money | None = None
    minimum: Money | None = None
    interval_unit: IntervalUnit | None = None
    interval_count: int = 1
    term_periods: int | None = None
    trial_days: int = 0
    access_days: int | None = None
    is_default: bool = False
    is_active: bool = True
    valid_from: datetime | None = None


class ProductState(EventState):
    """A product: a subscription or a one-time purchase. ``grants`` are resource names.

    Resources: ``collection:<slug>``, ``movie:<id>``, ``feature:<slug>``.
    """

    AGGREGATE: ClassVar[str] = "product"
    EXCHANGE: ClassVar[str] = "catalog"
    TYPES: ClassVar[tuple[str, ...]] = ("product.published", "product.retired")

    product_id: UUID
    slug: str
    kind: Literal["recurring", "one_time"]
    group: str
    title: LocalizedText
    description: LocalizedText
    grants: list[str]
    # Those of them that go on after the grace, until the day of cancellation; none: access is blocked then.
    reduced_grants: list[str] = Field(default_factory=list)
    prices: list[PriceState]
    grace_days: int = 3
    trial_needs_method: bool = True
    # What a trial that nobody can be charged for comes to: its end, or an open invoice and dunning.
    trial_without_method: Literal["cancel", "invoice"] = "cancel"
    refund_window_days: int = 14
    rank: int = 0  # order in the list and of upgrades within the group
    # When a dearer or cheaper product takes effect, and the dunning; empty: billing's defaults.
    change_policy: dict[Literal["dearer", "cheaper"], Literal["now", "at_period_end"]] = Field(
        default_factory=dict
    )
    dunning_policy: dict[str, Any] = Field(default_factory=dict)
    status: Literal["published", "retired"]
    updated_at: datetime


class CollectionState(EventState):
    """A collection of films, whole."""

    AGGREGATE: ClassVar[str] = "collection"
    EXCHANGE: ClassVar[str] = "catalog"
    TYPES: ClassVar[tuple[str, ...]] = ("collection.published",)

    collection_id: UUID
    slug: str
    title: LocalizedText
    movie_ids: list[UUID]
    updated_at: datetime
