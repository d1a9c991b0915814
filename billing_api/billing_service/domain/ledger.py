"""Double entry: accounts, balanced transactions, and the posting each business fact makes."""

# Sign convention: an entry's amount is positive for a debit and negative for a credit. On the customer
# account (the personal account) a debit is what the customer owes, a credit what the customer has: a balance
# of -49900 is 499.00 prepaid.

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from shared.errors import AppError, Kind, broken_invariant
from shared.money import EXPONENTS, MAX_AMOUNT_MINOR


class Account(StrEnum):
    """The chart of accounts. Only ``CUSTOMER`` is kept per personal account, the rest are the firm's."""

    CUSTOMER = "customer"
    REVENUE = "revenue"
    DEFERRED_REVENUE = "deferred_revenue"
    VAT = "vat"
    DISCOUNTS = "discounts"
    PROVIDER_CLEARING = "provider_clearing"
    REFUNDS = "refunds"
    GOODWILL = "goodwill"
    WRITE_OFF = "write_off"


class SourceKind(StrEnum):
    """The kinds of facts that post; one posting per (source kind, source id)."""

    INVOICE = "invoice"
    PAYMENT = "payment"
    REFUND = "refund"
    CREDIT_NOTE = "credit_note"
    ADJUSTMENT = "adjustment"
    RECOGNITION = "recognition"
    REVERSAL = "reversal"


@dataclass(frozen=True, slots=True)
class Entry:
    """One leg: debit positive, credit negative, minor units. ``owner_id`` names the personal account."""

    account: Account
    amount_minor: int
    currency: str
    owner_id: UUID | None = None

    def __post_init__(self) -> None:
        if type(self.amount_minor) is not int or self.amount_minor == 0:
            raise broken_invariant("ledger-entry-invalid", "an entry moves a whole, non-zero amount")
        if abs(self.amount_minor) > MAX_AMOUNT_MINOR or self.currency not in EXPONENTS:
            raise broken_invariant("ledger-entry-invalid", "the amount or the currency is out of range")
        if (self.account is Account.CUSTOMER) != (self.owner_id is not None):
            raise broken_invariant("ledger-entry-invalid", "exactly the customer account has an owner")


@dataclass(frozen=True, slots=True)
class Transaction:
    """Entries that belong together. Cannot be built unless it sums to zero in every currency.

    ``reverses`` is the id of the stored transaction it takes back, wholly or in part.
    Raises AppError ``ledger-unbalanced`` / ``ledger-empty`` (broken invariant).
    """

    source_kind: SourceKind
    source_id: UUID
    entries: tuple[Entry, ...]
    reverses: UUID | None = None

    def __post_init__(self) -> None:
        if len(self.entries) < 2:
            raise broken_invariant("ledger-empty", "a transaction has at least two entries")
        sums: dict[str, int] = defaultdict(int)
        for entry in self.entries:
            sums[entry.currency] += entry.amount_minor
        wrong = {currency: amount for currency, amount in sums.items() if amount}
        if wrong:
            raise broken_invariant("ledger-unbalanced", f"{self.source_kind} {self.source_id}: {wrong}")


def _positive(amount_minor: int) -> int:
    if amount_minor <= 0:
        raise AppError("amount-not-positive", Kind.INVALID, "The amount must be greater than zero.")
    return amount_minor


def _post(
    kind: SourceKind,
    source_id: UUID,
    owner_id: UUID,
    currency: str,
    legs: Iterable[tuple[Account, int]],
    reverses: UUID | None = None,
) -> Transaction:
    entries = tuple(
        Entry(account, amount, currency, owner_id if account is Account.CUSTOMER else None)
        for account, amount in legs
        if amount
    )
    return Transaction(kind, source_id, entries, reverses)


def invoice_issued(
    invoice_id: UUID,
    owner_id: UUID,
    currency: str,
    *,
    gross_minor: int,
    vat_minor: int,
    discount_minor: int = 0,
    deferred: bool = False,
) -> Transaction | None:
    """Debit customer with the gross, credit VAT and revenue; None when nothing moves (all figures 0).

    ``gross_minor`` is what is asked for after discounts, VAT included; negative for a change of product that
    leaves money on account (every leg turns round). ``discount_minor`` is shown on its own account against
    a revenue that is larger by it. ``deferred`` credits deferred revenue instead, to be recognised later; no
    command asks for it: revenue is posted with the invoice (docs/algorithms/ledger.md).
    """
    if gross_minor == 0 and vat_minor == 0 and discount_minor == 0:
        return None
    revenue = Account.DEFERRED_REVENUE if deferred else Account.REVENUE
    legs = (
        (Account.CUSTOMER, gross_minor),
        (Account.DISCOUNTS, discount_minor),
        (revenue, -(gross_minor - vat_minor + discount_minor)),
        (Account.VAT, -vat_minor),
    )
    return _post(SourceKind.INVOICE, invoice_id, owner_id, currency, legs)


def payment_received(payment_id: UUID, owner_id: UUID, currency: str, amount_minor: int) -> Transaction:
    """Debit provider clearing, credit customer: whatever exceeds the open invoices is account balance."""
    amount = _positive(amount_minor)
    legs = ((Account.PROVIDER_CLEARING, amount), (Account.CUSTOMER, -amount))
    return _post(SourceKind.PAYMENT, payment_id, owner_id, currency, legs)


def payment_refunded(
    refund_id: UUID, owner_id: UUID, currency: str, amount_minor: int, *, reverses: UUID | None
) -> Transaction:
    """The payment's legs turned round for the refunded part; ``reverses`` is the payment's transaction.

    None is for a refund whose payment was never posted (it still moved money out).
    """
    amount = _positive(amount_minor)
    legs = ((Account.CUSTOMER, amount), (Account.PROVIDER_CLEARING, -amount))
    return _post(SourceKind.REFUND, refund_id, owner_id, currency, legs, reverses)


def credit_note_issued(
    credit_note_id: UUID,
    owner_id: UUID,
    currency: str,
    *,
    gross_minor: int,
    vat_minor: int,
    reverses: UUID,
) -> Transaction:
    """Debit refunds (returned sales, net of VAT) and VAT, credit customer.

    ``reverses`` is the invoice's transaction. The money stands on account until a refund takes it
    to the card.
    """
    gross = _positive(gross_minor)
    legs = (
        (Account.REFUNDS, gross - vat_minor),
        (Account.VAT, vat_minor),
        (Account.CUSTOMER, -gross),
    )
    return _post(SourceKind.CREDIT_NOTE, credit_note_id, owner_id, currency, legs, reverses)


def reversal(
    original: Transaction,
    *,
    original_id: UUID,
    source_id: UUID,
    credits: Iterable[Transaction] = (),
) -> Transaction | None:
    """What is left of ``original`` with the other sign; ``source_id`` is the correction's own document.

    ``credits`` are its credit notes: what they took back is not taken back again, their returned sales
    standing against its revenue. None when they took all of it.
    """
    sold = Account.DEFERRED_REVENUE if _moves(original, Account.DEFERRED_REVENUE) else Account.REVENUE
    legs: dict[tuple[Account, str, UUID | None], int] = defaultdict(int)
    for entry in original.entries:
        legs[entry.account, entry.currency, entry.owner_id] -= entry.amount_minor
    for credit in credits:
        for entry in credit.entries:
            account = sold if entry.account is Account.REFUNDS else entry.account
            legs[account, entry.currency, entry.owner_id] -= entry.amount_minor
    entries = tuple(
        Entry(account, amount, currency, owner_id)
        for (account, currency, owner_id), amount in legs.items()
        if amount
    )
    return Transaction(SourceKind.REVERSAL, source_id, entries, original_id) if entries else None


def _moves(transaction: Transaction, account: Account) -> bool:
    return any(entry.account is account for entry in transaction.entries)


def correcting_charge(
    adjustment_id: UUID, owner_id: UUID, currency: str, *, gross_minor: int, vat_minor: int
) -> Transaction:
    """An admin charges more: debit customer, credit revenue and VAT."""
    gross = _positive(gross_minor)
    legs = (
        (Account.CUSTOMER, gross),
        (Account.REVENUE, -(gross - vat_minor)),
        (Account.VAT, -vat_minor),
    )
    return _post(SourceKind.ADJUSTMENT, adjustment_id, owner_id, currency, legs)


def goodwill_credited(adjustment_id: UUID, owner_id: UUID, currency: str, amount_minor: int) -> Transaction:
    """A gift to the customer: debit goodwill, credit customer; no VAT, as nothing was sold."""
    amount = _positive(amount_minor)
    legs = ((Account.GOODWILL, amount), (Account.CUSTOMER, -amount))
    return _post(SourceKind.ADJUSTMENT, adjustment_id, owner_id, currency, legs)


def debt_written_off(adjustment_id: UUID, owner_id: UUID, currency: str, amount_minor: int) -> Transaction:
    """A debt given up as uncollectible: debit write-off, credit customer."""
    amount = _positive(amount_minor)
    legs = ((Account.WRITE_OFF, amount), (Account.CUSTOMER, -amount))
    return _post(SourceKind.ADJUSTMENT, adjustment_id, owner_id, currency, legs)


def revenue_recognised(source_id: UUID, owner_id: UUID, currency: str, net_minor: int) -> Transaction:
    """Deferred revenue that has been earned: debit deferred revenue, credit revenue; no command posts it."""
    net = _positive(net_minor)
    legs = ((Account.DEFERRED_REVENUE, net), (Account.REVENUE, -net))
    return _post(SourceKind.RECOGNITION, source_id, owner_id, currency, legs)


def balance(entries: Iterable[Entry], account: Account, currency: str, owner_id: UUID | None = None) -> int:
    """Debits less credits of one account, minor units; for CUSTOMER of one owner, if named."""
    return sum(
        entry.amount_minor
        for entry in entries
        if entry.account is account
        and entry.currency == currency
        and (owner_id is None or entry.owner_id == owner_id)
    )


def available_minor(customer_balance_minor: int) -> int:
    """What a customer may spend, >= 0: the credit on the personal account."""
    return max(0, -customer_balance_minor)
