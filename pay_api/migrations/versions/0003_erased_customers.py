"""Remembers whose personal data was erased."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_DOWN = "DROP TABLE erased_customer;"


def _execute(script: str) -> None:
    # asyncpg takes several statements only without parameters, through its own connection.
    connection = op.get_bind().connection.dbapi_connection
    connection.run_async(lambda driver: driver.execute(script))


def upgrade() -> None:
    _execute((Path(__file__).parent / "0003_erased_customers.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    _execute(_DOWN)
