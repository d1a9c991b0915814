-- What a leg must be is proven with its posting, by the one reading that the proof makes anyway: an amount, and
-- a place and a hash in the chain of the customer, on no other account. At least two legs.

CREATE OR REPLACE FUNCTION billing_check_posting() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    legs bigint;
    is_balanced boolean;
    first_leg text;
    last_leg text;
    told text;
    chained ledger_entry[];
    entry ledger_entry;
    previous text;
    wrong text;
BEGIN
    SELECT count(*) FILTER (WHERE leg.amount_minor <> 0 AND leg.position >= 0
            AND (leg.ledger_account = 'customer') = (leg.position > 0)
            AND (leg.position > 0) = (leg.chain_hash IS NOT NULL)),
        sum(leg.amount_minor) = 0 AND min(leg.currency) = max(leg.currency),
        min(leg_text COLLATE "C"), max(leg_text COLLATE "C"),
        array_agg(leg) FILTER (WHERE leg.ledger_account = 'customer')
    INTO legs, is_balanced, first_leg, last_leg, chained
    FROM ledger_entry AS leg,
        LATERAL (SELECT leg.ledger_account || ' ' || leg.currency || ' ' || leg.amount_minor) AS said (leg_text)
    WHERE leg.transaction_id = NEW.id;
    IF legs < 2 OR legs <> NEW.leg_count THEN
        RAISE EXCEPTION 'ledger transaction % has % whole of its % entries', NEW.id, legs, NEW.leg_count
            USING ERRCODE = 'check_violation';
    END IF;
    IF NOT is_balanced THEN -- or in more than one currency
        SELECT string_agg(currency || ' ' || total, ', ') INTO wrong
        FROM (
            SELECT currency, sum(amount_minor) AS total FROM ledger_entry
            WHERE transaction_id = NEW.id GROUP BY currency HAVING sum(amount_minor) <> 0
        ) AS unbalanced;
        IF wrong IS NOT NULL THEN
            RAISE EXCEPTION 'ledger transaction % does not sum to zero: %', NEW.id, wrong
                USING ERRCODE = 'check_violation';
        END IF;
    END IF;
    told := first_leg || ',' || last_leg;
    IF legs > 2 THEN
        SELECT string_agg(leg_text, ',' ORDER BY leg_text COLLATE "C") INTO told
        FROM (
            SELECT ledger_account || ' ' || currency || ' ' || amount_minor AS leg_text FROM ledger_entry
            WHERE transaction_id = NEW.id
        ) AS leg;
    END IF;
    told := concat_ws(E'\n', NEW.id, NEW.source_kind, NEW.source_id, coalesce(NEW.reverses_id::text, ''),
        to_char(NEW.posted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), told);
    FOREACH entry IN ARRAY coalesce(chained, '{}') LOOP
        previous := '';
        IF entry.position > 1 THEN
            SELECT chain_hash INTO previous FROM ledger_entry
            WHERE account_id = entry.account_id AND currency = entry.currency AND ledger_account = 'customer'
                AND position = entry.position - 1;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'ledger entry % has no predecessor at position %', entry.id, entry.position - 1
                    USING ERRCODE = 'check_violation';
            END IF;
        END IF;
        IF entry.chain_hash IS DISTINCT FROM billing_link_hash(previous, entry.id, entry.account_id,
            entry.currency, entry.position, entry.amount_minor, told) THEN
            RAISE EXCEPTION 'ledger entry % does not carry the hash of its chain', entry.id
                USING ERRCODE = 'check_violation';
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
