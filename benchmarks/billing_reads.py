"""What reading costs: a long statement beside its bare SQL, an invoice beside a bare route."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any
from uuid import UUID

from benchmarks.billing_world import NOW, TOKEN

FIRST, LAST = date(2026, 1, 1), date(2026, 12, 31)


def consume(pieces: Iterator[bytes]) -> int:
    """Reads a stream to its end, as a socket would; its size in bytes."""
    return sum(len(piece) for piece in pieces)


def streams() -> dict[str, Callable[[UUID], Iterator[bytes]]]:
    """The statement in its formats."""
    from billing_api.billing_service.documents.seller import Seller
    from billing_api.billing_service.documents.statement_csv import statement_csv
    from billing_api.billing_service.documents.statement_document import statement_pdf
    from billing_api.billing_service.statement import make_statement, statement_json

    seller = Seller("ООО «Кинотеатр»", "Cinema LLC", "г. Москва", "Moscow", "7701234567")
    return {
        "json": lambda user: statement_json(make_statement(user, FIRST, LAST)),
        "csv": lambda user: statement_csv(make_statement(user, FIRST, LAST), "ru"),
        "pdf": lambda user: statement_pdf(make_statement(user, FIRST, LAST), seller, "ru", NOW),
    }


def seconds_of_stream(kind: str, user_id: UUID) -> float:
    started = time.perf_counter()
    consume(streams()[kind](user_id))
    return time.perf_counter() - started


def in_process_of_its_own(kind: str, user_id: UUID) -> dict[str, float]:
    """Seconds and bytes of one statement, and the most memory its process held (MB, as the kernel counts)."""
    argv = [sys.executable, "-m", "benchmarks.billing_memory", kind, str(user_id)]
    told = subprocess.run(argv, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(told.stdout.splitlines()[-1])
    return found


def seconds_of_bare_sql(user_id: UUID) -> float:
    """The statement's own query without pages, its rows fetched through a cursor and thrown away."""
    from django.db import connections, transaction

    from billing_api.billing_service import statement
    from billing_api.billing_service.models import Account
    from shared.period import start_of_day

    account = Account.objects.get(user_id=user_id)
    values = {
        "account": str(account.id),
        "currency": "RUB",
        "starts_at": start_of_day(FIRST, account.time_zone),
        "ends_at": start_of_day(LAST, account.time_zone),
        "after": 0,
        "last": 10**9,
        "page": 10**9,
    }
    started = time.perf_counter()
    with transaction.atomic(using="billing"):
        inner = connections["billing"].connection
        with inner.cursor(name="bare") as cursor:
            cursor.itersize = 1000
            cursor.execute(statement._MOVEMENTS_SQL, values)
            for _ in cursor:
                pass
    return time.perf_counter() - started


def route(path: str) -> Callable[[int], float]:
    """Seconds for so many GETs of a path through the whole WSGI application."""
    from django.core.wsgi import get_wsgi_application

    application = get_wsgi_application()

    def ask() -> None:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": path,
            "SERVER_NAME": "bench",
            "SERVER_PORT": "80",
            "HTTP_AUTHORIZATION": f"Bearer {TOKEN}",
            "wsgi.input": io.BytesIO(),
            "wsgi.url_scheme": "http",
        }
        statuses: list[str] = []
        answer = application(environ, lambda status, _headers: statuses.append(status))
        b"".join(answer)
        answer.close()  # type: ignore[attr-defined]
        assert statuses == ["200 OK"], statuses

    def run(count: int) -> float:
        started = time.perf_counter()
        for _ in range(count):
            ask()
        return time.perf_counter() - started

    return run
