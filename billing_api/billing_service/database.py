"""The database that every billing command works in; statements planned once and sent together."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import Error, connections, transaction

from shared import logs
from shared.database_errors import is_worth_rerunning

DATABASE: Final = "billing"
RERUNS: Final = 5  # in all
RERUN_WAIT_SECONDS: Final = 0.01  # doubled each time

T = TypeVar("T")
log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Query:
    """A statement that the server plans once a connection; ``sql`` has its values as $1, $2, ...

    ``name`` stands for this text alone; ``types`` are those of the values, in their order.
    """

    name: str
    types: str
    sql: str

    def of(self, *values: Any) -> Statement:
        """The statement with its values."""
        return Statement(self, values)


@dataclass(frozen=True, slots=True)
class Statement:
    """A query with the values of one call."""

    query: Query
    values: Sequence[Any]


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
    """A transaction of two round trips: ``read`` begins it, ``write`` commits it."""

    def __init__(self, database: Any) -> None:
        self._database = database
        # Inside a caller's transaction both are statements of it, and the caller commits.
        self._own = not connections[DATABASE].in_atomic_block
        self.is_open = False

    def read(self, *statements: Statement) -> list[tuple[Any, ...]]:
        """Holds and reads; the rows of the last statement."""
        self.is_open = self._own
        return _send(self._database, statements, before="BEGIN;" if self._own else "")

    def write(self, *statements: Statement) -> None:
        """Writes and commits. What the database refuses is raised, and nothing of it stays."""
        _send(self._database, statements, after=";COMMIT" if self._own else "")
        self.is_open = False


@contextmanager
def brief() -> Iterator[Brief]:
    """For the commands that are asked most. Left without ``write``, or by an error, it has done nothing."""
    with cursor() as database:
        work = Brief(database)
        try:
            yield work
        finally:
            if work.is_open:
                with suppress(Error):  # a lost connection has rolled back by itself
                    database.execute("ROLLBACK")


# Names of the statements each live connection has planned already.
_planned: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


def _send(
    database: Any, statements: Sequence[Statement], before: str = "", after: str = ""
) -> list[tuple[Any, ...]]:
    known = _planned.setdefault(database.connection, set())
    for query in {one.query for one in statements if one.query.name not in known}:
        database.execute(f"PREPARE {query.name} ({query.types}) AS {query.sql}")
        known.add(query.name)
    # The driver quotes every value; the rest of the text is ours.
    texts = [f"EXECUTE {one.query.name} ({', '.join(['%s'] * len(one.values))})" for one in statements]
    values = [str(value) if type(value) is UUID else value for one in statements for value in one.values]
    database.execute(before + ";".join(texts) + after, values)
    return database.fetchall() if database.description else []
