"""The providers' public keys for card data, asked for seldom and kept for a few minutes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from pay_api.providers.base import CardKey, Provider

KEEP_SECONDS: Final = 300.0


class CardKeys:
    """A provider that does not answer is served from what it said last."""

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._providers = providers
        self._known: dict[str, tuple[CardKey, float]] = {}

    async def of(self, provider: str) -> CardKey | None:
        """None when the key was never heard of."""
        known = self._known.get(provider)
        if known is not None and time.monotonic() - known[1] < KEEP_SECONDS:
            return known[0]
        fresh = await self._providers[provider].card_key() if provider in self._providers else None
        if fresh is None:
            return known[0] if known else None
        self._known[provider] = (fresh, time.monotonic())
        return fresh
