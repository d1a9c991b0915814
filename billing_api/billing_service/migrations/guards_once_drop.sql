-- The guards as the migrations before this one made them.

CREATE OR REPLACE FUNCTION billing_check_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    transaction_id_checked uuid;
    wrong text;
BEGIN
    IF TG_TABLE_NAME = 'ledger_transaction' THEN
        transaction_id_checked := NEW.id;
        IF (SELECT count(*) FROM ledger_entry WHERE transaction_id = NEW.id) < 2 THEN
            RAISE EXCEPTION 'ledger transaction % has fewer than two entries', NEW.id
                USING ERRCODE = 'check_violation';
        END IF;
    ELSE
        transaction_id_checked := NEW.transaction_id;
    END IF;
    SELECT string_agg(currency || ' ' || total, ', ') INTO wrong
    FROM (
        SELECT currency, sum(amount_minor) AS total FROM ledger_entry
        WHERE transaction_id = transaction_id_checked GROUP BY currency HAVING sum(amount_minor) <> 0
    ) AS unbalanced;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'ledger transaction % does not sum to zero: %', transaction_id_checked, wrong
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION billing_chain_hash(previous text, entry ledger_entry) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT encode(sha256(convert_to(concat_ws(E'\n', 'v1', previous, entry.id, entry.account_id, entry.currency,
        entry.position, entry.amount_minor, posting.id, posting.source_kind, posting.source_id,
        coalesce(posting.reverses_id::text, ''),
        to_char(entry.posted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), legs.told), 'UTF8')), 'hex')
    FROM ledger_transaction posting, LATERAL (
        SELECT string_agg(leg.told, ',' ORDER BY leg.told COLLATE "C") AS told
        FROM (SELECT ledger_account || ' ' || currency || ' ' || amount_minor AS told
              FROM ledger_entry WHERE transaction_id = posting.id) AS leg
    ) AS legs
    WHERE posting.id = entry.transaction_id
$$;
