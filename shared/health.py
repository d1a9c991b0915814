"""Liveness and readiness: a service is ready when its own database answers and is migrated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Check = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Health:
    """``required`` checks decide readiness, ``others`` only show as ``degraded``; a failing check raises."""

    required: Mapping[str, Check] = field(default_factory=dict)
    others: Mapping[str, Check] = field(default_factory=dict)
    timeout_seconds: float = 2.0

    async def report(self) -> tuple[bool, dict[str, Any]]:
        """Readiness and the body of ``/readyz``: names and words only, never an error's text."""
        names = [*self.required, *self.others]
        states = await asyncio.gather(
            *(self._try(check) for check in [*self.required.values(), *self.others.values()])
        )
        body = dict(zip(names, states, strict=True))
        ready = all(body[name] for name in self.required)
        return ready, {
            "ready": ready,
            "checks": {
                name: "ok" if good else ("failed" if name in self.required else "degraded")
                for name, good in body.items()
            },
        }

    async def _try(self, check: Check) -> bool:
        try:
            async with asyncio.timeout(self.timeout_seconds):
                await check()
        except Exception:
            return False
        return True
