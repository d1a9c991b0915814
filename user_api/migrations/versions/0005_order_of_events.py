"""Which event the held state of a payment came by: two events are ordered by their sequence."""

from __future__ import annotations

from user_api.migrations.script import execute_script

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SQL = """
ALTER TABLE payments ADD COLUMN state_sequence bigint;
"""

DOWN = """
ALTER TABLE payments DROP COLUMN state_sequence;
"""


def upgrade() -> None:
    execute_script(SQL)


def downgrade() -> None:
    execute_script(DOWN)
