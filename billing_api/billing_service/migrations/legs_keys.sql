-- A leg belongs to the account of its transaction, and is one of those that its transaction counts.
CREATE UNIQUE INDEX ledger_transaction_legs ON ledger_transaction (account_id, id, leg_count);
ALTER TABLE ledger_transaction ADD CONSTRAINT ledger_transaction_legs UNIQUE USING INDEX ledger_transaction_legs;
CREATE UNIQUE INDEX ledger_entry_leg ON ledger_entry (transaction_id, leg_number);
ALTER TABLE ledger_entry ADD CONSTRAINT ledger_entry_leg UNIQUE USING INDEX ledger_entry_leg;
ALTER TABLE ledger_entry ADD CONSTRAINT ledger_entry_of_transaction
    FOREIGN KEY (account_id, transaction_id, leg_count)
    REFERENCES ledger_transaction (account_id, id, leg_count) DEFERRABLE INITIALLY DEFERRED;
-- Its readers ask for the rows of an account, which the first index finds.
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX ledger_transaction_account;
