"""Payments, attempts, refunds, methods, webhooks; idempotency, outbox and inbox."""

from __future__ import annotations

from pathlib import Path

from alembic import op

from shared.tables import SQL, drop_sql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    "webhook, payment_transition, payment_refund, payment_operation, payment_attempt, payment, "
    "payment_method, payment_edge, payment_invoice"
)


def _execute(script: str) -> None:
    # asyncpg takes several statements only without parameters, through its own connection.
    connection = op.get_bind().connection.dbapi_connection
    connection.run_async(lambda driver: driver.execute(script))


def upgrade() -> None:
    _execute(SQL)
    _execute((Path(__file__).parent / "0001_payments.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    _execute(f"DROP TABLE {_TABLES}; DROP FUNCTION payment_refuse_unlawful_step(), payment_notify();")
    _execute(drop_sql())
