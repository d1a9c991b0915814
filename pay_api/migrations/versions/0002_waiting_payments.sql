-- Payments that wait for their payer: the hosted checkout's card form, a bank transfer, a hold.

ALTER TABLE payment
    ADD COLUMN awaits_card  boolean NOT NULL DEFAULT false, -- hosted checkout: the payer may (again) enter a card
    ADD COLUMN instructions jsonb,                          -- what the payer does elsewhere: bank transfer details
    ADD COLUMN expires_at   timestamptz,                    -- the wait (action_required) or hold (authorized) ends
    DROP CONSTRAINT payment_method_kind_check,
    ADD CONSTRAINT payment_method_kind_check
        CHECK (method_kind IN ('card_cryptogram', 'saved_method', 'hosted', 'bank_transfer')),
    ADD CONSTRAINT payment_awaits_card_check
        CHECK (NOT awaits_card OR (status = 'action_required' AND method_kind = 'hosted'));
CREATE INDEX payment_expiring ON payment (expires_at) WHERE status IN ('action_required', 'authorized');

ALTER TABLE payment_attempt ADD COLUMN save_method boolean NOT NULL DEFAULT false;
UPDATE payment_attempt SET save_method = payment.save_method FROM payment WHERE payment.id = payment_id;

INSERT INTO payment_edge (from_status, to_status) VALUES
    ('created', 'action_required'),                         -- the hosted checkout waits for a card
    ('action_required', 'action_required');                 -- a card was declined there: the next one may be tried

CREATE TABLE payment_transfer (                         -- money staff saw on the bank account; append-only
    id              uuid        PRIMARY KEY,            -- the confirmation's id: it counts once
    payment_id      uuid        NOT NULL UNIQUE REFERENCES payment (id),
    amount_minor    bigint      NOT NULL CHECK (amount_minor > 0),
    actor           text        NOT NULL,
    reason          text        NOT NULL,
    caller          text        NOT NULL,
    confirmed_at    timestamptz NOT NULL
);
REVOKE UPDATE, DELETE ON payment_transfer FROM pay_api;
