"""Messages to users (password reset, confirmation of an e-mail, notices) and erasures."""

from __future__ import annotations

from user_api.migrations.script import execute_script

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SQL = """
ALTER TABLE users ADD COLUMN email_confirmed_at timestamptz;

CREATE TABLE account_messages (
    id           uuid        CONSTRAINT pk_account_messages PRIMARY KEY,
    user_id      uuid        NOT NULL
        CONSTRAINT fk_account_messages_user_id_users REFERENCES users (id) ON DELETE CASCADE,
    kind         text        NOT NULL
        CONSTRAINT ck_account_messages_kind CHECK (kind IN ('password_reset', 'email_confirmation',
            'password_changed', 'email_changed', 'session_theft_suspected')),
    address      text,
    email_hash   bytea       NOT NULL,
    token_hash   bytea       CONSTRAINT uq_account_messages_token_hash UNIQUE,
    collections  integer     NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    collected_at timestamptz,
    used_at      timestamptz
);
CREATE INDEX ix_account_messages_user_id_created_at ON account_messages (user_id, created_at);
CREATE INDEX ix_account_messages_expires_at ON account_messages (expires_at);
CREATE INDEX ix_account_messages_waiting ON account_messages (id)
    WHERE collected_at IS NULL AND used_at IS NULL;

CREATE TABLE erasures (
    id                    uuid        CONSTRAINT pk_erasures PRIMARY KEY,
    user_id               uuid        NOT NULL CONSTRAINT uq_erasures_user_id UNIQUE
        CONSTRAINT fk_erasures_user_id_users REFERENCES users (id) ON DELETE CASCADE,
    requested_at          timestamptz NOT NULL,
    anonymised_at         timestamptz NOT NULL,
    sessions_forgotten_at timestamptz,
    payments_erased_at    timestamptz,
    completed_at          timestamptz
);
CREATE INDEX ix_erasures_open ON erasures (id) WHERE completed_at IS NULL;
"""


def upgrade() -> None:
    execute_script(SQL)


def downgrade() -> None:
    execute_script("DROP TABLE erasures, account_messages; ALTER TABLE users DROP COLUMN email_confirmed_at;")
