CREATE INDEX ledger_transaction_account ON ledger_transaction (account_id, posted_at);
ALTER TABLE ledger_entry DROP CONSTRAINT ledger_entry_of_transaction, DROP CONSTRAINT ledger_entry_leg;
ALTER TABLE ledger_transaction DROP CONSTRAINT ledger_transaction_legs;
