"""Fixtures of the commerce tests: the app between fakes of PayAPI and BillingAPI, people, events."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from shared.clock import ManualClock
from shared.ids import new_id
from shared.money import Money
from shared.queue.messages.base import Envelope
from shared.queue.messages.catalog import CollectionState, LocalizedText, PriceState, ProductState
from shared.queue.outbox import build_envelope
from tests.user_api.commerce.fakes import FakeBillingApi, FakePayApi
from user_api.clients.billing_api import BillingApi
from user_api.clients.pay_api import PayApi
from user_api.consumers import EventHandlers
from user_api.resources import Resources
from user_api.user_service.commerce import Commerce

CRYPTOGRAM = "cryptogram-canary-0123456789"
PASSWORD = "correct horse battery"
CONSENT = {"text_version": "2026-01", "accepted": True}


def card(cryptogram: str = CRYPTOGRAM, *, save: bool = False) -> dict[str, Any]:
    return {"kind": "card_cryptogram", "card_cryptogram": cryptogram, "save_method": save}


@pytest.fixture
def pay(clock: ManualClock) -> FakePayApi:
    return FakePayApi(clock)


@pytest.fixture
def billing(clock: ManualClock) -> FakeBillingApi:
    return FakeBillingApi(clock)


@pytest.fixture
def app(make_app: Callable[..., FastAPI], pay: FakePayApi, billing: FakeBillingApi) -> FastAPI:
    return between(make_app(), pay, billing)


def between(app: FastAPI, pay: FakePayApi, billing: FakeBillingApi) -> FastAPI:
    """Puts the fakes where the other services are."""
    resources: Resources = app.state.resources
    pay_api = PayApi(
        "http://pay-api", "t", transport=httpx.ASGITransport(pay.app, raise_app_exceptions=False)
    )
    billing_api = BillingApi(
        "http://billing-api", "t", transport=httpx.ASGITransport(billing.app, raise_app_exceptions=False)
    )
    app.state.resources = dataclasses.replace(
        resources,
        pay_api=pay_api,
        billing_api=billing_api,
        commerce=Commerce(resources.sessions, resources.clock, pay_api, billing_api),
    )
    return app


@pytest.fixture
def resources(app: FastAPI) -> Resources:
    found: Resources = app.state.resources
    return found


@pytest.fixture
def handlers(resources: Resources) -> EventHandlers:
    return EventHandlers(resources.sessions, resources.clock, resources.rights)


@pytest.fixture
def deliver(
    handlers: EventHandlers, pay: FakePayApi, billing: FakeBillingApi
) -> Callable[[], Awaitable[None]]:
    """Brings the events the fakes have emitted since the last call."""

    async def go() -> None:
        while pay.events:
            await handlers.handle_payment_event(pay.events.pop(0))
        while billing.events:
            await handlers.handle_invoice_event(billing.events.pop(0))

    return go


class Person:
    """Someone signed in."""

    def __init__(self, client: httpx.AsyncClient, registered: dict[str, Any]) -> None:
        self._client = client
        self.id = UUID(registered["user"]["id"])
        self.headers = {"Authorization": f"Bearer {registered['access_token']}"}

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self._client.get(path, headers=self.headers, params=params)

    async def post(self, path: str, body: Any, key: str | None = None) -> httpx.Response:
        headers = self.headers | {"Idempotency-Key": key or str(uuid4())}
        return await self._client.post(path, headers=headers, json=body)

    async def patch(self, path: str, body: Any) -> httpx.Response:
        return await self._client.patch(path, headers=self.headers, json=body)

    async def delete(self, path: str) -> httpx.Response:
        return await self._client.delete(path, headers=self.headers)

    async def buy(self, product_id: UUID, key: str | None = None, **fields: Any) -> httpx.Response:
        body = {"product_id": str(product_id), "payment": card(), **fields}
        return await self.post("/v1/me/subscriptions", body, key)

    async def may(self, resource: str) -> bool:
        answer = await self.get(f"/v1/me/access-rights/{resource}")
        assert answer.status_code == 200, answer.text
        granted: bool = answer.json()["granted"]
        return granted


SignUp = Callable[[str], Awaitable[Person]]


@pytest.fixture
def sign_up(client: httpx.AsyncClient) -> SignUp:
    async def go(email: str) -> Person:
        body = {"email": email, "password": PASSWORD}
        answer = await client.post("/v1/auth/register", json=body)
        assert answer.status_code == 201, answer.text
        return Person(client, answer.json())

    return go


@pytest.fixture
async def anna(sign_up: SignUp) -> Person:
    return await sign_up("anna@example.com")


class Catalogue:
    """Publishes products and collections as AdminPanel does."""

    def __init__(self, handlers: EventHandlers, billing: FakeBillingApi, clock: ManualClock) -> None:
        self._handlers, self._billing, self._clock = handlers, billing, clock
        self._sequences: dict[UUID, int] = {}

    def envelope(self, event_type: str, aggregate_id: UUID, state: Any) -> Envelope:
        sequence = self._sequences[aggregate_id] = self._sequences.get(aggregate_id, 0) + 1
        return build_envelope("admin-panel", event_type, aggregate_id, sequence, state, self._clock.now())

    async def product(
        self,
        *grants: str,
        product_id: UUID | None = None,
        price: int = 49900,
        kind: Any = "recurring",
        rank: int = 0,
        status: Any = "published",
        reduced: Sequence[str] = (),
        **terms: Any,
    ) -> UUID:
        product_id = product_id or new_id()
        self._billing.prices[product_id] = price
        self._billing.kinds[product_id] = kind
        state = ProductState(
            product_id=product_id,
            slug=f"p-{product_id.hex[-6:]}",
            kind=kind,
            group="main",
            title=LocalizedText(ru="Базовая", en="Basic"),
            description=LocalizedText(ru="Фильмы", en="Films"),
            grants=list(grants),
            reduced_grants=list(reduced),
            prices=[PriceState(price_id=new_id(), amount=Money(price), is_default=True, **terms)],
            rank=rank,
            status=status,
            updated_at=self._clock.now(),
        )
        name = "product.published" if status == "published" else "product.retired"
        await self._handlers.handle_catalog_event(self.envelope(name, product_id, state))
        return product_id

    async def collection(self, slug: str, *movies: UUID, collection_id: UUID | None = None) -> UUID:
        collection_id = collection_id or new_id()
        state = CollectionState(
            collection_id=collection_id,
            slug=slug,
            title=LocalizedText(ru=slug, en=slug),
            movie_ids=list(movies),
            updated_at=self._clock.now(),
        )
        envelope = self.envelope("collection.published", collection_id, state)
        await self._handlers.handle_catalog_event(envelope)
        return collection_id


@pytest.fixture
def catalogue(handlers: EventHandlers, billing: FakeBillingApi, clock: ManualClock) -> Catalogue:
    return Catalogue(handlers, billing, clock)
