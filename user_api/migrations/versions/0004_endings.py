"""What a user has ended and another service may not know yet, found without reading whole tables."""

from __future__ import annotations

from user_api.migrations.script import execute_script

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SQL = """
ALTER TABLE payment_methods ADD COLUMN forgotten_at timestamptz;
CREATE INDEX ix_payment_methods_to_forget ON payment_methods (id)
    WHERE detached_at IS NOT NULL AND forgotten_at IS NULL;
CREATE INDEX ix_payments_queued ON payments (id) WHERE initiator = 'merchant' AND status = 'created';
CREATE INDEX ix_user_products_removed ON user_products (id)
    WHERE removed_at IS NOT NULL AND status NOT IN ('cancelled', 'expired');
"""

DOWN = """
DROP INDEX ix_user_products_removed;
DROP INDEX ix_payments_queued;
DROP INDEX ix_payment_methods_to_forget;
ALTER TABLE payment_methods DROP COLUMN forgotten_at;
"""


def upgrade() -> None:
    execute_script(SQL)


def downgrade() -> None:
    execute_script(DOWN)
