DROP FUNCTION billing_check_chain() CASCADE;
DROP FUNCTION billing_chain_hash(text, ledger_entry);
