"""What PayAPI was told of the payer, until it answers; and the intents it never answered, to be found."""

from __future__ import annotations

from user_api.migrations.script import execute_script

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SQL = """
ALTER TABLE payments ADD COLUMN payer JSONB;
CREATE INDEX ix_payments_unanswered ON payments (updated_at) WHERE known_at IS NULL;
"""

DOWN = """
DROP INDEX ix_payments_unanswered;
ALTER TABLE payments DROP COLUMN payer;
"""


def upgrade() -> None:
    execute_script(SQL)


def downgrade() -> None:
    execute_script(DOWN)
