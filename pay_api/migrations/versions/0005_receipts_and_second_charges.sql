-- Fiscal receipts that must come out, and money a provider took twice under one attempt.

CREATE TABLE payment_receipt (                          -- one per captured payment and per refund (54-FZ)
    id                  uuid        PRIMARY KEY,
    payment_id          uuid        NOT NULL REFERENCES payment (id),
    refund_id           uuid        UNIQUE REFERENCES payment_refund (id), -- NULL: of the money that was taken
    kind                text        NOT NULL CHECK (kind IN ('income', 'income_return')),
    amount_minor        bigint      NOT NULL CHECK (amount_minor > 0),     -- what must stand on it
    currency            char(3)     NOT NULL,
    provider            text        NOT NULL,
    status              text        NOT NULL CHECK (status IN ('pending', 'overdue', 'issued', 'mismatch')),
    provider_receipt_id text,
    issued_minor        bigint,                         -- what stands on it
    document_number     text,
    fiscal_sign         text,
    device_number       text,
    url                 text,                           -- the receipt at the operator of fiscal data
    issued_at           timestamptz,
    looks               integer     NOT NULL DEFAULT 0, -- how often it was missed: 5 min, 1 h, each day
    next_look_at        timestamptz,
    created_at          timestamptz NOT NULL,
    CHECK ((kind = 'income') = (refund_id IS NULL)),
    CHECK ((status IN ('issued', 'mismatch')) = (provider_receipt_id IS NOT NULL)),
    CHECK ((status = 'issued') = (issued_minor IS NOT NULL AND issued_minor = amount_minor)),
    CHECK ((status IN ('pending', 'overdue')) = (next_look_at IS NOT NULL))
);
CREATE UNIQUE INDEX payment_receipt_one_income ON payment_receipt (payment_id) WHERE kind = 'income';
CREATE INDEX payment_receipt_of_payment ON payment_receipt (payment_id);
CREATE INDEX payment_receipt_due ON payment_receipt (next_look_at) WHERE next_look_at IS NOT NULL;

CREATE TABLE payment_second_charge (                    -- append-only: which payment stands for which money
    id                  uuid        PRIMARY KEY REFERENCES payment (id), -- the payment made for the second money
    first_payment_id    uuid        NOT NULL REFERENCES payment (id),
    first_attempt_id    uuid        NOT NULL REFERENCES payment_attempt (id), -- the provider's InvoiceId of both
    transaction_id      text        NOT NULL,
    amount_minor        bigint      NOT NULL CHECK (amount_minor > 0),
    currency            char(3)     NOT NULL,
    found_by            text        NOT NULL,
    found_at            timestamptz NOT NULL,
    CHECK (id <> first_payment_id)
);
CREATE INDEX payment_second_charge_of ON payment_second_charge (first_payment_id);

REVOKE DELETE ON payment_receipt FROM pay_api;
REVOKE UPDATE, DELETE ON payment_second_charge FROM pay_api;
