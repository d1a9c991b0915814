"""An end user as an API client: everything over HTTP through the gateway."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

import httpx

from pay_api.sandbox.cryptogram import make_packet
from shared.ids import new_id
from tests.e2e.stack import Stack
from tests.e2e.transcript import StoryBroken, Transcript

FINAL = {"succeeded", "failed", "cancelled", "refunded", "partially_refunded", "needs_review"}


class Customer:
    """One person. Every call is shown in the transcript and must answer what is expected."""

    def __init__(self, name: str, stack: Stack, transcript: Transcript, locale: str = "en") -> None:
        self.name = name
        self.stack = stack
        self.locale = locale
        self._transcript = transcript
        self._http = httpx.AsyncClient(base_url=stack.urls["gateway"], timeout=35, trust_env=False)
        self.email = f"{name.lower()}.{secrets.token_hex(5)}@example.org"
        self.password = f"correct horse {secrets.token_hex(4)}"
        self.access_token = ""
        self.refresh_token = ""
        self.user_id = ""

    async def aclose(self) -> None:
        await self._http.aclose()

    async def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        expect: int = 200,
        note: str = "",
        key: str | None = None,
    ) -> dict[str, Any]:
        """One request; POSTs carry an Idempotency-Key. Raises StoryBroken on another status."""
        headers = {"Accept-Language": self.locale}
        if self.access_token:
            headers["Authorization"] = f"Bearer {self.access_token}"
        if method == "POST":
            headers["Idempotency-Key"] = key or str(new_id())
        answer = await self._http.request(method, path, json=body, headers=headers)
        parsed: dict[str, Any] = answer.json() if answer.content else {}
        self._transcript.call(self.name, method, path, answer.status_code, note)
        if answer.status_code != expect:
            raise StoryBroken(f"{method} {path} answered {answer.status_code}, not {expect}: {parsed}")
        return parsed

    async def register(self) -> None:
        body = {
            "email": self.email,
            "password": self.password,
            "full_name": f"{self.name} Example",
            "locale": self.locale,
            "time_zone": "Europe/Moscow",
        }
        self._take_tokens(await self.call("POST", "/user-api/v1/auth/register", body, expect=201))

    async def log_in(self) -> None:
        self.access_token = ""
        body = {"email": self.email, "password": self.password}
        self._take_tokens(await self.call("POST", "/user-api/v1/auth/login", body))

    async def refresh(self) -> None:
        body = {"refresh_token": self.refresh_token}
        self._take_tokens(await self.call("POST", "/user-api/v1/auth/refresh", body))

    def _take_tokens(self, answer: dict[str, Any]) -> None:
        self.access_token, self.refresh_token = answer["access_token"], answer["refresh_token"]
        self.user_id = answer.get("user", {}).get("id", self.user_id)

    async def card(self, number: str) -> dict[str, Any]:
        """What the browser's script makes of a card: a cryptogram under the provider's public key."""
        sandbox = self.stack.urls["cloudpayments_sandbox"]
        key = (await self._http.get(f"{sandbox}/payments/publickey")).json()
        packet = make_packet(key["Pem"], int(key["Version"]), "pk_cinema_sandbox", number, 12, 2029, "123")
        return {
            "kind": "card_cryptogram",
            "card_cryptogram": packet,
            "cardholder_name": f"{self.name.upper()} EXAMPLE",
            "save_method": True,
        }

    async def events_until_final(self, payment: dict[str, Any]) -> list[dict[str, Any]]:
        """The payment's confirmations as they come by SSE, to the final one."""
        seen: list[dict[str, Any]] = []
        async with asyncio.timeout(30), self._http.stream("GET", payment["events_url"]) as stream:
            if stream.status_code != 200:
                raise StoryBroken(f"the event stream answered {stream.status_code}")
            async for line in stream.aiter_lines():
                if line.startswith("data:"):
                    seen.append(json.loads(line.removeprefix("data:")))
                    self._transcript.say(f"{self.name:<8} SSE  payment is {seen[-1]['status']}")
        return seen

    async def until(self, path: str, holds: Any, what: str, seconds: float = 30) -> dict[str, Any]:
        """Polls quietly until the answer is as expected, then shows it once."""
        deadline = asyncio.get_running_loop().time() + seconds
        headers = {"Authorization": f"Bearer {self.access_token}"}
        while True:
            answer = await self._http.get(path, headers=headers)
            body: dict[str, Any] = answer.json()
            if answer.status_code == 200 and holds(body):
                self._transcript.call(self.name, "GET", path, 200, what)
                return body
            if asyncio.get_running_loop().time() > deadline:
                raise StoryBroken(f"not {what} within {seconds} s: {answer.status_code} {body}")
            await asyncio.sleep(0.2)
