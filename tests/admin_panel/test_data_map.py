"""The map of personal data knows every column of the five databases, and says what becomes of it."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable
from pathlib import Path

import psycopg2
import pytest

from tests.admin_panel.conftest import BILLING_MIGRATE, USERS_MIGRATE, run
from tests.servers import DatabaseUrls

pytestmark = pytest.mark.timeout(300)
MAP = Path(__file__).resolve().parents[2] / "docs" / "data-map.csv"
PAY_MIGRATE = ["alembic", "-c", "pay_api/alembic.ini", "upgrade", "head"]
# Names that mean a person wherever they stand: such a column may not be called impersonal.
TELLING = re.compile(
    r"e_?mail|phone|full_name|first_name|last_name|document_name|password|user_agent|payer|card_mask|username"
)
IMPERSONAL = {("admin", "account_emailconfirmation", "email_address_id")}  # the id of a row


def columns_of(url: str) -> set[tuple[str, str]]:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT table_name, column_name FROM information_schema.columns"
                " JOIN information_schema.tables USING (table_schema, table_name)"
                " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
            )
            return {(table, column) for table, column in cursor.fetchall()}
    finally:
        connection.close()


@pytest.fixture(scope="module")
def kept(create_database: Callable[..., DatabaseUrls]) -> set[tuple[str, str, str]]:
    """(database, table, column) of everything that is stored, in five databases just migrated."""
    databases = {
        "users": create_database("users", migrate=USERS_MIGRATE),
        "pay": create_database("pay", migrate=PAY_MIGRATE),
        "billing": create_database("billing", migrate=BILLING_MIGRATE),
        "movies": create_database("movies"),
        "admin": create_database("admin"),
    }
    environment = {**os.environ, "APP_ENV": "test", "DJANGO_SETTINGS_MODULE": "admin_panel.config.settings"}
    for urls in databases.values():
        named = urls.environment()
        environment |= {k: v for k, v in named.items() if k not in ("DATABASE_URL", "MIGRATION_DATABASE_URL")}
    environment.pop("CLOCK_REDIS_URL", None)
    run(environment, "-m", "admin_panel.manage", "migrate_all", "-v", "0")
    return {
        (name, table, column)
        for name, urls in databases.items()
        for table, column in columns_of(urls.superuser)
    }


def listed(columns: set[tuple[str, str, str]]) -> str:
    return ", ".join(".".join(column) for column in sorted(columns))


def rows() -> list[dict[str, str]]:
    with MAP.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def mapped() -> list[tuple[str, str, str, dict[str, str]]]:
    return [
        (row["database"], row["table"], column, row) for row in rows() for column in row["columns"].split()
    ]


def test_every_column_is_in_the_map_once_and_nothing_else_is(kept: set[tuple[str, str, str]]) -> None:
    named = [(database, table, column) for database, table, column, _ in mapped()]
    assert len(named) == len(set(named)), "named twice"
    assert not kept - set(named), f"columns the map does not know: {listed(kept - set(named))}"
    assert not set(named) - kept, f"columns that are not there: {listed(set(named) - kept)}"


def test_every_personal_row_says_why_how_long_and_what_erasure_does() -> None:
    for row in rows():
        where = (row["database"], row["table"], row["columns"])
        assert row["service"], where
        assert row["personal"] in ("yes", "pseudonym", "staff", "no"), where
        if row["personal"] != "no":
            assert all(row[name] for name in ("purpose", "basis", "retention", "erasure")), where


def test_nothing_that_names_a_person_is_called_impersonal() -> None:
    wrong = [
        (database, table, column)
        for database, table, column, row in mapped()
        if row["personal"] == "no" and TELLING.search(column) and (database, table, column) not in IMPERSONAL
    ]
    assert wrong == []


def test_an_unknown_column_is_found(kept: set[tuple[str, str, str]]) -> None:
    named = {(database, table, column) for database, table, column, _ in mapped()}
    assert (kept | {("users", "users", "passport_number")}) - named
