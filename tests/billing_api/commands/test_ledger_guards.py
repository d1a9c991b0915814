"""What the billing database itself refuses, as the service's own role and beyond it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from uuid import uuid4

import psycopg2
import pytest

from tests.servers import DatabaseUrls

ACCOUNT = (
    "INSERT INTO account (id, user_id, currency, locale, time_zone, status, profile_sequence, created_at,"
    " updated_at) VALUES (%s, %s, 'RUB', 'ru', 'Europe/Moscow', 'active', 0, %s, %s)"
)
TRANSACTION = (
    "INSERT INTO ledger_transaction (id, account_id, source_kind, source_id, leg_count, posted_at)"
    " VALUES (%s, %s, 'payment', %s, %s, %s)"
)
ENTRY = (
    "INSERT INTO ledger_entry (id, account_id, transaction_id, ledger_account, amount_minor, currency,"
    " position, posted_at, chain_hash, leg_number, leg_count)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)


def post(
    cursor,
    now: datetime,
    legs: list[tuple[str, int, str]],
    *,
    leg_count: int | None = None,
    without_last: bool = False,
    places: Mapping[str, tuple[int, str | None]] = MappingProxyType({}),
) -> str:
    """Writes a posting that says it has ``leg_count`` legs, as many as there are unless told otherwise.

    ``places``: position and hash of an account's leg, when they are to be other than they should.
    """
    from tests.billing_api.ledger_chain import GENESIS, Link, chain_hash

    account, transaction, source = uuid4(), uuid4(), uuid4()
    count = len(legs) if leg_count is None else leg_count
    cursor.execute(ACCOUNT, (str(account), str(uuid4()), now, now))
    cursor.execute(TRANSACTION, (str(transaction), str(account), str(source), count, now))
    for number, (name, amount, currency) in enumerate(legs[:-1] if without_last else legs, start=1):
        entry, position, made = uuid4(), 0, None
        if name == "customer":
            position = 1
            link = Link(entry, account, currency, position, amount, transaction, "payment", source, None, now)
            made = chain_hash(GENESIS, link, [(leg[0], leg[2], leg[1]) for leg in legs])
        position, made = places.get(name, (position, made))
        values = (str(entry), str(account), str(transaction), name, amount, currency, position, now, made)
        cursor.execute(ENTRY, (*values, number, count))
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
        [("customer", -49900, "RUB"), ("provider_clearing", 49900, "RUB"), ("vat", 1, "USD")],
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


@pytest.mark.parametrize("legs", [[("customer", -49900, "RUB")], []])
def test_a_posting_of_fewer_than_two_legs_is_refused(
    billing: DatabaseUrls, now: datetime, legs: list[tuple[str, int, str]]
) -> None:
    """Whether it owns up to it or not."""
    connection = psycopg2.connect(billing.service)
    with connection.cursor() as cursor:
        post(cursor, now, legs)
        with pytest.raises(
            psycopg2.errors.CheckViolation, match=f"{len(legs)} whole of its {len(legs)} entries"
        ):
            connection.commit()
        post(cursor, now, legs, leg_count=2)
        with pytest.raises(psycopg2.errors.CheckViolation, match="of its 2 entries"):
            connection.commit()
    connection.close()


# Legs whose sum does not tell that one of them is not what it must be, and where and with which hash it is
# (None: as it should).
NOTHING = [("customer", 0, "RUB"), ("provider_clearing", 0, "RUB")]
UNSOUND: dict[str, tuple[list[tuple[str, int, str]], dict[str, tuple[int, str | None]]]] = {
    "of nothing": (NOTHING, {}),
    "the firm's with a place in a chain": (BALANCED, {"provider_clearing": (1, None)}),
    "the firm's below all places": (BALANCED, {"provider_clearing": (-1, None)}),
    "the firm's with a hash": (BALANCED, {"provider_clearing": (0, "0" * 64)}),
    "the firm's with both": (BALANCED, {"provider_clearing": (1, "0" * 64)}),
    "the customer's with neither": (BALANCED, {"customer": (0, None)}),
    "the customer's without a hash": (BALANCED, {"customer": (1, None)}),
}


@pytest.mark.parametrize("wrong", UNSOUND)
def test_a_leg_that_is_not_what_it_must_be_is_refused(
    billing: DatabaseUrls, now: datetime, wrong: str
) -> None:
    legs, places = UNSOUND[wrong]
    connection = psycopg2.connect(billing.service)
    with connection.cursor() as cursor:
        post(cursor, now, legs, places=places)
        with pytest.raises(psycopg2.errors.CheckViolation, match="whole of its 2 entries"):
            connection.commit()
    connection.close()


def test_two_currencies_may_balance_each(billing: DatabaseUrls, now: datetime) -> None:
    dollars = [("goodwill", 5, "USD"), ("provider_clearing", -5, "USD")]
    with psycopg2.connect(billing.service) as connection, connection.cursor() as cursor:
        post(cursor, now, BALANCED + dollars)
    connection.close()


# (account of its transaction?, leg number, leg count) of one leg more for a committed posting of two legs.
LATER = {
    "a third of three": (True, 3, 3, psycopg2.errors.ForeignKeyViolation),
    "a third of two": (True, 3, 2, psycopg2.errors.CheckViolation),
    "a second one": (True, 2, 2, psycopg2.errors.UniqueViolation),
    "before the first": (True, 0, 2, psycopg2.errors.CheckViolation),
    "without a number": (True, None, 2, psycopg2.errors.NotNullViolation),
    "without a count": (True, 3, None, psycopg2.errors.NotNullViolation),
    "of another account": (False, 3, 3, psycopg2.errors.ForeignKeyViolation),
}


@pytest.mark.parametrize("asked", LATER)
@pytest.mark.parametrize("at_once", [True, False])
def test_no_leg_comes_after_the_posting_was_proven(
    billing: DatabaseUrls, now: datetime, asked: str, at_once: bool
) -> None:
    """Nor within the transaction that posted, after it had the proof made early."""
    is_own, number, count, error = LATER[asked]
    connection = psycopg2.connect(billing.service)
    with connection.cursor() as cursor:
        post(cursor, now, BALANCED)
        transaction = post(cursor, now, BALANCED)
        if at_once:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        else:
            connection.commit()
        cursor.execute(
            "SELECT account_id FROM ledger_transaction WHERE (id = %s) = %s", (transaction, is_own)
        )
        (account,) = cursor.fetchone()
        values = (str(uuid4()), account, transaction, "goodwill", 1, "RUB", 0, now, None, number, count)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(error):
            cursor.execute(ENTRY, values)
    connection.close()


def test_a_leg_of_another_account_does_not_complete_a_posting(billing: DatabaseUrls, now: datetime) -> None:
    connection = psycopg2.connect(billing.service)
    with connection.cursor() as cursor:
        post(cursor, now, BALANCED)
        cursor.execute("SELECT account_id FROM ledger_transaction")
        (another,) = cursor.fetchone()
        transaction = post(cursor, now, BALANCED, without_last=True)
        values = (str(uuid4()), another, transaction, "provider_clearing", 49900, "RUB", 0, now, None, 2, 2)
        cursor.execute(ENTRY, values)
        with pytest.raises(psycopg2.errors.ForeignKeyViolation, match="of_transaction"):
            connection.commit()
    connection.close()


def test_two_transactions_do_not_make_one_posting(billing: DatabaseUrls, now: datetime) -> None:
    """A leg written elsewhere has nothing to belong to until the posting is committed."""
    first, second = psycopg2.connect(billing.service), psycopg2.connect(billing.service)
    with first.cursor() as cursor, second.cursor() as other:
        transaction = post(cursor, now, BALANCED, without_last=True)
        cursor.execute("SELECT account_id FROM ledger_transaction WHERE id = %s", (transaction,))
        (account,) = cursor.fetchone()
        values = (str(uuid4()), account, transaction, "provider_clearing", 49900, "RUB", 0, now, None, 2, 2)
        other.execute(ENTRY, values)
        with pytest.raises(psycopg2.errors.ForeignKeyViolation):
            second.commit()
        with pytest.raises(psycopg2.errors.CheckViolation, match="1 whole of its 2 entries"):
            first.commit()
    first.close()
    second.close()


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
            cursor.execute(TRANSACTION, (str(uuid4()), account, source, 2, now))
    connection.close()
