"""A customer who clicks in several tabs at once, against a running stack; answers are given, not judged."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx

from pay_api.sandbox.cryptogram import make_packet
from tests.e2e.stack import Stack

OK, OK_OTHER, OK_ONCE = "4000000000003055", "5205000000003055", "4111111111111111"
POOR, THREEDS = "4000056655665556", "4242424242424242"
CONSENT = {"text_version": "2026-01", "accepted": True}
MOST_REPEATS = 10
_CONFIG = re.compile(r'<script type="application/json" id="config">(.*?)</script>', re.DOTALL)


class Shopper:
    """One person. ``base`` stands in for the gateway's UserAPI, where a test has a UserAPI of its own."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.base = f"{stack.urls['gateway']}/user-api"
        limits = httpx.Limits(max_connections=80)
        self.http = httpx.AsyncClient(timeout=40, trust_env=False, limits=limits)
        self.email = f"shopper.{secrets.token_hex(6)}@example.org"
        self.password = f"correct horse {secrets.token_hex(4)}"
        self.token = ""
        self.id = ""

    @classmethod
    async def join(cls, stack: Stack) -> Shopper:
        self = cls(stack)
        body = {"email": self.email, "password": self.password, "locale": "en"}
        answer = await self.http.post(f"{self.base}/v1/auth/register", json=body)
        assert answer.status_code == 201, answer.text
        self.token, self.id = answer.json()["access_token"], answer.json()["user"]["id"]
        return self

    async def log_in(self) -> None:
        """Anew; access tokens end after ten minutes of the suite's time."""
        body = {"email": self.email, "password": self.password}
        answer = await self.http.post(f"{self.base}/v1/auth/login", json=body)
        assert answer.status_code == 200, answer.text
        self.token = answer.json()["access_token"]

    async def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        """The answer; a 503 is followed as it asks to be: the same request again, with the same key."""
        headers = {"Authorization": f"Bearer {self.token}", "Accept-Language": "en"}
        if method == "POST":
            headers["Idempotency-Key"] = key or str(uuid4())
        for _ in range(MOST_REPEATS):
            answer = await self.http.request(method, f"{self.base}{path}", json=body, headers=headers)
            if answer.status_code != 503:
                break
            await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))
        return answer

    async def get(self, path: str) -> Any:
        answer = await self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any, expect: int = 200) -> Any:
        answer = await self.ask("POST", path, body)
        assert answer.status_code == expect, answer.text
        return answer.json()

    async def packet(self, number: str) -> str:
        """The card as the browser's script encrypts it."""
        key = (await self.http.get(f"{self.stack.urls['cloudpayments_sandbox']}/payments/publickey")).json()
        return make_packet(key["Pem"], int(key["Version"]), "pk_cinema_sandbox", number, 12, 2039, "123")

    async def card(self, number: str = OK, *, save: bool = False) -> dict[str, Any]:
        return {
            "kind": "card_cryptogram",
            "card_cryptogram": await self.packet(number),
            "save_method": save,
        }

    async def products(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get("/v1/products?limit=100"))["items"]
        return found

    async def order(self, slug: str = "premium", number: str = OK, **more: Any) -> dict[str, Any]:
        """The body of a purchase by the month."""
        product = next(one for one in await self.products() if one["slug"] == slug)
        price = next(one for one in product["prices"] if one["interval_unit"] == "month")
        payment = await self.card(number, save="consent" in more)
        return {"product_id": product["id"], "price_id": price["id"], "payment": payment} | more

    async def subscribe(self, slug: str = "premium", number: str = OK, **more: Any) -> dict[str, Any]:
        """A running subscription; gives the answer of the purchase."""
        answer = await self.post("/v1/me/subscriptions", await self.order(slug, number, **more), 201)
        path = f"/v1/me/subscriptions/{answer['subscription']['id']}"
        await self.until(path, lambda found: found["status"] == "active")
        bought: dict[str, Any] = answer
        return bought

    async def until(self, path: str, holds: Callable[[Any], bool], seconds: float = 20) -> Any:
        """Asks until the answer is as wished."""
        seen: Any = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    answer = await self.ask("GET", path)
                    seen = answer.json()
                    if answer.status_code == 200 and holds(seen):
                        return seen
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{path} stays {json.dumps(seen)[:600]}") from None

    async def may(self, resource: str, granted: bool = True) -> None:
        """Returns once the resource is (not) granted."""
        await self.until(f"/v1/me/access-rights/{resource}", lambda right: right["granted"] is granted)

    async def effects(self) -> Counter[str]:
        """What the provider did to this person's money, by kind; holds of card checks left out."""
        url = f"{self.stack.urls['cloudpayments_sandbox']}/oracle"
        found = (await self.http.get(url, params={"account_id": self.id})).json()
        return Counter(entry["effect"] for entry in found["entries"] if entry["amount"] != 100)

    async def net(self) -> int:
        """What the provider has of this person's money, minor units."""
        url = f"{self.stack.urls['cloudpayments_sandbox']}/oracle"
        found = (await self.http.get(url, params={"account_id": self.id})).json()
        return int(found["totals"].get("RUB", {"net": 0})["net"])

    async def payments(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get("/v1/me/payments"))["items"]
        return found

    async def invoice(self, invoice_id: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.stack.operator_get(
            "billing-api", f"/internal/v1/invoices/{invoice_id}"
        )
        return found

    async def open_invoices(self) -> list[dict[str, Any]]:
        found = await self.stack.operator_get(
            "billing-api", "/internal/v1/invoices", user_id=self.id, status="open"
        )
        items: list[dict[str, Any]] = found["items"]
        return items

    async def checkout(self, url: str, number: str, *, save: bool = False) -> dict[str, Any]:
        """Enters a card on the hosted page, as its script does; gives the page's answer."""
        page = await self.http.get(url)
        assert page.status_code == 200, page.text
        match = _CONFIG.search(page.text)
        assert match, page.text[:500]
        config = json.loads(match[1])
        target = page.url.join(config["attempts_path"]).copy_merge_params(dict(page.url.params))
        body = {"card_cryptogram": await self.packet(number), "save_method": save}
        answer = await self.http.post(target, json=body)
        found: dict[str, Any] = answer.json()
        return found

    async def aclose(self) -> None:
        await self.http.aclose()
