-- What the database itself refuses, whoever asks: unbalanced or changed ledger, changed documents, lost numbers.

CREATE FUNCTION billing_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'check_violation';
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger_transaction
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger_entry
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_record
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON invoice_line
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON credit_note_line
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger_transaction
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger_entry
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit_record
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_change();

-- Checked at commit: legs are inserted one after the other.
CREATE FUNCTION billing_check_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE CONSTRAINT TRIGGER balanced AFTER INSERT ON ledger_entry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing_check_balanced();
CREATE CONSTRAINT TRIGGER balanced AFTER INSERT ON ledger_transaction
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing_check_balanced();

-- An issued document never changes but for how it stands; its number is set once.
CREATE FUNCTION billing_keep_document() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    standing constant text[] := ARRAY['status', 'collection', 'paid_minor', 'credited_minor',
        'credited_unpaid_minor', 'written_off_minor', 'amount_due_minor', 'paid_at', 'overdue_at', 'closed_at',
        'collects_automatically', 'next_collection_at', 'collection_failures', 'first_failed_at', 'updated_at'];
    before_change jsonb := to_jsonb(OLD) - standing;
    after_change jsonb := to_jsonb(NEW) - standing;
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'an issued % is never deleted', TG_TABLE_NAME USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.number IS NULL THEN
        before_change := before_change - 'number';
        after_change := after_change - 'number';
    END IF;
    IF before_change <> after_change THEN
        RAISE EXCEPTION 'an issued % never changes', TG_TABLE_NAME USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER keep_document BEFORE UPDATE OR DELETE ON invoice
    FOR EACH ROW EXECUTE FUNCTION billing_keep_document();
CREATE TRIGGER keep_document BEFORE UPDATE OR DELETE ON credit_note
    FOR EACH ROW EXECUTE FUNCTION billing_keep_document();

CREATE FUNCTION billing_check_numbered() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_numbered boolean;
BEGIN
    EXECUTE format('SELECT number IS NOT NULL FROM %I WHERE id = $1', TG_TABLE_NAME) INTO is_numbered USING NEW.id;
    IF NOT is_numbered THEN
        RAISE EXCEPTION '% % has no number', TG_TABLE_NAME, NEW.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER numbered AFTER INSERT ON invoice
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing_check_numbered();
CREATE CONSTRAINT TRIGGER numbered AFTER INSERT ON credit_note
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing_check_numbered();

-- The roles of the services, where they exist (see deploy/postgres/roles/billing.sql).
DO $$
DECLARE
    role_name text;
BEGIN
    FOR role_name IN SELECT rolname FROM pg_roles WHERE rolname IN ('billing_api', 'billing_commands') LOOP
        EXECUTE format(
            'REVOKE UPDATE, DELETE, TRUNCATE ON ledger_transaction, ledger_entry, audit_record, invoice_line, '
            'credit_note_line FROM %I', role_name);
        EXECUTE format('REVOKE DELETE, TRUNCATE ON invoice, credit_note FROM %I', role_name);
    END LOOP;
END
$$;
