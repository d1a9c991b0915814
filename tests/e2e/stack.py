"""Where the running stack is and how its operator gets in."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Stack:
    """The URLs of ``make urls`` and the operator's token for each API."""

    urls: dict[str, Any]
    operator_tokens: dict[str, str]
    logins: dict[str, Any]

    @classmethod
    def from_environment(cls) -> Stack:
        """Reads what ``make demo`` sets (JSON)."""
        return cls(
            json.loads(os.environ["CINEMA_URLS"]),
            json.loads(os.environ["CINEMA_OPERATOR_TOKENS"]),
            json.loads(os.environ["CINEMA_DEMO_LOGINS"]),
        )

    async def operator_get(self, service: str, path: str, **params: str) -> dict[str, Any]:
        """An internal read, as an operator does it (past the gateway, which hides internal routes)."""
        name = service.replace("-", "_")
        headers = {"Authorization": f"Bearer {self.operator_tokens[service]}"}
        async with httpx.AsyncClient(base_url=self.urls[name], timeout=20, trust_env=False) as http:
            answer = await http.get(path, params=params, headers=headers)
            answer.raise_for_status()
            body: dict[str, Any] = answer.json()
            return body
