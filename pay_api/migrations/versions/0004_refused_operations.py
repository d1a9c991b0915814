"""Captures and voids keep why the provider refused them; refunds, what staff said of them."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _execute(script: str) -> None:
    # asyncpg takes several statements only without parameters, through its own connection.
    connection = op.get_bind().connection.dbapi_connection
    connection.run_async(lambda driver: driver.execute(script))


def upgrade() -> None:
    _execute((Path(__file__).parent / "0004_refused_operations.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    _execute("ALTER TABLE payment_operation DROP COLUMN refusal")
    _execute("ALTER TABLE payment_refund DROP COLUMN staff_word")
