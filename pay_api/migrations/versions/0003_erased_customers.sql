-- Customers whose personal data was erased: nothing of theirs is saved again, however late a provider tells of it.

CREATE TABLE erased_customer (
    user_id    uuid        PRIMARY KEY,
    erased_at  timestamptz NOT NULL
);
REVOKE UPDATE, DELETE ON erased_customer FROM pay_api;
