"""What a call of billing-worker came back with, in the words of the commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """``accepted``: the callee took it; ``refused``: final, with its problem ``code``; ``later``: try again.

    ``result`` is the body's result for close-payments: ``closed`` | ``in_flight`` | ``paid``.
    """

    outcome: Literal["accepted", "refused", "later"]
    code: str = ""
    result: str = ""
    retry_after_seconds: int | None = None  # with ``later``, when the callee has said it
