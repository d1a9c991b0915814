"""Each Postgres role may do what its service does in its own database, and is refused everything else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from deploy.local.databases import DATABASES, ROLES, DatabaseUrls
from shared.queue import retention

MIGRATIONS = {
    "users": ["alembic", "-c", "user_api/alembic.ini", "upgrade", "head"],
    "pay": ["alembic", "-c", "pay_api/alembic.ini", "upgrade", "head"],
    "billing": ["python", "-m", "billing_api.manage", "migrate"],
}
OLD_EVENT = (
    "INSERT INTO outbox (event_id, exchange, event_type, aggregate_type, aggregate_id, aggregate_sequence,"
    " envelope, created_at, published_at)"
    " VALUES (gen_random_uuid(), 'e', 't', 'a', gen_random_uuid(), 1, '{}', $1, $1)"
)
OLD_INBOX = (
    "INSERT INTO inbox (consumer, event_id, event_type, aggregate_type, aggregate_id, aggregate_sequence,"
    " outcome, handled_at) VALUES ('q', gen_random_uuid(), 't', 'a', gen_random_uuid(), 1, 'applied', $1)"
)
OLD_KEY = (
    "INSERT INTO idempotency_key (id, caller, method, path_template, key, request_hash, created_at)"
    " VALUES (gen_random_uuid(), 'c', 'POST', '/', 'k', '', $1)"
)
HOME = {role: name for name, roles in DATABASES.items() for role in roles}
Made = dict[str, DatabaseUrls]


@pytest.fixture(scope="module")
def made(create_database: Callable[..., DatabaseUrls]) -> Made:
    return {name: create_database(name, migrate=MIGRATIONS.get(name)) for name in DATABASES}


async def run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for sql in statements:
            await connection.execute(sql)
    finally:
        await connection.close()


async def refuse(url: str, *statements: str) -> None:
    """Each statement, on its own, is refused for want of a right."""
    connection = await asyncpg.connect(url)
    try:
        for sql in statements:
            try:
                await connection.execute(sql)
            except asyncpg.InsufficientPrivilegeError:
                continue
            pytest.fail(f"{urlsplit(url).username} may {sql}")
    finally:
        await connection.close()


async def tables(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    await connection.close()
    return [row["tablename"] for row in rows]


async def test_every_role_enters_its_own_database_only(made: Made) -> None:
    for role in ROLES:
        url = made[HOME[role]][role]
        await run(url, "SELECT 1")
        for name, other in made.items():
            if name != HOME[role]:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await run(urlunsplit(urlsplit(url)._replace(path=f"/{other.name}")), "SELECT 1")


async def test_no_role_is_more_than_a_role(made: Made) -> None:
    for role in ROLES:
        url, owner = made[HOME[role]][role], DATABASES[HOME[role]][0]
        await refuse(url, "CREATE ROLE mighty", "CREATE DATABASE mine", "COPY (SELECT 1) TO '/tmp/x'")
        if role != owner:
            await refuse(url, "CREATE TABLE mine (x int)", f"SET ROLE {owner}")


@pytest.mark.parametrize(("database", "role"), [("users", "users_ro"), ("billing", "billing_ro")])
async def test_a_reading_role_reads_all_and_writes_nothing(made: Made, database: str, role: str) -> None:
    names, url = await tables(made[database].owner), made[database][role]
    assert len(names) > 10
    await run(url, *(f'SELECT * FROM "{name}" LIMIT 1' for name in names))
    for verb in ("DELETE FROM", "TRUNCATE"):
        await refuse(url, *(f'{verb} "{name}"' for name in names))
    await refuse(url, *(f'INSERT INTO "{name}" DEFAULT VALUES' for name in names))
    await refuse(url, "UPDATE outbox SET published_at = NULL")


async def test_the_panels_commands_delete_nothing_and_leave_the_ledger(made: Made) -> None:
    url, names = made["billing"]["billing_commands"], await tables(made["billing"].owner)
    await refuse(url, *(f'DELETE FROM "{name}"' for name in names), *(f'TRUNCATE "{name}"' for name in names))
    for name in ("ledger_transaction", "ledger_entry", "audit_record", "invoice_line", "credit_note_line"):
        for role in ("billing_commands", "billing_api"):
            await refuse(made["billing"][role], f"UPDATE {name} SET id = id", f"DELETE FROM {name}")
    await run(url, "UPDATE invoice SET id = id WHERE false", "SELECT count(*) FROM ledger_entry")
    await refuse(made["billing"]["billing_api"], "DELETE FROM invoice", "DELETE FROM credit_note")


async def test_pay_api_cannot_change_history(made: Made) -> None:
    url = made["pay"]["pay_api"]
    kept = ("payment", "payment_attempt", "payment_operation", "payment_refund", "payment_method", "webhook")
    await refuse(url, *(f"DELETE FROM {name}" for name in (*kept, "payment_transition", "payment_edge")))
    await refuse(url, *(f"TRUNCATE {name}" for name in (*kept, "payment_transition", "payment_edge")))
    await refuse(url, "UPDATE payment_transition SET payment_id = payment_id")
    await refuse(url, "INSERT INTO payment_edge SELECT * FROM payment_edge")
    await run(url, "UPDATE payment SET id = id WHERE false", "DELETE FROM idempotency_key WHERE false")


@pytest.mark.parametrize("database", MIGRATIONS)
async def test_the_services_remove_what_is_too_old_with_their_own_roles(made: Made, database: str) -> None:
    """By triggers, too, nothing may stand in the way of the relay's hourly purge."""
    connection = await asyncpg.connect(made[database].service)
    long_ago = datetime.now(UTC) - timedelta(days=90)
    try:
        await connection.execute(OLD_EVENT, long_ago)
        await connection.execute(OLD_INBOX, long_ago)
        await connection.execute(OLD_KEY, long_ago)
        await retention.purge(connection)
        for table in ("outbox", "inbox", "idempotency_key"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
    finally:
        await connection.close()


async def test_time_outs_of_the_roles_that_serve(made: Made) -> None:
    for role in ROLES:
        connection = await asyncpg.connect(made[HOME[role]][role])
        shown = [
            await connection.fetchval(f"SHOW {setting}")
            for setting in ("lock_timeout", "idle_in_transaction_session_timeout", "statement_timeout")
        ]
        await connection.close()
        assert shown == (["0", "0", "0"] if role.endswith("_owner") else ["3s", "15s", "10s"]), role
