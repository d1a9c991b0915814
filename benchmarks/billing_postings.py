"""A two-legged posting: by the public command, by one raw statement of the same rows, by django-hordak."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg2
from psycopg2.extras import register_uuid

from benchmarks.billing_world import NOW
from shared.ids import new_id
from tests import servers
from tests.servers import DatabaseUrls

_RAW_SQL = """
WITH posted AS (
    INSERT INTO ledger_transaction (id, account_id, source_kind, source_id, leg_count, posted_at)
    VALUES (%(posting)s, %(account)s, 'adjustment', %(source)s, 2, %(now)s)
), audited AS (
    INSERT INTO audit_record (id, account_id, command, actor_kind, actor_id, reason, subject_kind, subject_id,
        before, after, correlation_id, done_at)
    VALUES (%(audit)s, %(account)s, 'grant_goodwill', 'staff', 'bench', 'bench', 'adjustment', %(source)s,
        '{"balance": {"amount": 0, "currency": "RUB"}}', '{"balance": {"amount": 1, "currency": "RUB"}}', '',
        %(now)s)
), stands AS (
    INSERT INTO account_balance (id, account_id, currency, balance_minor, entry_count, chain_head)
    VALUES (%(balance)s, %(account)s, 'RUB', %(total)s, %(position)s, %(hash)s)
    ON CONFLICT (account_id, currency) DO UPDATE SET balance_minor = excluded.balance_minor,
        entry_count = excluded.entry_count, chain_head = excluded.chain_head
)
INSERT INTO ledger_entry (id, account_id, transaction_id, leg_number, leg_count, ledger_account, amount_minor,
    currency, position, chain_hash, posted_at)
VALUES (%(debit)s, %(account)s, %(posting)s, 1, 2, 'goodwill', 100, 'RUB', 0, NULL, %(now)s),
    (%(credit)s, %(account)s, %(posting)s, 2, 2, 'customer', -100, 'RUB', %(position)s, %(hash)s, %(now)s)
"""


def open_accounts(count: int) -> list[UUID]:
    """Users with personal accounts."""
    from billing_api.billing_service.models import Account

    users = [new_id() for _ in range(count)]
    Account.objects.bulk_create([Account(user_id=user, created_at=NOW, updated_at=NOW) for user in users])
    return users


def by_command(users: list[UUID], count: int) -> float:
    """Seconds for ``count`` runs of grant_goodwill: lock, decide, post with the chain, audit, commit."""
    from billing_api.billing_service.actors import Actor
    from billing_api.billing_service.commands.grant_goodwill import grant_goodwill
    from shared.money import Money

    actor, amount = Actor("staff", "bench"), Money(100)
    started = time.perf_counter()
    for number in range(count):
        grant_goodwill(users[number % len(users)], amount, actor=actor, reason="bench", now=NOW)
    return time.perf_counter() - started


@dataclass
class RawWriter:
    """One statement and its commit a posting; hashes are made beforehand, outside the measured time."""

    urls: DatabaseUrls
    users: list[UUID]
    heads: dict[UUID, tuple[int, str]] = field(default_factory=dict)
    connection: Any = None

    def run(self, count: int) -> float:
        from billing_api.billing_service.models import Account

        accounts = list(Account.objects.filter(user_id__in=self.users).values_list("id", flat=True))
        rows = [self._row(accounts[number % len(accounts)]) for number in range(count)]
        if self.connection is None:
            register_uuid()
            self.connection = psycopg2.connect(self.urls.service)
            self.connection.autocommit = True
        with self.connection.cursor() as cursor:
            started = time.perf_counter()
            for row in rows:
                cursor.execute(_RAW_SQL, row)
            return time.perf_counter() - started

    def _row(self, account: UUID) -> dict[str, Any]:
        from tests.billing_api.ledger_chain import Link, chain_hash

        position, previous = self.heads.get(account, (0, ""))
        position += 1
        row: dict[str, Any] = {
            name: new_id() for name in ("posting", "source", "audit", "balance", "debit", "credit")
        }
        link = Link(
            row["credit"],
            account,
            "RUB",
            position,
            -100,
            row["posting"],
            "adjustment",
            row["source"],
            None,
            NOW,
        )
        made = chain_hash(previous, link, [("goodwill", "RUB", 100), ("customer", "RUB", -100)])
        self.heads[account] = position, made
        return {
            **row,
            "account": account,
            "now": NOW,
            "total": -100 * position,
            "position": position,
            "hash": made,
        }


class Hordak:
    """The rival's process; None when its packages are nowhere (requirements/benchmarks.txt)."""

    def __init__(self, python: str) -> None:
        database = servers.create_database("billing")  # its roles are not used: hordak works as superuser
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.billing_hordak"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"HORDAK_DATABASE_URL": database.superuser},
        )
        if self._answer() != "ready":
            raise RuntimeError("django-hordak did not start")

    @classmethod
    def start(cls) -> Hordak | None:
        """With HORDAK_PYTHON, or this interpreter if it has the package."""
        python = os.environ.get("HORDAK_PYTHON", sys.executable)
        found = subprocess.run([python, "-c", "import hordak"], capture_output=True, check=False)
        return cls(python) if found.returncode == 0 or b"settings" in found.stderr else None

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def run(self, count: int) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        return float(json.loads(self._answer()))

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)
