"""Postings made before the chain are chained by its migration, and their legs counted by a later one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

import psycopg2
import pytest

from tests.billing_api.commands.test_ledger_guards import ACCOUNT
from tests.billing_api.ledger_chain import GENESIS, Link, chain_hash
from tests.servers import DatabaseUrls

BEFORE = ["python", "-m", "billing_api.manage", "migrate", "billing_service", "0001", "--skip-checks"]
TRANSACTION = (
    "INSERT INTO ledger_transaction (id, account_id, source_kind, source_id, posted_at)"
    " VALUES (%s, %s, 'payment', %s, %s)"
)
ENTRY = (
    "INSERT INTO ledger_entry (id, account_id, transaction_id, ledger_account, amount_minor, currency,"
    " position, posted_at) VALUES (%s, %s, %s, %s, %s, 'RUB', %s, %s)"
)
LATER_LEG = """
INSERT INTO ledger_entry (id, account_id, transaction_id, leg_number, leg_count, ledger_account, amount_minor,
    currency, position, posted_at)
SELECT gen_random_uuid(), account_id, id, 2, 2, 'goodwill', 1, 'RUB', 0, posted_at FROM ledger_transaction
LIMIT 1
"""


@pytest.mark.timeout(300)
def test_older_postings_are_chained(create_database: Callable[..., DatabaseUrls], now: datetime) -> None:
    urls = create_database("billing", migrate=BEFORE, variant="before-the-chain")
    account, expected, head = uuid4(), [], GENESIS
    with psycopg2.connect(urls.service) as connection, connection.cursor() as cursor:
        cursor.execute(ACCOUNT, (str(account), str(uuid4()), now, now))
        for position, amount in enumerate((-100, -250), start=1):
            transaction, source, entry = uuid4(), uuid4(), uuid4()
            cursor.execute(TRANSACTION, (str(transaction), str(account), str(source), now))
            for identity, name, minor, place in (
                (entry, "customer", amount, position),
                (uuid4(), "provider_clearing", -amount, 0),
            ):
                values = (str(identity), str(account), str(transaction), name, minor, place, now)
                cursor.execute(ENTRY, values)
            link = Link(entry, account, "RUB", position, amount, transaction, "payment", source, None, now)
            legs = [("customer", "RUB", amount), ("provider_clearing", "RUB", -amount)]
            head = chain_hash(head, link, legs)
            expected.append((position, head))
        cursor.execute(
            "INSERT INTO account_balance (id, account_id, currency, balance_minor, entry_count)"
            " VALUES (%s, %s, 'RUB', -350, 2)",
            (str(uuid4()), str(account)),
        )
    connection.close()
    done = subprocess.run(
        [sys.executable, "-m", "billing_api.manage", "migrate", "--skip-checks"],
        env=os.environ | {"APP_ENV": "test"} | urls.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with psycopg2.connect(urls.service) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT position, chain_hash FROM ledger_entry WHERE chain_hash IS NOT NULL ORDER BY position"
        )
        assert cursor.fetchall() == expected
        cursor.execute("SELECT chain_head FROM account_balance")
        assert cursor.fetchone() == (head,)
        cursor.execute(
            "SELECT t.leg_count, e.leg_count, array_agg(e.leg_number ORDER BY e.leg_number)"
            " FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id"
            " GROUP BY t.id, t.leg_count, e.leg_count"
        )
        assert cursor.fetchall() == [(2, 2, [1, 2])] * 2
        with pytest.raises(psycopg2.errors.UniqueViolation, match="ledger_entry_leg"):
            cursor.execute(LATER_LEG)
    connection.close()
