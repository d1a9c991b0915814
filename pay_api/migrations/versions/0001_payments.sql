-- Payments and everything around them. Amounts are minor units; moments are the suite's clock, UTC.

CREATE TABLE payment_invoice (                          -- one row per invoice: the lock its payments queue at
    invoice_id  uuid        PRIMARY KEY,
    closed_at   timestamptz,                            -- no payment of it may start from then on
    created_at  timestamptz NOT NULL
);

CREATE TABLE payment_edge (                             -- every lawful step of a payment's status
    from_status text NOT NULL,
    to_status   text NOT NULL,
    PRIMARY KEY (from_status, to_status)
);
INSERT INTO payment_edge (from_status, to_status)
SELECT from_status, unnest(string_to_array(targets, ' ')) FROM (VALUES
    ('created',            'processing cancelled failed needs_review'),
    ('processing',         'action_required authorized succeeded failed cancelled unknown needs_review created'),
    ('action_required',    'processing authorized succeeded failed cancelled needs_review'),
    ('authorized',         'succeeded cancelled needs_review'),
    ('unknown',            'action_required authorized succeeded failed cancelled needs_review'),
    ('needs_review',       'authorized succeeded failed cancelled'),
    ('succeeded',          'partially_refunded refunded'),
    ('partially_refunded', 'partially_refunded refunded'),
    ('failed',             'succeeded authorized needs_review'),
    ('cancelled',          'succeeded authorized needs_review')
) AS edge (from_status, targets);

CREATE TABLE payment_method (
    id                  uuid        PRIMARY KEY,
    user_id             uuid        NOT NULL,
    provider            text        NOT NULL,
    terminal_id         text        NOT NULL,           -- a token works only on the terminal that issued it
    token_encrypted     bytea       NOT NULL,
    fingerprint         text        NOT NULL,
    card_mask           text        NOT NULL,
    card_brand          text        NOT NULL,
    expires_month       smallint    NOT NULL CHECK (expires_month BETWEEN 1 AND 12),
    expires_year        smallint    NOT NULL,
    status              text        NOT NULL CHECK (status IN ('active', 'detached')),
    saved_by_payment_id uuid,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    detached_at         timestamptz,
    CHECK ((status = 'detached') = (detached_at IS NOT NULL))
);
CREATE UNIQUE INDEX payment_method_one_per_card ON payment_method (user_id, provider, terminal_id, fingerprint)
    WHERE status = 'active';

CREATE TABLE payment (
    id                  uuid        PRIMARY KEY,        -- the caller's id, the same in every service
    invoice_id          uuid,
    user_id             uuid        NOT NULL,
    purpose             text        NOT NULL CHECK (purpose IN ('invoice', 'method_verification')),
    initiator           text        NOT NULL CHECK (initiator IN ('customer', 'merchant')),
    provider            text        NOT NULL,
    status              text        NOT NULL CHECK (status IN ('created', 'processing', 'action_required',
        'authorized', 'succeeded', 'failed', 'cancelled', 'partially_refunded', 'refunded', 'unknown',
        'needs_review')),
    amount_minor        bigint      NOT NULL CHECK (amount_minor > 0),
    currency            char(3)     NOT NULL,
    captured_minor      bigint      NOT NULL DEFAULT 0,
    refunded_minor      bigint      NOT NULL DEFAULT 0,
    capture             text        NOT NULL CHECK (capture IN ('automatic', 'manual')),
    settles_invoice     boolean     NOT NULL DEFAULT true,
    late                boolean     NOT NULL DEFAULT false,
    duplicate           boolean     NOT NULL DEFAULT false, -- money came late while another payment held the invoice
    method_kind         text        NOT NULL CHECK (method_kind IN ('card_cryptogram', 'saved_method')),
    payment_method_id   uuid        REFERENCES payment_method (id),
    save_method         boolean     NOT NULL DEFAULT false,
    card_mask           text,
    card_brand          text,
    decline_class       text CHECK (decline_class IN ('hard', 'soft', 'technical', 'authentication')),
    decline_code        text,
    review_reason       text,
    description         text        NOT NULL,
    locale              text        NOT NULL CHECK (locale IN ('ru', 'en')),
    payer_encrypted     bytea       NOT NULL,           -- e-mail and address of the payer, for the provider
    receipt             jsonb       NOT NULL,
    return_url          text,
    caller              text        NOT NULL,
    next_charge_at      timestamptz,                    -- merchant-initiated: when the worker takes it
    version             integer     NOT NULL,           -- counts changes; the ids of the event stream
    created_at          timestamptz NOT NULL,
    succeeded_at        timestamptz,
    updated_at          timestamptz NOT NULL,
    CHECK (0 <= refunded_minor AND refunded_minor <= captured_minor AND captured_minor <= amount_minor),
    CHECK ((status IN ('succeeded', 'partially_refunded', 'refunded')) = (captured_minor > 0)),
    CHECK ((status = 'refunded') = (captured_minor > 0 AND refunded_minor = captured_minor)),
    CHECK ((status = 'partially_refunded') = (refunded_minor > 0 AND refunded_minor < captured_minor)),
    CHECK ((purpose = 'invoice') = (invoice_id IS NOT NULL))
);
-- Only failed, cancelled and refunded payments leave the invoice free: it cannot be charged twice even
-- before BillingAPI has heard of the first success.
CREATE UNIQUE INDEX payment_one_per_invoice ON payment (invoice_id)
    WHERE settles_invoice AND NOT duplicate AND status IN ('created', 'processing', 'action_required',
        'authorized', 'unknown', 'needs_review', 'succeeded', 'partially_refunded');
CREATE INDEX payment_of_user ON payment (user_id, created_at, id);
CREATE INDEX payment_of_invoice ON payment (invoice_id);
CREATE INDEX payment_by_time ON payment (created_at, id);
CREATE INDEX payment_queued ON payment (next_charge_at) WHERE status = 'created' AND initiator = 'merchant';
CREATE INDEX payment_unsettled ON payment (status) WHERE status IN ('created', 'processing');

CREATE TABLE payment_attempt (
    id                  uuid        PRIMARY KEY,        -- the provider's InvoiceId; X-Request-ID of the charge
    payment_id          uuid        NOT NULL REFERENCES payment (id),
    status              text        NOT NULL CHECK (status IN ('started', 'challenge', 'authorized', 'succeeded',
        'declined', 'closed', 'unknown')),
    provider            text        NOT NULL,
    terminal_id         text        NOT NULL,
    payment_method_id   uuid        REFERENCES payment_method (id),
    amount_minor        bigint      NOT NULL CHECK (amount_minor > 0),
    currency            char(3)     NOT NULL,
    transaction_id      text,
    reason_code         integer,
    acs_url             text,
    pa_req              text,
    threeds_request_id  uuid        UNIQUE,             -- X-Request-ID of post3ds
    expires_at          timestamptz,                    -- end of the 3-D Secure challenge
    voided_at           timestamptz,
    first_sent_at       timestamptz NOT NULL,
    last_sent_at        timestamptz NOT NULL,
    last_missed_at      timestamptz,                    -- the provider did not know it: the last such answer
    next_query_at       timestamptz,
    query_count         integer     NOT NULL DEFAULT 0,
    created_at          timestamptz NOT NULL,
    ended_at            timestamptz
);
CREATE UNIQUE INDEX payment_attempt_one_live ON payment_attempt (payment_id)
    WHERE status IN ('started', 'challenge', 'authorized', 'succeeded', 'unknown');
CREATE UNIQUE INDEX payment_attempt_transaction ON payment_attempt (provider, transaction_id)
    WHERE transaction_id IS NOT NULL;
CREATE INDEX payment_attempt_due ON payment_attempt (next_query_at) WHERE next_query_at IS NOT NULL;
CREATE INDEX payment_attempt_of_payment ON payment_attempt (payment_id);
CREATE INDEX payment_attempt_of_method ON payment_attempt (payment_method_id) WHERE status = 'started';

CREATE TABLE payment_operation (                        -- a confirm or a void; its id is its X-Request-ID
    id                  uuid        PRIMARY KEY,
    payment_id          uuid        NOT NULL REFERENCES payment (id),
    attempt_id          uuid        NOT NULL REFERENCES payment_attempt (id),
    kind                text        NOT NULL CHECK (kind IN ('capture', 'void')),
    amount_minor        bigint      NOT NULL CHECK (amount_minor > 0),
    status              text        NOT NULL CHECK (status IN ('started', 'succeeded', 'failed', 'unknown')),
    reason              text        NOT NULL,
    caller              text        NOT NULL,
    first_sent_at       timestamptz NOT NULL,
    last_sent_at        timestamptz NOT NULL,
    next_query_at       timestamptz,
    created_at          timestamptz NOT NULL,
    ended_at            timestamptz
);
CREATE UNIQUE INDEX payment_operation_one_live ON payment_operation (payment_id)
    WHERE status IN ('started', 'unknown');
CREATE INDEX payment_operation_due ON payment_operation (next_query_at) WHERE next_query_at IS NOT NULL;

CREATE TABLE payment_refund (
    id                  uuid        PRIMARY KEY,        -- X-Request-ID of the refund
    payment_id          uuid        NOT NULL REFERENCES payment (id),
    attempt_id          uuid        NOT NULL REFERENCES payment_attempt (id),
    amount_minor        bigint      NOT NULL CHECK (amount_minor > 0),
    status              text        NOT NULL CHECK (status IN ('processing', 'succeeded', 'failed', 'unknown')),
    reason              text        NOT NULL,
    origin              text        NOT NULL CHECK (origin IN ('suite', 'provider')),
    cancellation_id     uuid        UNIQUE,
    refund_order_id     uuid        UNIQUE,
    provider            text        NOT NULL,
    transaction_id      text,
    caller              text        NOT NULL,
    first_sent_at       timestamptz,
    last_sent_at        timestamptz,
    last_missed_at      timestamptz,
    next_query_at       timestamptz,
    created_at          timestamptz NOT NULL,
    succeeded_at        timestamptz
);
CREATE UNIQUE INDEX payment_refund_transaction ON payment_refund (provider, transaction_id)
    WHERE transaction_id IS NOT NULL;
CREATE INDEX payment_refund_of_payment ON payment_refund (payment_id);
CREATE INDEX payment_refund_due ON payment_refund (next_query_at) WHERE next_query_at IS NOT NULL;

CREATE TABLE payment_transition (                       -- append-only history: who, when, why
    id                  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id          uuid        NOT NULL REFERENCES payment (id),
    version             integer     NOT NULL,
    from_status         text,                           -- NULL: the payment's first row
    to_status           text        NOT NULL,
    actor               text        NOT NULL,
    reason              text        NOT NULL,
    transaction_id      text,
    at                  timestamptz NOT NULL,
    FOREIGN KEY (from_status, to_status) REFERENCES payment_edge (from_status, to_status),
    CHECK (from_status IS NOT NULL OR to_status = 'created')
);
CREATE INDEX payment_transition_of_payment ON payment_transition (payment_id, id);

CREATE TABLE webhook (                                  -- everything a provider told us, kept for ever
    id                  uuid        PRIMARY KEY,
    provider            text        NOT NULL,
    kind                text        NOT NULL,
    transaction_id      text        NOT NULL,
    status              text        NOT NULL,
    event               jsonb       NOT NULL,           -- the neutral event, without the token
    token_encrypted     bytea,
    outcome             text CHECK (outcome IN ('applied', 'ignored', 'review', 'orphan')),
    attempts            integer     NOT NULL DEFAULT 0,
    duplicates          integer     NOT NULL DEFAULT 0,
    next_try_at         timestamptz,
    received_at         timestamptz NOT NULL,
    applied_at          timestamptz,
    UNIQUE (provider, kind, transaction_id, status)
);
CREATE INDEX webhook_due ON webhook (next_try_at) WHERE outcome IS NULL;

CREATE FUNCTION payment_refuse_unlawful_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status <> OLD.status AND NOT EXISTS (
        SELECT FROM payment_edge WHERE from_status = OLD.status AND to_status = NEW.status
    ) THEN
        RAISE EXCEPTION 'payment % may not go from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER payment_lawful_steps BEFORE UPDATE OF status ON payment
    FOR EACH ROW EXECUTE FUNCTION payment_refuse_unlawful_step();

CREATE FUNCTION payment_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('payment_changed', NEW.id::text);
    RETURN NULL;
END
$$;
CREATE TRIGGER payment_notify AFTER INSERT OR UPDATE ON payment FOR EACH ROW EXECUTE FUNCTION payment_notify();

REVOKE UPDATE, DELETE ON payment_transition FROM pay_api;
REVOKE INSERT, UPDATE, DELETE ON payment_edge FROM pay_api;
REVOKE DELETE ON payment, payment_attempt, payment_operation, payment_refund, payment_method, webhook FROM pay_api;
