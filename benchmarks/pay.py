"""How many payments a second PayAPI makes beside a bare route: ``python -m benchmarks.pay [report.json]``.

PayAPI charges cards at the cloudpayments-sandbox, a process of its own, without any delay. The bare route
makes as many durable commits of comparable rows by asyncpg and calls a bare ASGI echo by the same client.
One worker each under the same server and settings, one Postgres with fsync, the same eight connections, in
turns.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import statistics
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from cryptography.fernet import Fernet

from benchmarks.access_world import Server, served
from benchmarks.load import Connection, Outcome, closed_loop
from benchmarks.pay_bare import ROWS_SQL
from pay_api.sandbox.cryptogram import make_packet
from shared.ids import new_id
from tests import servers

BOUND = 0.5
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "6"))
CONNECTIONS = 8
TOKEN = "bench-token"
MIGRATE = ["alembic", "-c", "pay_api/alembic.ini", "upgrade", "head"]
AMOUNT = {"amount": 49_900, "currency": "RUB"}
SANDBOX_ID = "pk_cinema_sandbox"
CARD = "4000000000003055"  # charged at once, without 3-D Secure
ANY_PACKET = base64.b64encode(json.dumps({"CardInfo": {}, "Value": "x"}).encode()).decode()


def card_packet(sandbox_port: int) -> str:
    """A card as the payer's browser encrypts it for the sandbox."""
    with urllib.request.urlopen(f"http://127.0.0.1:{sandbox_port}/payments/publickey") as answer:
        key = json.load(answer)
    return make_packet(key["Pem"], key["Version"], SANDBOX_ID, CARD, 12, 40, "123")


def _requests(count: int, packet: str = ANY_PACKET) -> list[bytes]:
    return [_request(packet) for _ in range(count)]


def _request(packet: str = ANY_PACKET) -> bytes:
    payment_id = str(new_id())
    body = json.dumps(
        {
            "payment_id": payment_id,
            "invoice_id": str(new_id()),
            "user_id": str(new_id()),
            "amount": AMOUNT,
            "description": "Подписка",
            "initiator": "customer",
            "method": {"kind": "card_cryptogram", "card_cryptogram": packet, "save_method": False},
            "payer": {"ip": "203.0.113.7", "locale": "ru"},
            "receipt": {
                "lines": [{"label": "Подписка", "quantity": 1, "amount": AMOUNT, "vat_rate_bp": 2000}]
            },
        }
    ).encode()
    head = (
        f"POST /v1/payments HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Idempotency-Key: {payment_id}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _charges_at_once(port: int, packet: str) -> None:
    connection = await Connection.open(port)
    answer = await connection.ask(_request(packet))
    connection.close()
    assert json.loads(answer.body)["status"] == "succeeded", answer


@dataclass
class Measured:
    """One side's rounds: what its clients saw, and processor milliseconds of its process per payment."""

    outcomes: list[Outcome] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def row(self, name: str) -> dict[str, float | str]:
        return {
            "name": name,
            "per_second": round(statistics.median(one.per_second for one in self.outcomes), 1),
            "p50_ms": round(statistics.median(one.quantile_ms(0.5) for one in self.outcomes), 2),
            "p99_ms": round(statistics.median(one.quantile_ms(0.99) for one in self.outcomes), 2),
            "cpu_ms": round(statistics.median(self.cpu_ms), 2),
        }


async def _measure(sides: dict[str, Server], packet: str) -> dict[str, Measured]:
    found = {name: Measured() for name in sides}
    for side in sides.values():
        await _charges_at_once(side.port, packet)
    for number in range(ROUNDS + 1):
        for name, side in sides.items():
            seconds = SECONDS if number else 2.0  # the first round warms up
            requests = _requests(4000, packet)
            used = side.cpu_seconds()
            outcome = await closed_loop(side.port, requests, CONNECTIONS, seconds)
            assert set(outcome.statuses) == {201}, (name, outcome.statuses)
            if number:
                found[name].outcomes.append(outcome)
                used = side.cpu_seconds() - used
                found[name].cpu_ms.append(1000 * used / len(outcome.seconds))
    return found


def _environment(database: servers.DatabaseUrls, provider_port: int) -> dict[str, str]:
    return os.environ | {
        "APP_ENV": "test",
        "DATABASE_URL": database.service,
        "CLOCK_REDIS_URL": servers.redis_database(),
        "CLOUDPAYMENTS_API_URL": f"http://127.0.0.1:{provider_port}",
        "CLOUDPAYMENTS_CONCURRENT_CALLS": "30",
        "TOKEN_ENCRYPTION_KEY": Fernet.generate_key().decode(),
        "LINK_SIGNING_KEY": "bench-link-key",
        "ACCEPTED_CREDENTIALS": json.dumps({"user-api": [TOKEN]}),
    }


def _make_commits_durable() -> None:
    """The servers of the tests trade safety for speed; here every commit reaches the disk."""
    server = servers.postgres_server()
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        server.sql(f"ALTER SYSTEM SET {name} = 'on'")
    server.sql("SELECT pg_reload_conf()")


async def _make_bare_rows(owner: str) -> None:
    connection = await asyncpg.connect(owner)
    await connection.execute(ROWS_SQL)
    await connection.close()


def measure() -> dict[str, object]:
    """The report; ``holds`` tells whether the bound is met."""
    database = servers.create_database("pay", MIGRATE)
    _make_commits_durable()
    asyncio.run(_make_bare_rows(database.owner))
    as_live = {"SANDBOX_CONCURRENT_CALLS": "30", "CLOCK_REDIS_URL": servers.redis_database()}
    with (
        served("benchmarks.pay_bare:create_echo", dict(os.environ), "/") as echo,
        served("pay_api.sandbox.main:create_app", os.environ | as_live, "/healthz") as sandbox,
        served("pay_api.main:create_app", _environment(database, sandbox.port), "/healthz") as pay,
        served("benchmarks.pay_bare:create_bare", _environment(database, echo.port), "/openapi.json") as bare,
    ):
        sides = {"bare": bare, "payapi": pay}
        measured = asyncio.run(_measure(sides, card_packet(sandbox.port)))
    pairs = zip(measured["payapi"].outcomes, measured["bare"].outcomes, strict=True)
    ratio = statistics.median(ours.per_second / theirs.per_second for ours, theirs in pairs)
    return {
        "payments": [one.row(name) for name, one in measured.items()],
        "rounds": ROUNDS,
        "ratio": round(ratio, 3),
        "bound": BOUND,
        "holds": ratio >= BOUND,
        "load": os.getloadavg(),
    }


def _lines(report: dict[str, object]) -> Iterator[str]:
    rows = report["payments"]
    assert isinstance(rows, list)
    yield f"{'':10} {'per second':>12} {'p50 ms':>9} {'p99 ms':>9} {'its CPU ms':>11}"
    for row in rows:
        figures = f"{row['per_second']:>12} {row['p50_ms']:>9} {row['p99_ms']:>9} {row['cpu_ms']:>11}"
        yield f"{row['name']:10} {figures}"
    yield f"ratio {report['ratio']} (bound >= {report['bound']}): {'holds' if report['holds'] else 'MISSED'}"


def main() -> int:
    run = servers.open_run()
    try:
        report = measure()
    finally:
        servers.close_run(run)
    print("\n".join(_lines(report)))
    print(json.dumps(report))
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(report, indent=2) + "\n")
    return 0 if report["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
