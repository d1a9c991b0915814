"""What a product leaves of its rights after the grace, and until when a purchase has it."""

from __future__ import annotations

from user_api.migrations.script import execute_script

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SQL = """
ALTER TABLE catalog_products ADD COLUMN reduced_grants TEXT[] NOT NULL DEFAULT '{}';
ALTER TABLE user_products ADD COLUMN reduced_until TIMESTAMPTZ;
"""

DOWN = """
ALTER TABLE user_products DROP COLUMN reduced_until;
ALTER TABLE catalog_products DROP COLUMN reduced_grants;
"""


def upgrade() -> None:
    execute_script(SQL)


def downgrade() -> None:
    execute_script(DOWN)
