"""The hash chain of a personal account, reckoned without the database: what each customer entry carries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from uuid import UUID

VERSION: Final = "v1"
GENESIS: Final = ""  # what the first entry of an account and currency follows


@dataclass(frozen=True, slots=True)
class Link:
    """One customer entry with its place and the posting it belongs to; amounts in minor units, UTC."""

    entry_id: UUID
    account_id: UUID
    currency: str
    position: int
    amount_minor: int
    transaction_id: UUID
    source_kind: str
    source_id: UUID
    reverses_id: UUID | None
    posted_at: datetime


def chain_hash(previous: str, link: Link, legs: Iterable[tuple[str, str, int]]) -> str:
    """SHA-256 (hex) over the predecessor's hash, the entry and every leg of its posting.

    ``legs`` are (account of the chart, currency, amount) of the whole transaction: so the legs on system
    accounts, which have no chain of their own, cannot be edited unnoticed either. The same text is made by
    ``billing_link_hash`` in the database, which refuses a wrong one at commit.
    """
    told = sorted(f"{account} {currency} {amount}" for account, currency, amount in legs)
    content = (
        VERSION,
        previous,
        str(link.entry_id),
        str(link.account_id),
        link.currency,
        str(link.position),
        str(link.amount_minor),
        str(link.transaction_id),
        link.source_kind,
        str(link.source_id),
        str(link.reverses_id or ""),
        link.posted_at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        ",".join(told),
    )
    return sha256("\n".join(content).encode()).hexdigest()
