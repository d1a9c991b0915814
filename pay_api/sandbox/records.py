"""A journaled collection of records of one kind, for the families beside payments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from pay_api.sandbox.store import Journal


class Recorded(Protocol):
    """Anything with an id that can be written as JSON."""

    id: str

    def as_record(self) -> dict[str, Any]: ...


T = TypeVar("T", bound=Recorded)


class Records(Generic[T]):
    """By id, in order of creation; what was saved is there after a restart."""

    def __init__(self, journal: Journal, kind: str, read: Callable[[dict[str, Any]], T]) -> None:
        self._journal = journal
        self._kind = kind
        self._read = read
        self._items: dict[str, T] = {}
        journal.register(kind, self._replay)

    def _replay(self, record: dict[str, Any]) -> None:
        item = self._read(record)
        self._items[item.id] = item

    def save(self, item: T) -> None:
        self._items[item.id] = item
        self._journal.write(self._kind, item.as_record())

    def get(self, item_id: str) -> T | None:
        return self._items.get(item_id)

    def all(self) -> list[T]:
        return list(self._items.values())
