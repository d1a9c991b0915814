"""In which language a consent's text was accepted, and the hash of the words."""

from __future__ import annotations

from user_api.migrations.script import execute_script

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SQL = """
ALTER TABLE recurring_payments
    ADD COLUMN text_language text,
    ADD COLUMN text_sha256 text;
"""

DOWN = """
ALTER TABLE recurring_payments
    DROP COLUMN text_sha256,
    DROP COLUMN text_language;
"""


def upgrade() -> None:
    execute_script(SQL)


def downgrade() -> None:
    execute_script(DOWN)
