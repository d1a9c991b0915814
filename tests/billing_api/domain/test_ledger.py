"""Ledger: every posting balances, and a customer's story ends where it should."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_api.billing_service.domain.ledger import (
    Account,
    Entry,
    SourceKind,
    Transaction,
    available_minor,
    balance,
    correcting_charge,
    credit_note_issued,
    debt_written_off,
    goodwill_credited,
    invoice_issued,
    payment_received,
    payment_refunded,
    revenue_recognised,
    reversal,
)
from shared.errors import AppError
from shared.money import vat_included

OWNER, DOCUMENT, ORIGINAL = uuid4(), uuid4(), uuid4()


def legs(transaction: Transaction | None) -> dict[str, int]:
    assert transaction is not None
    return {entry.account.value: entry.amount_minor for entry in transaction.entries}


def test_an_issued_invoice_debits_the_customer_and_credits_revenue_and_vat() -> None:
    posted = invoice_issued(DOCUMENT, OWNER, "RUB", gross_minor=49_900, vat_minor=8_998)
    assert legs(posted) == {"customer": 49_900, "revenue": -40_902, "vat": -8_998}


def test_discounts_are_shown_on_their_own_account() -> None:
    posted = invoice_issued(DOCUMENT, OWNER, "RUB", gross_minor=40_000, vat_minor=7_213, discount_minor=9_900)
    assert legs(posted) == {"customer": 40_000, "discounts": 9_900, "revenue": -42_687, "vat": -7_213}


def test_a_deferred_invoice_is_recognised_later() -> None:
    posted = invoice_issued(DOCUMENT, OWNER, "RUB", gross_minor=12_200, vat_minor=2_200, deferred=True)
    assert legs(posted) == {"customer": 12_200, "deferred_revenue": -10_000, "vat": -2_200}
    assert legs(revenue_recognised(DOCUMENT, OWNER, "RUB", 10_000)) == {
        "deferred_revenue": 10_000,
        "revenue": -10_000,
    }


def test_a_change_that_leaves_money_turns_every_leg_round() -> None:
    posted = invoice_issued(DOCUMENT, OWNER, "RUB", gross_minor=-12_200, vat_minor=-2_200)
    assert legs(posted) == {"customer": -12_200, "revenue": 10_000, "vat": 2_200}


def test_an_invoice_of_nothing_posts_nothing_but_a_free_one_shows_its_discount() -> None:
    assert invoice_issued(DOCUMENT, OWNER, "RUB", gross_minor=0, vat_minor=0) is None
    free = invoice_issued(DOCUMENT, OWNER, "RUB", gross_minor=0, vat_minor=0, discount_minor=49_900)
    assert legs(free) == {"discounts": 49_900, "revenue": -49_900}


@pytest.mark.parametrize(
    ("posted", "expected"),
    [
        (payment_received(DOCUMENT, OWNER, "RUB", 5), {"provider_clearing": 5, "customer": -5}),
        (
            payment_refunded(DOCUMENT, OWNER, "RUB", 5, reverses=ORIGINAL),
            {"customer": 5, "provider_clearing": -5},
        ),
        (
            credit_note_issued(DOCUMENT, OWNER, "RUB", gross_minor=122, vat_minor=22, reverses=ORIGINAL),
            {"refunds": 100, "vat": 22, "customer": -122},
        ),
        (
            correcting_charge(DOCUMENT, OWNER, "RUB", gross_minor=122, vat_minor=22),
            {"customer": 122, "revenue": -100, "vat": -22},
        ),
        (goodwill_credited(DOCUMENT, OWNER, "RUB", 7), {"goodwill": 7, "customer": -7}),
        (debt_written_off(DOCUMENT, OWNER, "RUB", 7), {"write_off": 7, "customer": -7}),
    ],
)
def test_postings(posted: Transaction, expected: dict[str, int]) -> None:
    assert legs(posted) == expected
    assert posted.source_id == DOCUMENT


def test_refunds_and_credit_notes_name_the_original() -> None:
    assert payment_refunded(DOCUMENT, OWNER, "RUB", 5, reverses=ORIGINAL).reverses == ORIGINAL
    note = credit_note_issued(DOCUMENT, OWNER, "RUB", gross_minor=5, vat_minor=1, reverses=ORIGINAL)
    assert note.reverses == ORIGINAL


def test_a_reversal_takes_every_leg_back_and_names_the_original() -> None:
    posted = invoice_issued(DOCUMENT, OWNER, "RUB", gross_minor=49_900, vat_minor=8_998, discount_minor=100)
    assert posted is not None
    source = uuid4()
    back = reversal(posted, original_id=ORIGINAL, source_id=source)
    assert back is not None
    assert (back.reverses, back.source_id, back.source_kind) == (ORIGINAL, source, SourceKind.REVERSAL)
    for account in Account:
        assert balance([*posted.entries, *back.entries], account, "RUB") == 0


@pytest.mark.parametrize("deferred", [False, True])
def test_a_reversal_leaves_to_the_credit_notes_what_they_took_back(deferred: bool) -> None:
    posted = invoice_issued(
        DOCUMENT, OWNER, "RUB", gross_minor=49_900, vat_minor=8_998, discount_minor=100, deferred=deferred
    )
    assert posted is not None
    notes = [
        credit_note_issued(uuid4(), OWNER, "RUB", gross_minor=gross, vat_minor=vat, reverses=ORIGINAL)
        for gross, vat in ((9_900, 1_785), (100, 18))
    ]
    back = reversal(posted, original_id=ORIGINAL, source_id=DOCUMENT, credits=notes)
    sold = "deferred_revenue" if deferred else "revenue"
    assert legs(back) == {"customer": -39_900, "vat": 7_195, sold: 32_805, "discounts": -100}
    rest = credit_note_issued(uuid4(), OWNER, "RUB", gross_minor=39_900, vat_minor=7_195, reverses=ORIGINAL)
    plain = invoice_issued(DOCUMENT, OWNER, "RUB", gross_minor=49_900, vat_minor=8_998)
    assert plain is not None
    assert reversal(plain, original_id=ORIGINAL, source_id=DOCUMENT, credits=[*notes, rest]) is None


def test_an_unbalanced_transaction_cannot_be_built() -> None:
    debit = Entry(Account.GOODWILL, 100, "RUB")
    with pytest.raises(AppError, match="ledger-unbalanced"):
        Transaction(SourceKind.ADJUSTMENT, DOCUMENT, (debit, Entry(Account.CUSTOMER, -99, "RUB", OWNER)))
    with pytest.raises(AppError, match="ledger-unbalanced"):
        Transaction(SourceKind.ADJUSTMENT, DOCUMENT, (debit, Entry(Account.CUSTOMER, -100, "USD", OWNER)))
    with pytest.raises(AppError, match="ledger-empty"):
        Transaction(SourceKind.ADJUSTMENT, DOCUMENT, ())


@pytest.mark.parametrize(
    ("account", "amount", "currency", "owner"),
    [
        (Account.CUSTOMER, 1, "RUB", None),
        (Account.REVENUE, 1, "RUB", OWNER),
        (Account.REVENUE, 0, "RUB", None),
        (Account.REVENUE, 1, "XXX", None),
        (Account.REVENUE, 10**14, "RUB", None),
        (Account.REVENUE, True, "RUB", None),
    ],
)
def test_malformed_entries_are_refused(
    account: Account, amount: int, currency: str, owner: UUID | None
) -> None:
    with pytest.raises(AppError, match="ledger-entry-invalid"):
        Entry(account, amount, currency, owner)


@pytest.mark.parametrize("amount", [0, -1])
def test_amounts_that_are_not_positive_are_refused(amount: int) -> None:
    with pytest.raises(AppError, match="amount-not-positive"):
        payment_received(DOCUMENT, OWNER, "RUB", amount)
    with pytest.raises(AppError, match="amount-not-positive"):
        goodwill_credited(DOCUMENT, OWNER, "RUB", amount)


def test_a_story_of_buying_paying_twice_and_cancelling() -> None:
    bought = invoice_issued(DOCUMENT, OWNER, "RUB", gross_minor=49_900, vat_minor=8_998)
    assert bought is not None
    entries = [*bought.entries]
    entries += payment_received(uuid4(), OWNER, "RUB", 49_900).entries
    assert balance(entries, Account.CUSTOMER, "RUB", OWNER) == 0
    entries += payment_received(uuid4(), OWNER, "RUB", 49_900).entries
    assert available_minor(balance(entries, Account.CUSTOMER, "RUB", OWNER)) == 49_900
    note = credit_note_issued(uuid4(), OWNER, "RUB", gross_minor=49_900, vat_minor=8_998, reverses=ORIGINAL)
    entries += note.entries
    for _ in range(2):
        entries += payment_refunded(uuid4(), OWNER, "RUB", 49_900, reverses=ORIGINAL).entries
    assert balance(entries, Account.CUSTOMER, "RUB", OWNER) == 0
    assert balance(entries, Account.VAT, "RUB") == 0
    assert balance(entries, Account.REVENUE, "RUB") + balance(entries, Account.REFUNDS, "RUB") == 0
    assert balance(entries, Account.PROVIDER_CLEARING, "RUB") == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 10**8), st.booleans()), max_size=40))
def test_any_history_sums_to_zero_and_the_balance_is_what_was_asked_less_what_came(
    facts: list[tuple[int, int, bool]],
) -> None:
    entries: list[Entry] = []
    owners = {True: OWNER, False: uuid4()}
    expected = dict.fromkeys(owners.values(), 0)
    for kind, amount, which in facts:
        owner, vat = owners[which], vat_included(amount, 2_200)
        posted, sign = [
            (invoice_issued(uuid4(), owner, "RUB", gross_minor=amount, vat_minor=vat), 1),
            (payment_received(uuid4(), owner, "RUB", amount), -1),
            (payment_refunded(uuid4(), owner, "RUB", amount, reverses=None), 1),
            (
                credit_note_issued(
                    uuid4(), owner, "RUB", gross_minor=amount, vat_minor=vat, reverses=ORIGINAL
                ),
                -1,
            ),
            (goodwill_credited(uuid4(), owner, "RUB", amount), -1),
            (correcting_charge(uuid4(), owner, "RUB", gross_minor=amount, vat_minor=vat), 1),
        ][kind]
        assert posted is not None
        entries += posted.entries
        expected[owner] += sign * amount
    assert sum(entry.amount_minor for entry in entries) == 0
    for owner, amount in expected.items():
        assert balance(entries, Account.CUSTOMER, "RUB", owner) == amount
