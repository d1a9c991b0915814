"""Runs in a clone on the bare machine: asks every printed address, and tells what the databases keep."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import httpx
import psycopg2
import redis

from deploy.local.stack import LocalStack
from deploy.local.state import StackState

KEPT = {
    "users": "SELECT id::text FROM users",
    "pay": "SELECT id::text || status FROM payment",
    "billing": "SELECT id::text || status FROM invoice",
    "movies": "SELECT id::text FROM product",
}


async def ask(address: str) -> str:
    """What answers at an address; raises when it is not what the address promises."""
    parts = urlsplit(address)
    if parts.scheme == "http":
        async with httpx.AsyncClient(trust_env=False, follow_redirects=True, timeout=20) as http:
            answer = await http.get(address)
            answer.raise_for_status()
            assert answer.url.netloc.decode() == parts.netloc, f"{address} leads to {answer.url}"
            return f"{answer.status_code} {answer.headers.get('server', '')}"
    if parts.scheme == "amqp":
        connection = await aio_pika.connect(address)
        queue = await (await connection.channel()).get_queue("data-bus.payments", ensure=True)
        await connection.close()
        return queue.name
    if parts.scheme == "redis":
        return str(redis.Redis.from_url(address).ping())
    connection = psycopg2.connect(address)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        return str(cursor.fetchone()[0])


def flat(urls: dict[str, Any]) -> list[str]:
    """All addresses of ``make urls``; a service's own page where its root has none."""
    pages = {"user_api": "/docs", "pay_api": "/docs", "billing_api": "/docs", "admin_panel": "/admin/"}
    plain = [f"{url}{pages.get(name, '')}" for name, url in urls.items() if isinstance(url, str)]
    return plain + list(urls["databases"].values())


async def addresses() -> None:
    """Asks what ``make up`` printed (stdin) and what ``make urls`` prints, and says how many answered."""
    printed = re.findall(r"http://\S+", sys.stdin.read())
    told = flat(LocalStack().urls())
    assert len(printed) >= 7, printed
    assert {urlsplit(a).netloc for a in printed} <= {urlsplit(a).netloc for a in told}
    for address in [*printed, *told]:
        try:
            print(re.sub(r"//[^@/]*@", "//", address), await ask(address))
        except Exception as error:
            raise SystemExit(f"{address}: {type(error).__name__}: {error}") from error


def stored() -> None:
    """Prints the rows that must outlive `make down`, as JSON."""
    found: dict[str, list[str]] = {}
    for database, question in KEPT.items():
        connection = psycopg2.connect(LocalStack().urls()["databases"][database])  # type: ignore[index]
        with connection, connection.cursor() as cursor:
            cursor.execute(question)
            found[database] = sorted(row[0] for row in cursor.fetchall())
    print(json.dumps({"id": StackState.open().id, "rows": found}))


if __name__ == "__main__":
    if sys.argv[1] == "addresses":
        asyncio.run(addresses())
    else:
        stored()
