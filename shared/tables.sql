-- Idempotency, outbox and inbox: one text for every service, executed by Alembic and Django migrations alike.

CREATE TABLE idempotency_key (
    id             uuid        PRIMARY KEY,            -- stays the same over resumed runs: derived keys start here
    caller         text        NOT NULL,               -- user id or service name
    method         text        NOT NULL,
    path_template  text        NOT NULL,
    key            text        NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    request_hash   bytea       NOT NULL,
    leased_until   timestamptz,                        -- a run is in flight until then
    response_status smallint,                          -- NULL until there is a final answer
    response_body  jsonb,
    created_at     timestamptz NOT NULL,
    completed_at   timestamptz,
    UNIQUE (caller, method, path_template, key)
);
CREATE INDEX idempotency_key_created ON idempotency_key (created_at);

CREATE TABLE aggregate_sequence (
    aggregate_type text   NOT NULL,
    aggregate_id   uuid   NOT NULL,
    sequence       bigint NOT NULL CHECK (sequence > 0),
    PRIMARY KEY (aggregate_type, aggregate_id)
);

CREATE TABLE outbox (
    id                 bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id           uuid        NOT NULL UNIQUE,
    exchange           text        NOT NULL,
    event_type         text        NOT NULL,
    aggregate_type     text        NOT NULL,
    aggregate_id       uuid        NOT NULL,
    aggregate_sequence bigint      NOT NULL,
    envelope           jsonb       NOT NULL,           -- the CloudEvent as it is published
    created_at         timestamptz NOT NULL,           -- the suite's clock
    written_at         timestamptz NOT NULL DEFAULT clock_timestamp(),  -- the server's, for the age metric
    lease_token        uuid,                           -- fences a relay that slept over its lease
    leased_until       timestamptz,                    -- host time of the database, not the suite's
    attempts           integer     NOT NULL DEFAULT 0,
    last_error         text,
    published_at       timestamptz,
    UNIQUE (aggregate_type, aggregate_id, aggregate_sequence)
);
CREATE INDEX outbox_pending ON outbox (id) WHERE published_at IS NULL;
CREATE INDEX outbox_pending_aggregate ON outbox (aggregate_type, aggregate_id, aggregate_sequence)
    WHERE published_at IS NULL;
CREATE INDEX outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL;

CREATE FUNCTION outbox_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('outbox', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER outbox_notify AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION outbox_notify();

CREATE TABLE inbox (
    consumer       text        NOT NULL,               -- the queue
    event_id       uuid        NOT NULL,
    event_type     text        NOT NULL,
    aggregate_type text        NOT NULL,
    aggregate_id   uuid        NOT NULL,
    aggregate_sequence bigint  NOT NULL,
    outcome        text        NOT NULL CHECK (outcome IN ('applied', 'stale', 'failed', 'parked')),
    attempts       integer     NOT NULL DEFAULT 1,
    last_error     text,
    handled_at     timestamptz NOT NULL,
    PRIMARY KEY (consumer, event_id)
);
CREATE INDEX inbox_handled ON inbox (handled_at);

CREATE TABLE consumed_sequence (
    consumer       text   NOT NULL,
    aggregate_type text   NOT NULL,
    aggregate_id   uuid   NOT NULL,
    sequence       bigint NOT NULL,                    -- the newest applied; older ones are ignored
    PRIMARY KEY (consumer, aggregate_type, aggregate_id)
);
