"""Fiscal receipts that must come out; payments made for money taken twice under one attempt."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _execute(script: str) -> None:
    # asyncpg takes several statements only without parameters, through its own connection.
    connection = op.get_bind().connection.dbapi_connection
    connection.run_async(lambda driver: driver.execute(script))


def upgrade() -> None:
    _execute((Path(__file__).parent / "0005_receipts_and_second_charges.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    _execute("DROP TABLE payment_second_charge, payment_receipt")
