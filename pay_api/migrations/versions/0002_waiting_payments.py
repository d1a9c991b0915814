"""Hosted checkout, bank transfers, and holds that end by the suite's own clock."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_DOWN = """
DROP TABLE payment_transfer;
DELETE FROM payment_edge WHERE (from_status, to_status) IN
    (('created', 'action_required'), ('action_required', 'action_required'));
ALTER TABLE payment_attempt DROP COLUMN save_method;
ALTER TABLE payment
    DROP CONSTRAINT payment_awaits_card_check,
    DROP CONSTRAINT payment_method_kind_check,
    ADD CONSTRAINT payment_method_kind_check CHECK (method_kind IN ('card_cryptogram', 'saved_method')),
    DROP COLUMN awaits_card,
    DROP COLUMN instructions,
    DROP COLUMN expires_at;
"""


def _execute(script: str) -> None:
    # asyncpg takes several statements only without parameters, through its own connection.
    connection = op.get_bind().connection.dbapi_connection
    connection.run_async(lambda driver: driver.execute(script))


def upgrade() -> None:
    _execute((Path(__file__).parent / "0002_waiting_payments.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    _execute(_DOWN)
