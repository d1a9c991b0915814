"""Accounts, ended sessions, log-in throttling, and the suite's idempotency, outbox and inbox tables."""

from __future__ import annotations

from shared import tables
from user_api.migrations.script import execute_script

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SQL = """
CREATE TABLE users (
    id                  uuid        CONSTRAINT pk_users PRIMARY KEY,
    email               text        NOT NULL,
    email_normalized    text        NOT NULL CONSTRAINT uq_users_email_normalized UNIQUE,
    password_hash       text        NOT NULL,
    full_name           text,
    phone               text,
    locale              text        NOT NULL,
    time_zone           text        NOT NULL,
    status              text        NOT NULL
        CONSTRAINT ck_users_status CHECK (status IN ('active', 'blocked', 'erased')),
    token_epoch         integer     NOT NULL CONSTRAINT ck_users_token_epoch CHECK (token_epoch >= 1),
    password_changed_at timestamptz NOT NULL,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL
);

CREATE TABLE revoked_sessions (
    family_id  uuid        CONSTRAINT pk_revoked_sessions PRIMARY KEY,
    user_id    uuid        NOT NULL
        CONSTRAINT fk_revoked_sessions_user_id_users REFERENCES users (id) ON DELETE CASCADE,
    epoch      integer     NOT NULL,
    reason     text        NOT NULL,
    revoked_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX ix_revoked_sessions_user_id_revoked_at ON revoked_sessions (user_id, revoked_at);
CREATE INDEX ix_revoked_sessions_expires_at ON revoked_sessions (expires_at);

CREATE TABLE login_throttle (
    key               bytea       CONSTRAINT pk_login_throttle PRIMARY KEY,
    failures          integer     NOT NULL,
    window_started_at timestamptz NOT NULL,
    retry_at          timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL
);
CREATE INDEX ix_login_throttle_updated_at ON login_throttle (updated_at);

CREATE TABLE account_actions (
    id       uuid        CONSTRAINT pk_account_actions PRIMARY KEY,
    user_id  uuid        NOT NULL
        CONSTRAINT fk_account_actions_user_id_users REFERENCES users (id) ON DELETE CASCADE,
    actor    text        NOT NULL,
    action   text        NOT NULL,
    reason   text        NOT NULL,
    acted_at timestamptz NOT NULL
);
CREATE INDEX ix_account_actions_user_id_acted_at ON account_actions (user_id, acted_at);
"""


def upgrade() -> None:
    execute_script(tables.SQL)
    execute_script(SQL)


def downgrade() -> None:
    execute_script("DROP TABLE account_actions, login_throttle, revoked_sessions, users;")
    execute_script(tables.drop_sql())
