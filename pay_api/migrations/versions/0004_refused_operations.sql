-- A capture or void the provider refused: why, so that a second refusal of a hold that stands is told.

ALTER TABLE payment_operation ADD COLUMN refusal text;

-- What a person of staff said of a refund that waited for one: who, what was found, why.
ALTER TABLE payment_refund ADD COLUMN staff_word text;
