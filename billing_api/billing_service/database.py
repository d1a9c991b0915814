"""The database that every billing command works in; statements planned once and sent together."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import Error, connections, transaction

from shared import logs
from shared.database_errors import is_worth_rerunning
from shared.errors import broken_invariant

DATABASE: Final = "billing"
RERUNS: Final = 5  # in all
RERUN_WAIT_SECONDS: Final = 0.01  # doubled each time
_PLACE: Final = re.compile(r"\$(\w+):(\w+)")

T = TypeVar("T")
log = logs.logger(__name__)


class Query:
    """A statement that the server plans once a connection.

    ``sql`` has its values by name and type, as ``$account_id:uuid``; ``name`` stands for this text alone.
    """

    __slots__ = ("call", "name", "names", "prepare", "sql")

    def __init__(self, name: str, sql: str) -> None:
        types: dict[str, str] = dict(_PLACE.findall(sql))
        self.name, self.sql, self.names = name, sql, tuple(types)
        places = {one: f"${number}" for number, one in enumerate(types, start=1)}
        planned = _PLACE.sub(lambda place: places[place[1]], sql)
        self.prepare = f"PREPARE {name} ({', '.join(types.values())}) AS {planned}"
        self.call = f"EXECUTE {name} ({', '.join(['%s'] * len(types))})"

    def of(self, **values: Any) -> Statement:
        """The statement with its values."""
        return Statement(self, values)


class Statement(NamedTuple):
    """A query with the values of one call."""

    query: Query
    values: Mapping[str, Any]


def as_one(statements: Sequence[Statement]) -> Statement:
    """Writes as one statement, which the server plans, runs and answers once; equal names are one value.

    All see the database as it was before the first: no two may touch the same row, none may need what
    another writes before the end of the transaction.
    """
    values: dict[str, Any] = {}
    for more in {id(one.values): one.values for one in statements}.values():
        if not values.keys().isdisjoint(more) and any(
            values[name] != more[name] for name in values.keys() & more
        ):
            raise broken_invariant("values-differ", "two values have one name")
        values |= more
    return Statement(_joined(tuple([query for query, _ in statements])), values)


@lru_cache(maxsize=256)
def _joined(queries: tuple[Query, ...]) -> Query:
    """Named by what it is made of: a name that Postgres would cut short might be another's too."""
    *others, last = queries
    before = ", ".join(f"write_{number} AS ({query.sql})" for number, query in enumerate(others, start=1))
    name = sha256("+".join(query.name for query in queries).encode()).hexdigest()[:32]
    return Query(f"joined_{name}", f"WITH {before} {last.sql}" if others else last.sql)


def atomic() -> transaction.Atomic:
    """One transaction on the billing database."""
    return transaction.atomic(using=DATABASE)


def rerun(work: Callable[[], T]) -> T:
    """Does what ``work`` does, again when the database gave its transaction up for another's sake.

    At most five times, after growing random waits (reliability 2.7). ``work`` makes the whole transaction and
    no call over the network. Inside a caller's transaction it is done once: only the whole can be repeated.
    """
    for tried in range(1, RERUNS):
        try:
            return work()
        except Error as error:
            if connections[DATABASE].in_atomic_block or not is_worth_rerunning(error):
                raise
            log.info("transaction-rerun", tried=tried, error=type(error).__name__)
        time.sleep(random.uniform(0.5, 1) * RERUN_WAIT_SECONDS * 2**tried)  # noqa: S311
    return work()


def cursor() -> Any:
    """A cursor on the billing connection, inside the transaction at hand."""
    return connections[DATABASE].cursor()


def together(*statements: Statement) -> list[tuple[Any, ...]]:
    """Runs statements in turn in one round trip; each sees what is committed when it begins.

    Gives the rows of the last one, [] when it gives none. Outside a transaction they make one of their own.
    """
    with cursor() as database:
        return _send(database, statements)


class Brief:
    """A transaction of two round trips: ``read`` begins it, ``write`` commits it.

    For the commands that are asked most. Left without ``write``, or by an error, it has done nothing.
    """

    def __init__(self) -> None:
        connection = connections[DATABASE]
        self._database = connection.cursor()
        # Inside a caller's transaction both are statements of it, and the caller commits.
        self._own = not connection.in_atomic_block
        self._is_open = False

    def __enter__(self) -> Self:
        return self

    def read(self, *statements: Statement) -> list[tuple[Any, ...]]:
        """Holds and reads; the rows of the last statement."""
        self._is_open = self._own
        return _send(self._database, statements, before="BEGIN;" if self._own else "")

    def write(self, *statements: Statement) -> None:
        """Writes ``as_one`` and commits. What the database refuses is raised, and nothing of it stays."""
        _send(self._database, [as_one(statements)], after=";COMMIT" if self._own else "")
        self._is_open = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._database:
            if self._is_open:
                with suppress(Error):  # a lost connection has rolled back by itself
                    self._database.execute("ROLLBACK")


# Names of the statements each live connection has planned already.
_planned: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


def _send(
    database: Any, statements: Sequence[Statement], before: str = "", after: str = ""
) -> list[tuple[Any, ...]]:
    known = _planned.setdefault(database.connection, set())
    for query, _ in statements:
        if query.name not in known:
            database.execute(query.prepare)
            known.add(query.name)
    # The driver quotes every value; the rest of the text is ours.
    text = before + ";".join([query.call for query, _ in statements]) + after
    values = [values[name] for query, values in statements for name in query.names]
    database.execute(text, [str(value) if type(value) is UUID else value for value in values])
    return database.fetchall() if database.description else []
