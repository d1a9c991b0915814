-- The hash chain of each personal account: filled in for what is already posted, checked at every commit from now on.

CREATE FUNCTION billing_chain_hash(previous text, entry ledger_entry) RETURNS text LANGUAGE sql STABLE AS $$
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

ALTER TABLE ledger_entry DISABLE TRIGGER append_only;
DO $$
DECLARE
    entry ledger_entry;
    made text;
BEGIN
    FOR entry IN
        SELECT * FROM ledger_entry WHERE ledger_account = 'customer' ORDER BY account_id, currency, position
    LOOP
        IF entry.position = 1 THEN
            made := '';
        END IF;
        made := billing_chain_hash(made, entry);
        UPDATE ledger_entry SET chain_hash = made WHERE id = entry.id;
        UPDATE account_balance SET chain_head = made
        WHERE account_id = entry.account_id AND currency = entry.currency;
    END LOOP;
END
$$;
ALTER TABLE ledger_entry ENABLE TRIGGER append_only;

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
