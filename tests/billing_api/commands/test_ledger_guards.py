"""What the billing database itself refuses, as the service's own role and beyond it."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

import psycopg2
import pytest

from tests.servers import DatabaseUrls

ACCOUNT = (
    "INSERT INTO account (id, user_id, currency, locale, time_zone, status, profile_sequence, created_at,"
    " updated_at) VALUES (%s, %s, 'RUB', 'ru', 'Europe/Moscow', 'active', 0, %s, %s)"
)
TRANSACTION = (
    "INSERT INTO ledger_transaction (id, account_id, source_kind, source_id, posted_at)"
    " VALUES (%s, %s, 'payment', %s, %s)"
)
ENTRY = (
    "INSERT INTO ledger_entry (id, account_id, transaction_id, ledger_account, amount_minor, currency,"
    " position, posted_at, chain_hash) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
)


def post(cursor, now: datetime, legs: list[tuple[str, int, str]]) -> str:
    from billing_api.billing_service.ledger_chain import GENESIS, Link, chain_hash

    account, transaction, source = uuid4(), uuid4(), uuid4()
    cursor.execute(ACCOUNT, (str(account), str(uuid4()), now, now))
    cursor.execute(TRANSACTION, (str(transaction), str(account), str(source), now))
    for name, amount, currency in legs:
        entry, position, made = uuid4(), 0, None
        if name == "customer":
            position = 1
            link = Link(entry, account, currency, position, amount, transaction, "payment", source, None, now)
            made = chain_hash(GENESIS, link, [(leg[0], leg[2], leg[1]) for leg in legs])
        values = (str(entry), str(account), str(transaction), name, amount, currency, position, now, made)
        cursor.execute(ENTRY, values)
    return str(transaction)


BALANCED = [("customer", -49900, "RUB"), ("provider_clearing", 49900, "RUB")]


def test_a_balanced_posting_is_taken(billing: DatabaseUrls, now: datetime) -> None:
    with psycopg2.connect(billing.service) as connection, connection.cursor() as cursor:
        transaction = post(cursor, now, BALANCED)
        connection.commit()
        cursor.execute("SELECT count(*) FROM ledger_entry WHERE transaction_id = %s", (transaction,))
        assert cursor.fetchone() == (2,)


@pytest.mark.parametrize(
    "legs",
    [
        [("customer", -49900, "RUB"), ("provider_clearing", 49899, "RUB")],
        [("customer", -49900, "RUB"), ("provider_clearing", 49900, "USD")],
        [("customer", -49900, "RUB")],
        [],
    ],
)
def test_an_unbalanced_posting_is_refused_at_commit(
    billing: DatabaseUrls, now: datetime, legs: list[tuple[str, int, str]]
) -> None:
    connection = psycopg2.connect(billing.service)
    with connection.cursor() as cursor:
        post(cursor, now, legs)
        with pytest.raises(psycopg2.errors.CheckViolation):
            connection.commit()
    connection.close()


@pytest.mark.parametrize("role", ["billing_api", "billing_commands"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entry SET amount_minor = 1",
        "DELETE FROM ledger_entry",
        "TRUNCATE ledger_entry",
        "UPDATE ledger_transaction SET source_kind = 'x'",
        "DELETE FROM ledger_transaction",
        "UPDATE audit_record SET reason = 'x'",
        "DELETE FROM audit_record",
        "DELETE FROM invoice",
    ],
)
def test_service_roles_may_not_change_the_ledger(billing: DatabaseUrls, role: str, statement: str) -> None:
    connection = psycopg2.connect(billing[role])
    with connection.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute(statement)
    connection.close()


def test_even_the_owner_may_not_change_the_ledger(billing: DatabaseUrls, now: datetime) -> None:
    connection = psycopg2.connect(billing.owner)
    with connection.cursor() as cursor:
        post(cursor, now, BALANCED)
        connection.commit()
        for statement in (
            "UPDATE ledger_entry SET amount_minor = 1",
            "DELETE FROM ledger_entry",
            "DELETE FROM ledger_transaction",
            "TRUNCATE ledger_entry CASCADE",
        ):
            with pytest.raises(psycopg2.errors.CheckViolation, match="append-only"):
                cursor.execute(statement)
            connection.rollback()
    connection.close()


def test_a_source_is_posted_once(billing: DatabaseUrls, now: datetime) -> None:
    connection = psycopg2.connect(billing.service)
    with connection.cursor() as cursor:
        post(cursor, now, BALANCED)
        cursor.execute("SELECT account_id, source_id FROM ledger_transaction")
        account, source = cursor.fetchone()
        with pytest.raises(psycopg2.errors.UniqueViolation):
            cursor.execute(TRANSACTION, (str(uuid4()), account, source, now))
    connection.close()
