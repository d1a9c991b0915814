"""Access rights, pure: which rights purchases give, and whether a resource is granted at an instant."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

RESOURCE: Final = re.compile(
    r"(?:movie:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?:collection|feature):[a-z0-9][a-z0-9_-]{0,63})"
)


@dataclass(frozen=True, slots=True)
class Purchase:
    """What access needs to know of a subscription or a one-time purchase.

    ``access_until`` is BillingAPI's own figure, stored as it came; None is access without an end. What the
    product leaves after it goes on until ``reduced_until``; None: nothing goes on.
    """

    purchase_id: UUID
    product_id: UUID
    grants_access: bool
    access_until: datetime | None
    removed: bool = False
    reduced_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Right:
    """A right is (user, resource, until, source); ``until`` None never ends."""

    resource: str
    until: datetime | None
    source: str


@dataclass(frozen=True, slots=True)
class Decision:
    """``until`` says how long a granted resource stays granted (None: without an end)."""

    granted: bool
    until: datetime | None


def source_of(purchase_id: UUID) -> str:
    """The name of a purchase as the source of rights."""
    return f"subscription:{purchase_id}"


def rights_of(purchase: Purchase, grants: Iterable[str], reduced: Collection[str] = ()) -> frozenset[Right]:
    """The rights one purchase gives; collections stay unexpanded, and ends that have passed stay as they are.

    Time is no input: a right ends by its ``until``, whether or not an event comes. Those of ``grants`` that
    are ``reduced`` too (what is left after the grace, billing rule 5) end later than the others.
    """
    if purchase.removed or not purchase.grants_access:
        return frozenset()
    source = source_of(purchase.purchase_id)
    whole, left = purchase.access_until, purchase.reduced_until or purchase.access_until
    return frozenset(Right(name, left if name in reduced else whole, source) for name in grants)


def latest(moments: Iterable[datetime | None]) -> datetime | None:
    """The latest end; None (no end) is later than any."""
    ends = list(moments)
    known = [moment for moment in ends if moment is not None]
    return None if len(known) < len(ends) else max(known)


def decide(
    rights: Sequence[Right], resource: str, collections_of: Mapping[str, Sequence[str]], now: datetime
) -> Decision:
    """Whether ``resource`` is granted at ``now``: directly, or (a film) through a collection that holds it.

    ``collections_of`` gives, for ``movie:<id>``, the ``collection:<slug>`` resources with that film.
    ``until`` is exclusive: at that very instant the access is over.
    """
    ways = {resource, *collections_of.get(resource, ())}
    ends = [
        right.until
        for right in rights
        if right.resource in ways and (right.until is None or now < right.until)
    ]
    return Decision(True, latest(ends)) if ends else Decision(False, None)


@dataclass(frozen=True, slots=True)
class Change:
    """Resources whose access moved: ``granted`` hold after the change, ``revoked`` no longer do."""

    granted: tuple[str, ...]
    revoked: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.granted or self.revoked)


def compare(before: Iterable[Right], after: Iterable[Right], now: datetime) -> Change:
    """What a change of rights means at ``now``; resources that keep their end are left out."""
    ended = object()

    def ends(rights: Iterable[Right]) -> dict[str, object]:
        of_resource: dict[str, list[datetime | None]] = {}
        for right in rights:
            if right.until is None or now < right.until:
                of_resource.setdefault(right.resource, []).append(right.until)
        return {resource: latest(moments) for resource, moments in of_resource.items()}

    old, new = ends(before), ends(after)
    moved = sorted(name for name in old.keys() | new.keys() if old.get(name, ended) != new.get(name, ended))
    return Change(
        granted=tuple(name for name in moved if name in new),
        revoked=tuple(name for name in moved if name not in new),
    )
