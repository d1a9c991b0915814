"""The world of the billing figures: a migrated database, Django on it, a catalogue, a long account."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg2

from shared import logs
from shared.ids import new_id
from tests import servers
from tests.servers import DatabaseUrls

NOW = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)
TOKEN = "bench-operator-credential"
_MOVEMENTS_SQL = """
SET session_replication_role = replica;
WITH documents AS (
    SELECT n, gen_random_uuid() AS document, gen_random_uuid() AS posting,
        timestamptz '2026-01-01 00:00+00' + n * interval '1 minute' AS at
    FROM generate_series(1, {pairs}) AS n
), invoices AS (
    INSERT INTO invoice (id, account_id, number, kind, currency, list_minor, discount_minor, total_minor,
        vat_minor, balance_applied_minor, steps, customer_snapshot, reason, issued_at, due_at, status,
        collection, paid_minor, credited_minor, credited_unpaid_minor, written_off_minor,
        amount_due_minor, collects_automatically, collection_failures, updated_at)
    SELECT document, '{account}'::uuid, 'B{tag}-' || n, 'charge', 'RUB', 49900, 0, 49900, 8998, 0, '[]',
        '{{}}', '', at, at, 'paid', 'none', 49900, 0, 0, 0, 0, false, 0, at FROM documents
), postings AS (
    INSERT INTO ledger_transaction (id, account_id, source_kind, source_id, leg_count, posted_at)
    SELECT posting, '{account}'::uuid, 'invoice', document, 2, at FROM documents
    UNION ALL SELECT document, '{account}'::uuid, 'payment', posting, 2, at FROM documents
), payments AS (
    INSERT INTO payment (id, account_id, invoice_id, sequence, initiator, provider, status, currency,
        amount_minor, captured_minor, refunded_minor, allocated_minor, to_balance_minor, is_late, card_mask,
        created_at, posted_at, updated_at)
    SELECT posting, '{account}'::uuid, document, 1, 'customer', 'cloudpayments', 'succeeded', 'RUB', 49900,
        49900, 0, 49900, 0, false, '4242 42** **** 4242', at, at, at FROM documents
)
INSERT INTO ledger_entry (id, account_id, transaction_id, leg_number, leg_count, ledger_account, amount_minor,
    currency, position, chain_hash, posted_at)
SELECT gen_random_uuid(), '{account}'::uuid, posting, 1, 2, 'customer', 49900, 'RUB', 2 * n - 1,
    repeat('0', 64), at FROM documents
UNION ALL
SELECT gen_random_uuid(), '{account}'::uuid, document, 1, 2, 'customer', -49900, 'RUB', 2 * n,
    repeat('0', 64), at FROM documents;
ANALYZE;
"""


def prepare() -> DatabaseUrls:
    """A migrated billing database; Django of this process works in it as the service's role."""
    urls = servers.create_database("billing", migrate=["python", "-m", "billing_api.manage", "migrate"])
    os.environ |= {
        "APP_ENV": "test",
        "LOG_LEVEL": "WARNING",
        "DATABASE_URL": urls.service,
        "ACCEPTED_CREDENTIALS": f'{{"operator": ["{TOKEN}"]}}',
        "DJANGO_SETTINGS_MODULE": "billing_api.config.settings",
    }
    import django

    logs.configure("billing-benchmark", "WARNING")
    django.setup()
    return urls


def catalogue() -> Any:
    """Products and customers as the tests of commands know them."""
    from tests.billing_api.commands.world import World

    return World(NOW)


def long_account(urls: DatabaseUrls, movements: int) -> UUID:
    """The user of an account with so many movements: invoices and payments in turn."""
    from billing_api.billing_service.models import Account

    user_id = new_id()
    account = Account.objects.create(user_id=user_id, created_at=NOW, updated_at=NOW)
    with psycopg2.connect(urls.superuser) as connection, connection.cursor() as cursor:
        cursor.execute(_MOVEMENTS_SQL.format(account=account.id, pairs=movements // 2, tag=user_id.hex[-8:]))
    connection.close()
    return user_id
