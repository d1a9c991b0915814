-- The guards as they were: each leg proven when it is committed.
DROP TRIGGER proven ON ledger_transaction;
DROP FUNCTION billing_check_posting();
DROP FUNCTION billing_chain_hash(text, ledger_entry, ledger_transaction, text);

CREATE OR REPLACE FUNCTION billing_check_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    transaction_id_checked uuid;
    legs bigint;
    wrong text;
BEGIN
    IF TG_TABLE_NAME = 'ledger_transaction' THEN
        transaction_id_checked := NEW.id;
    ELSE
        transaction_id_checked := NEW.transaction_id;
    END IF;
    SELECT sum(leg_count), string_agg(currency || ' ' || total, ', ') FILTER (WHERE total <> 0) INTO legs, wrong
    FROM (
        SELECT currency, count(*) AS leg_count, sum(amount_minor) AS total FROM ledger_entry
        WHERE transaction_id = transaction_id_checked GROUP BY currency
    ) AS sums;
    IF coalesce(legs, 0) < 2 THEN
        RAISE EXCEPTION 'ledger transaction % has fewer than two entries', transaction_id_checked
            USING ERRCODE = 'check_violation';
    END IF;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'ledger transaction % does not sum to zero: %', transaction_id_checked, wrong
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;

-- In plpgsql, because Postgres plans the text of an SQL function anew at every call.
CREATE OR REPLACE FUNCTION billing_chain_hash(previous text, entry ledger_entry) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    posting ledger_transaction;
    told text;
BEGIN
    SELECT * INTO STRICT posting FROM ledger_transaction WHERE id = entry.transaction_id;
    SELECT string_agg(leg.told, ',' ORDER BY leg.told COLLATE "C") INTO told
    FROM (SELECT ledger_account || ' ' || currency || ' ' || amount_minor AS told
          FROM ledger_entry WHERE transaction_id = posting.id) AS leg;
    RETURN encode(sha256(convert_to(concat_ws(E'\n', 'v1', previous, entry.id, entry.account_id, entry.currency,
        entry.position, entry.amount_minor, posting.id, posting.source_kind, posting.source_id,
        coalesce(posting.reverses_id::text, ''),
        to_char(entry.posted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), told), 'UTF8')), 'hex');
END
$$;

CREATE CONSTRAINT TRIGGER balanced AFTER INSERT ON ledger_entry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing_check_balanced();
CREATE CONSTRAINT TRIGGER balanced AFTER INSERT ON ledger_transaction
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing_check_balanced();

-- Checked at commit, when every leg of the posting is there.
CREATE FUNCTION billing_check_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    previous text := '';
BEGIN
    IF NEW.position > 1 THEN
        SELECT chain_hash INTO previous FROM ledger_entry
        WHERE account_id = NEW.account_id AND currency = NEW.currency AND ledger_account = 'customer'
            AND position = NEW.position - 1;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'ledger entry % has no predecessor at position %', NEW.id, NEW.position - 1
                USING ERRCODE = 'check_violation';
        END IF;
    END IF;
    IF NEW.chain_hash IS DISTINCT FROM billing_chain_hash(previous, NEW) THEN
        RAISE EXCEPTION 'ledger entry % does not carry the hash of its chain', NEW.id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER chained AFTER INSERT ON ledger_entry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.ledger_account = 'customer')
    EXECUTE FUNCTION billing_check_chain();
