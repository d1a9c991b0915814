"""Every write of the three APIs with every field wrong in turn: a clear problem, and not one row written."""

from __future__ import annotations

import inspect
import json
from collections import Counter
from typing import Any

import asyncpg
import pytest

from tests.security.bad_values import bad_values
from tests.security.conftest import Service, headers_of
from tests.security.test_bodies import actor_of, writes
from tests.servers import DatabaseUrls

# Not business: what a refusal itself is remembered by.
BOOKKEEPING = {"idempotency_key"}
WORDS = {"is", "missing"}
# Problems that are about one field and say so in their own words.
OWN_PROBLEMS = {"/problems/cryptogram-invalid": "card_cryptogram", "/problems/resource-invalid": "resources"}
JSON = {"Content-Type": "application/json"}
TABLES = (
    "SELECT table_name FROM information_schema.tables"
    " WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1"
)


def _content(table: str) -> str:
    return f'SELECT count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM "{table}" t'


def told(answer: Any, field: str) -> bool:
    return field in answer.content.decode()


def judge(answer: Any, what: str) -> str | None:
    """What is wrong with the answer to a wrong body; None: nothing. It must name the field that is wrong."""
    if not 400 <= answer.status_code < 500 or answer.status_code in (401, 403, 405):
        return f"status {answer.status_code}"
    if not answer.headers["content-type"].startswith("application/problem+json"):
        return f"content type {answer.headers['content-type']}"
    if not answer.json()["type"].startswith("/problems/"):
        return f"type {answer.json()['type']}"
    named = [word for word in what.partition("=")[0].split() if word.isidentifier() and word not in WORDS]
    own = OWN_PROBLEMS.get(answer.json()["type"])
    if answer.status_code == 422 and named and named[-1] != own and not told(answer, named[-1]):
        return f"refused for something else: {answer.content.decode()[:300]}"
    return None


async def _try_all(service: Service, database: DatabaseUrls) -> None:
    connection = await asyncpg.connect(database.owner)
    tables = [row[0] for row in await connection.fetch(TABLES) if row[0] not in BOOKKEEPING]

    async def content() -> dict[str, tuple[Any, ...]]:
        return {table: tuple(await connection.fetchrow(_content(table))) for table in tables}

    wrong, seen = [], Counter[int]()
    for operation in writes(service):
        given = service.actors[actor_of(service, operation)]()
        authorization = await given if inspect.isawaitable(given) else given
        before, path = await content(), operation.path()
        for what, body in bad_values(operation.schema or {}):
            answer = await service.send(operation.method, path, headers=headers_of(authorization), json=body)
            seen[answer.status_code] += 1
            if complaint := judge(answer, what):
                wrong.append((operation.name, what, complaint))
        if (after := await content()) != before:
            changed = [table for table in tables if after[table] != before[table]]
            wrong.append((operation.name, "wrote into", ", ".join(changed)))
    await connection.close()
    assert not wrong, "\n".join(map(str, wrong))
    assert seen[422] + seen[400] >= 0.95 * seen.total() > 100, seen


@pytest.mark.timeout(300)
async def test_user_api(user_service: Service, database: DatabaseUrls) -> None:
    await _try_all(user_service, database)


@pytest.mark.timeout(300)
async def test_pay_api(pay_service: Service, pay_database: DatabaseUrls) -> None:
    await _try_all(pay_service, pay_database)


def test_billing_api(billing_service: Service) -> None:
    from django.db import connections

    with connections["billing"].cursor() as cursor:

        def rows(statement: str) -> list[tuple[Any, ...]]:
            cursor.execute(statement)
            return list(cursor.fetchall())

        tables = [row[0] for row in rows(TABLES) if row[0] not in BOOKKEEPING]
        wrong, seen = [], Counter[int]()
        for operation in writes(billing_service):
            authorization = billing_service.actors["operator"]()
            before, path = [rows(_content(table)) for table in tables], operation.path()
            for what, body in bad_values(operation.schema or {}):
                answer = billing_service.send(
                    operation.method, path, headers_of(authorization), content=json.dumps(body)
                )
                seen[answer.status_code] += 1
                if complaint := judge(answer, what):
                    wrong.append((operation.name, what, complaint))
            after = [rows(_content(table)) for table in tables]
            changed = [table for table, was, now in zip(tables, before, after, strict=True) if was != now]
            if changed:
                wrong.append((operation.name, "wrote into", ", ".join(changed)))
    assert not wrong, "\n".join(map(str, wrong))
    # What is not there is told before its body is read.
    assert seen[422] + seen[400] >= 0.5 * seen.total() > 100, seen
