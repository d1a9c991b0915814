"""Purchases, payments, consents, access rights and the copy of the catalogue."""

from __future__ import annotations

from user_api.migrations.script import execute_script

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SQL = """
CREATE TABLE catalog_products (
    id UUID NOT NULL,
    slug TEXT NOT NULL,
    kind TEXT NOT NULL,
    product_group TEXT NOT NULL,
    title JSONB NOT NULL,
    description JSONB NOT NULL,
    grants TEXT[] NOT NULL,
    prices JSONB NOT NULL,
    rank INTEGER NOT NULL,
    status TEXT NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT pk_catalog_products PRIMARY KEY (id),
    CONSTRAINT ck_catalog_products_kind CHECK (kind IN ('recurring', 'one_time')),
    CONSTRAINT ck_catalog_products_status CHECK (status IN ('published', 'retired'))
);
CREATE INDEX ix_catalog_products_rank_id ON catalog_products (rank, id) WHERE status = 'published';

CREATE TABLE catalog_collections (
    id UUID NOT NULL,
    slug TEXT NOT NULL,
    movie_ids UUID[] NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT pk_catalog_collections PRIMARY KEY (id)
);

CREATE TABLE catalog_version (
    id INTEGER NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_catalog_version PRIMARY KEY (id),
    CONSTRAINT ck_catalog_version_one_row CHECK (id = 1)
);

CREATE TABLE user_products (
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    kind TEXT NOT NULL,
    product_id UUID NOT NULL,
    price_id UUID NOT NULL,
    product_group TEXT NOT NULL,
    status TEXT NOT NULL,
    cancel_at_period_end BOOLEAN NOT NULL,
    grants_access BOOLEAN NOT NULL,
    access_until timestamptz,
    current_period_start DATE,
    current_period_end DATE,
    trial_ends_at timestamptz,
    next_invoice_at timestamptz,
    latest_invoice_id UUID,
    removed_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT pk_user_products PRIMARY KEY (id),
    CONSTRAINT ck_user_products_kind CHECK (kind IN ('recurring', 'one_time'))
);
CREATE INDEX ix_user_products_product_id_user_id ON user_products (product_id, user_id);
CREATE INDEX ix_user_products_user_id_id ON user_products (user_id, id);

CREATE TABLE access_rights (
    user_id UUID NOT NULL,
    source TEXT NOT NULL,
    resource TEXT NOT NULL,
    until timestamptz,
    granted_at timestamptz NOT NULL,
    CONSTRAINT pk_access_rights PRIMARY KEY (user_id, source, resource)
);

CREATE TABLE access_versions (
    user_id UUID NOT NULL,
    version BIGINT NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT pk_access_versions PRIMARY KEY (user_id)
);

CREATE TABLE payments (
    id UUID NOT NULL,
    request_id UUID,
    user_id UUID NOT NULL,
    invoice_id UUID,
    subscription_id UUID,
    initiator TEXT NOT NULL,
    method_id UUID,
    status TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    captured_minor BIGINT NOT NULL,
    refunded_minor BIGINT NOT NULL,
    card_mask TEXT,
    decline JSONB,
    next_action JSONB,
    events_url TEXT,
    known_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT pk_payments PRIMARY KEY (id),
    CONSTRAINT ck_payments_initiator CHECK (initiator IN ('customer', 'merchant')),
    CONSTRAINT uq_payments_request_id UNIQUE (request_id)
);
CREATE INDEX ix_payments_invoice_id ON payments (invoice_id);
CREATE INDEX ix_payments_subscription_id ON payments (subscription_id) WHERE subscription_id IS NOT NULL;
CREATE INDEX ix_payments_user_id_id ON payments (user_id, id);

CREATE TABLE payment_methods (
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    provider TEXT NOT NULL,
    card_mask TEXT NOT NULL,
    card_brand TEXT NOT NULL,
    expires_month INTEGER NOT NULL,
    expires_year INTEGER NOT NULL,
    created_at timestamptz NOT NULL,
    detached_at timestamptz,
    CONSTRAINT pk_payment_methods PRIMARY KEY (id)
);
CREATE INDEX ix_payment_methods_user_id_id ON payment_methods (user_id, id);

CREATE TABLE recurring_payments (
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    subscription_id UUID NOT NULL,
    payment_method_id UUID,
    payment_id UUID,
    status TEXT NOT NULL,
    text_version TEXT NOT NULL,
    accepted_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    activated_at timestamptz,
    revoked_at timestamptz,
    revoked_reason TEXT,
    CONSTRAINT pk_recurring_payments PRIMARY KEY (id),
    CONSTRAINT ck_recurring_payments_status CHECK (status IN ('pending', 'active', 'revoked')),
    CONSTRAINT ck_recurring_payments_active_has_method
        CHECK (status <> 'active' OR payment_method_id IS NOT NULL)
);
CREATE UNIQUE INDEX ix_recurring_payments_payment_id ON recurring_payments (payment_id);
CREATE INDEX ix_recurring_payments_payment_method_id ON recurring_payments (payment_method_id);
CREATE INDEX ix_recurring_payments_user_id_id ON recurring_payments (user_id, id);
CREATE UNIQUE INDEX uq_recurring_payments_active ON recurring_payments (subscription_id)
    WHERE status = 'active';

CREATE TABLE payment_cancellations (
    request_id UUID NOT NULL,
    payment_id UUID NOT NULL,
    cancellation_id UUID NOT NULL,
    action TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT pk_payment_cancellations PRIMARY KEY (request_id)
);
CREATE INDEX ix_payment_cancellations_payment_id ON payment_cancellations (payment_id);
"""

TABLES = (
    "catalog_products",
    "catalog_collections",
    "catalog_version",
    "user_products",
    "access_rights",
    "access_versions",
    "payments",
    "payment_methods",
    "recurring_payments",
    "payment_cancellations",
)


def upgrade() -> None:
    execute_script(SQL)


def downgrade() -> None:
    execute_script(f"DROP TABLE {', '.join(TABLES)};")
