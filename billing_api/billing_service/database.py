"""The database that every billing command works in; statements planned once and sent together."""

from __future__ import annotations

import random
import re
import threading
import time
from asyncio import _get_running_loop
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

from django.db import Error, connections, transaction

from shared import logs
from shared.database_errors import is_worth_rerunning

DATABASE: Final = "billing"
RERUNS: Final = 5  # in all
RERUN_WAIT_SECONDS: Final = 0.01  # doubled each time
_SENT_AS_TEXT: Final = frozenset({UUID, datetime})
_PLACE: Final = re.compile(r"\$(\w+):(\w+)")

T = TypeVar("T")
log = logs.logger(__name__)


class Query:
    """A statement that the server plans once a connection.

    ``sql`` has its values by name and type, as ``$account_id:uuid``; ``name`` is what others in the same
    ``as_one`` read its rows by.
    """

    __slots__ = ("call", "name", "names", "prepare", "sql")

    def __init__(self, name: str, sql: str) -> None:
        types: dict[str, str] = dict(_PLACE.findall(sql))
        self.name, self.sql, self.names = name, sql, tuple(types)
        places = {one: f"${number}" for number, one in enumerate(types, start=1)}
        text = _PLACE.sub(lambda place: places[place[1]], sql)
        plan = f"{name}_{sha256(sql.encode()).hexdigest()[:32]}"  # Postgres cuts names at 63 bytes
        self.prepare = f"PREPARE {plan} ({', '.join(types.values())}) AS {text}"
        self.call = f"EXECUTE {plan} ({', '.join(['%s'] * len(types))})"

    def of(self, **values: Any) -> Statement:
        """The statement with its values."""
        return Statement(self, values)


class Statement(NamedTuple):
    """A query with the values of one call."""

    query: Query
    values: Mapping[str, Any]


def as_one(queries: tuple[Query, ...], values: Mapping[str, Any]) -> Statement:
    """Queries as one statement, which the server plans, runs and answers once; equal names are one value.

    All see the database as it was before the first: no two may touch the same row. Each may read the rows
    that one before it gives, by its name. The rows of the last one are the answer.
    """
    return Statement(_joined(queries), values)


@lru_cache(maxsize=256)
def _joined(queries: tuple[Query, ...]) -> Query:
    *others, last = queries
    before = ", ".join(f"{query.name} AS ({query.sql})" for query in others)
    return Query("joined", f"WITH {before} {last.sql}" if others else last.sql)


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
    # Within an event loop each task has a handle of its own: the one kept would not be its transaction's.
    django: Any = connections[DATABASE] if _get_running_loop() else _of_thread.django or _of_thread.find()
    if django.connection is None or django.needs_rollback or not django.health_check_done:
        django.close_if_health_check_failed()
        django.ensure_connection()
        django.validate_no_broken_transaction()
    # Django's own cursor where somebody watches (traces, debugging): it costs more than the rest of a call.
    is_watched = django.execute_wrappers or django.force_debug_cursor
    try:
        with django.cursor() if is_watched else django.connection.cursor() as database:
            return _run(database, statements)
    except django.Database.Error:
        with django.wrap_database_errors:
            raise


def _run(database: Any, statements: tuple[Statement, ...]) -> list[tuple[Any, ...]]:
    if _of_thread.connection is not database.connection:
        _of_thread.connection, _of_thread.planned = database.connection, set()
    for query, _ in statements:
        if query.prepare not in _of_thread.planned:
            database.execute(query.prepare)
            _of_thread.planned.add(query.prepare)
    # The driver quotes every value; the rest of the text is ours. What the plan knows the type of goes as
    # text: the driver's own form of a moment is a cast, to be parsed and carried out at each call.
    text = ";".join([query.call for query, _ in statements])
    values = [values[name] for query, values in statements for name in query.names]
    database.execute(text, [str(value) if type(value) in _SENT_AS_TEXT else value for value in values])
    return database.fetchall() if database.description else []


class _OfThread(threading.local):
    """Django's handle of the thread's connection, and what is planned on which driver's connection."""

    django: Any = None
    connection: Any = None
    planned: set[str]

    def find(self) -> Any:
        # Django looks for a running event loop each time it is asked for its handle.
        self.django = connections[DATABASE]
        return self.django


_of_thread = _OfThread()
