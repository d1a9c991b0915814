"""Rights are a function of what was told: any history, any order, Redis warm or flushed, one answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.clock import ManualClock
from shared.ids import new_id
from shared.queue.messages.invoices import SubscriptionState, SubscriptionStatus
from shared.queue.outbox import build_envelope
from tests.user_api.commerce.conftest import Catalogue
from tests.user_api.commerce.fakes import FakeBillingApi
from user_api.consumers import EventHandlers
from user_api.resources import Resources
from user_api.rights_cache import UserRights
from user_api.user_service.access import Decision, Purchase, Right, compare, decide, rights_of
from user_api.user_service.remove_product import remove_product

ROUNDS = int(os.environ.get("TEST_ROUNDS", "1"))
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SLUGS = ("a", "b")
FEATURES = ("feature:uhd", "feature:hd")
SHOPS = 3  # purchases, each of a product of its own
FILMS = 3

# One step of a history: what happens, and its arguments (indices and small numbers).
events = st.tuples(
    st.just("told"),
    st.integers(0, SHOPS - 1),
    st.integers(1, 6),  # sequence: repeated, older and skipped ones come too
    st.booleans(),  # grants access
    st.sampled_from([None, 0, 1, 2, 5]),  # until, days from the start; None: without an end
)
publications = st.tuples(st.just("published"), st.integers(0, SHOPS - 1), st.integers(0, 15))
collections = st.tuples(st.just("collected"), st.integers(0, 1), st.integers(0, 2**FILMS - 1))
removals = st.tuples(st.just("removed"), st.integers(0, SHOPS - 1))
passing = st.tuples(st.just("passed"), st.integers(1, 40))  # hours
flushes = st.tuples(st.just("flushed"))
histories = st.lists(
    st.one_of(events, events, publications, collections, removals, passing, flushes), min_size=1, max_size=14
)


def subset(names: Sequence[str], bits: int) -> list[str]:
    return [name for number, name in enumerate(names) if bits >> number & 1]


@dataclass
class Model:
    """Says by itself, from nothing but the newest word on each thing, what is granted."""

    films: list[str]
    now: datetime = START
    told: dict[int, tuple[int, bool, datetime | None]] = field(default_factory=dict)
    grants: dict[int, list[str]] = field(default_factory=dict)
    holds: dict[str, list[str]] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)

    def granted(self, resource: str) -> tuple[bool, datetime | None]:
        ends: list[datetime | None] = []
        for shop, (_, gives, until) in self.told.items():
            if not gives or shop in self.removed or (until is not None and until <= self.now):
                continue
            for name in self.grants.get(shop, []):
                if name == resource or resource in self.holds.get(name, []):
                    ends.append(until)
        if not ends:
            return False, None
        return True, None if None in ends else max(end for end in ends if end is not None)


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from([None, 1, 2, 3]), st.integers(0, 15))),
    st.integers(0, 4),
)
@settings(max_examples=1000, deadline=None)
def test_the_pure_rules_agree_with_the_model(
    purchases: list[tuple[bool, bool, int | None, int]], hours: int
) -> None:
    names = ["collection:a", "collection:b", *FEATURES]
    film = f"movie:{UUID(int=7)}"
    model = Model([film], START + timedelta(hours=hours), holds={"collection:a": [film]})
    rights: set[Right] = set()
    for number, (gives, removed, end, bits) in enumerate(purchases):
        until = START + timedelta(hours=end) if end is not None else None
        model.told[number], model.grants[number] = (1, gives, until), subset(names, bits)
        model.removed |= {number} if removed else set()
        rights |= rights_of(Purchase(UUID(int=number), new_id(), gives, until, removed), subset(names, bits))
    found = {}
    for resource in (film, *names):
        found[resource] = decide(sorted(rights, key=str), resource, {film: ("collection:a",)}, model.now)
        assert (found[resource].granted, found[resource].until) == model.granted(resource)
    changed = compare([], rights, model.now)
    assert set(changed.granted) == {name for name in names if found[name].granted}
    assert not compare(rights, rights, model.now)


@given(
    st.lists(st.tuples(st.sampled_from(FEATURES), st.sampled_from([None, 1, 2, 3]))),
    st.lists(st.integers(0, 4)),
)
@settings(max_examples=300, deadline=None)
def test_a_remembered_decision_is_the_one_made_anew(
    held: list[tuple[str, int | None]], hours: list[int]
) -> None:
    """Time moves forward; a decision once made is not asked again until it ends."""
    from user_api.rights_cache import RightsCache

    clock = ManualClock(START)
    cache = RightsCache.__new__(RightsCache)
    cache._clock, cache._collections_of, cache._catalog_version = clock, {}, 1
    rights = tuple(
        Right(name, START + timedelta(hours=end) if end is not None else None, str(number))
        for number, (name, end) in enumerate(held)
    )
    user = UserRights(1, 1, frozenset(), rights)
    for moment in sorted(hours):
        clock.set(START + timedelta(hours=moment))
        for name in FEATURES:
            expected = decide(rights, name, {}, clock.now())
            got = cache.decide(user, name)
            # A later end than another's may have been told; whether it is granted is never in question.
            assert got.granted == expected.granted
            assert got == expected or (got.until is None or clock.now() < got.until)
            assert isinstance(got, Decision)


class Teller:
    """Brings a history to UserAPI as its queues do."""

    def __init__(
        self,
        resources: Resources,
        handlers: EventHandlers,
        catalogue: Catalogue,
        clock: ManualClock,
    ) -> None:
        self.resources, self.handlers, self.catalogue, self.clock = resources, handlers, catalogue, clock
        self.user = new_id()
        self.purchases = [new_id() for _ in range(SHOPS)]
        self.products = [new_id() for _ in range(SHOPS)]
        self.collections = [new_id() for _ in SLUGS]
        # Slugs are nobody else's: the film map is one for all users.
        self.slugs = [f"{slug}-{self.user.hex[-12:]}" for slug in SLUGS]
        self.movies = [new_id() for _ in range(FILMS)]
        self.model = Model([f"movie:{movie}" for movie in self.movies], clock.now())
        self.start = clock.now()

    @property
    def names(self) -> list[str]:
        return [*(f"collection:{slug}" for slug in self.slugs), *FEATURES]

    async def told(self, shop: int, sequence: int, gives: bool, days: int | None) -> None:
        until = self.start + timedelta(days=days) if days is not None else None
        state = SubscriptionState(
            subscription_id=self.purchases[shop],
            user_id=self.user,
            kind="one_time",
            product_id=self.products[shop],
            price_id=new_id(),
            product_group="main",
            status=SubscriptionStatus.ACTIVE if gives else SubscriptionStatus.CANCELLED,
            cancel_at_period_end=False,
            grants_access=gives,
            access_until=until,
            created_at=self.start,
            updated_at=self.clock.now(),
        )
        envelope = build_envelope(
            "billing-api", "subscription.changed", self.purchases[shop], sequence, state, self.clock.now()
        )
        await self.handlers.handle_invoice_event(envelope)
        if sequence > self.model.told.get(shop, (0, False, None))[0]:
            self.model.told[shop] = sequence, gives, until

    async def published(self, shop: int, bits: int) -> None:
        grants = subset(self.names, bits)
        await self.catalogue.product(*grants, product_id=self.products[shop], kind="one_time")
        self.model.grants[shop] = grants

    async def collected(self, which: int, bits: int) -> None:
        movies = [movie for number, movie in enumerate(self.movies) if bits >> number & 1]
        await self.catalogue.collection(self.slugs[which], *movies, collection_id=self.collections[which])
        self.model.holds[f"collection:{self.slugs[which]}"] = [f"movie:{movie}" for movie in movies]

    async def removed(self, shop: int) -> None:
        if shop in self.model.told:
            await remove_product(self.resources.commerce, self.user, self.purchases[shop])
            await self.resources.rights.refresh([self.user])
            self.model.removed.add(shop)

    async def passed(self, hours: int) -> None:
        self.clock.advance(timedelta(hours=hours))
        self.model.now = self.clock.now()

    async def flushed(self) -> None:
        await self.resources.cache_redis.flushdb()

    async def agree(self, resources: Iterable[str]) -> None:
        """What Redis says, what the database says and what the model says."""
        loaded, _ = await self.resources.rights._load(self.user)
        for resource in resources:
            found = await self.resources.rights.check(self.user, resource)
            anew = self.resources.rights.decide(loaded, resource)
            expected = self.model.granted(resource)
            assert (found.granted, found.until) == (anew.granted, anew.until) == expected, resource


@pytest.fixture
def teller(patient: Resources, billing: FakeBillingApi, clock: ManualClock) -> Callable[[], Teller]:
    handlers = EventHandlers(patient.sessions, clock, patient.rights)
    return lambda: Teller(patient, handlers, Catalogue(handlers, billing, clock), clock)


async def live(teller: Teller, history: list[tuple[Any, ...]]) -> None:
    for what, *arguments in history:
        await getattr(teller, what)(*arguments)
        await teller.agree([*teller.names, *teller.model.films])


RELAXED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@given(history=histories)
@settings(max_examples=60, deadline=None, suppress_health_check=RELAXED)
async def test_any_history_gives_the_rights_of_its_newest_words(
    teller: Callable[[], Teller], history: list[tuple[Any, ...]]
) -> None:
    await live(teller(), history)


@pytest.mark.long
@pytest.mark.timeout(600)
@given(history=histories)
@settings(max_examples=1000 * ROUNDS, deadline=None, suppress_health_check=RELAXED)
async def test_a_thousand_histories(teller: Callable[[], Teller], history: list[tuple[Any, ...]]) -> None:
    await live(teller(), history)
