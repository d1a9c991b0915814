"""The statement adds up, and each invariant fires on data broken on purpose."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from shared.errors import AppError
from shared.money import Money


def a_life(world):
    """A customer who bought, was credited, renewed by balance and card, and got a refund."""
    from billing_api.billing_service.commands.adjust_charge import adjust_charge
    from tests.billing_api.commands.test_renewing import collect, outcome, run
    from tests.billing_api.commands.test_staff import said

    world.promo_code()
    anna = world.customer()
    started = world.buy(anna, promo_code="SPRING")
    state = world.pay(started, anna)
    adjust_charge(started.invoice_id, Money(-10000), **said(world))
    world.pass_time(days=31)
    run(world)
    (attempt,) = collect(world)
    outcome(world, anna, attempt)
    world.pass_time(days=1)
    world.hear(world.refund(state, 5000, origin="provider"))
    return anna, started


def taken_back(world) -> None:
    """A first invoice that was credited in part before it was voided."""
    from billing_api.billing_service.commands.adjust_charge import adjust_charge
    from billing_api.billing_service.commands.void_invoice import void_invoice
    from tests.billing_api.commands.test_changing import close_answers
    from tests.billing_api.commands.test_staff import said

    started = world.buy(world.customer())
    adjust_charge(started.invoice_id, Money(-9900), **said(world))
    void_invoice(started.invoice_id, **said(world))
    assert close_answers(world, "closed") == 1


def test_a_statement_of_any_range_adds_up(world) -> None:
    from billing_api.billing_service import statement

    anna, _ = a_life(world)
    days = [date(2026, 3, 14), date(2026, 3, 15), date(2026, 4, 15), date(2026, 4, 16), date(2026, 5, 1)]
    for first in days:
        for last in days:
            if last < first:
                continue
            body = statement.statement_view(statement.make_statement(anna.user_id, first, last))
            opening, closing = body["opening_balance"]["amount"], body["closing_balance"]["amount"]
            assert opening + sum(one["amount"]["amount"] for one in body["movements"]) == closing
            balances = [one["balance"]["amount"] for one in body["movements"]]
            assert not balances or balances[-1] == closing
    body = statement.statement_view(statement.make_statement(anna.user_id, days[0], days[-1]))
    assert [(one["document"]["kind"], one["amount"]["amount"]) for one in body["movements"]] == [
        ("invoice", -44910),
        ("payment", 44910),
        ("credit_note", 10000),
        ("invoice", -49900),
        ("payment", 39900),
        ("refund", -5000),
        ("credit_note", 5000),
    ]
    assert body["movements"][0]["document"]["number"] == "2026-000001"
    assert body["movements"][0]["description"]["en"] == "Invoice 2026-000001"
    assert body["closing_balance"]["amount"] == world.balance(anna)
    with pytest.raises(AppError, match="range-invalid"):
        statement.make_statement(anna.user_id, days[1], days[0])


def test_a_statement_says_what_was_written_off_and_why_something_was_given(world) -> None:
    """A write-off has its own words and its invoice, whatever else was recorded of that invoice."""
    from billing_api.billing_service import statement
    from billing_api.billing_service.commands.adjust_charge import adjust_charge
    from billing_api.billing_service.commands.grant_goodwill import grant_goodwill
    from billing_api.billing_service.commands.write_off import write_off
    from tests.billing_api.commands.test_part_refunds import part_paid
    from tests.billing_api.commands.test_staff import said

    anna, started, state = part_paid(world)
    adjust_charge(started.invoice_id, Money(-5000), **{**said(world), "reason": "of the credit"})
    write_off(started.invoice_id, **{**said(world), "reason": "of the write-off"})
    world.hear(world.refund(state))
    grant_goodwill(anna.user_id, Money(100), **{**said(world), "reason": "of the gift"})
    made = statement.make_statement(anna.user_id, world.now.date(), world.now.date())
    told = [
        (one.number, one.description_ru, one.description_en, one.amount_minor)
        for one in made.movements
        if one.kind == "adjustment"
    ]
    number = "2026-000001"
    words = (f"Списание долга по счёту {number}", f"Debt written off, invoice {number}")
    assert told == [
        (number, *words, 34900),
        (number, *words, 10000),
        (None, "Корректировка: of the gift", "Adjustment: of the gift", 100),
    ]


def test_a_statement_reads_page_by_page(world, monkeypatch: pytest.MonkeyPatch) -> None:
    from billing_api.billing_service import statement

    anna, _ = a_life(world)
    monkeypatch.setattr(statement, "_PAGE", 2)
    made = statement.make_statement(anna.user_id, date(2026, 3, 1), date(2026, 5, 1))
    assert len(list(made.movements)) == 7


BREAKS = {
    "ledger_balanced": "UPDATE ledger_entry SET amount_minor = amount_minor + 1 WHERE ledger_account = 'vat'",
    "balances_match_entries": "UPDATE account_balance SET balance_minor = balance_minor - 1",
    "chains_end_at_heads": "UPDATE account_balance SET chain_head = repeat('0', 64)",
    "amount_due_adds_up": "UPDATE invoice SET amount_due_minor = 1",
    "paid_invoices_covered": "UPDATE payment SET allocated_minor = allocated_minor - 1",
    "invoices_match_lines": "UPDATE invoice_line SET vat_minor = vat_minor + 1",
    "invoices_posted": (
        "UPDATE ledger_transaction SET source_id = gen_random_uuid() WHERE source_kind = 'invoice'"
    ),
    "void_invoices_ask_nothing": (
        "UPDATE ledger_entry SET amount_minor = amount_minor - 1 WHERE ledger_account = 'customer'"
        " AND transaction_id IN (SELECT id FROM ledger_transaction WHERE source_kind = 'reversal')"
    ),
    "credit_notes_within_invoices": "UPDATE invoice SET credited_minor = credited_minor + 1",
    "payments_posted_once": "UPDATE ledger_transaction SET source_kind = 'x' WHERE source_kind = 'payment'",
    "refunds_posted_once": "UPDATE ledger_transaction SET source_kind = 'x' WHERE source_kind = 'refund'",
    "refunds_credited_once": "UPDATE refund SET credited_minor = credited_minor - 1",
    "available_not_negative": "UPDATE account_balance SET balance_minor = 1000000",
    "one_invoice_per_period": (
        "UPDATE invoice SET period_start_on = period_start_on - 1 WHERE kind = 'renewal'"
    ),
    "numbers_without_gaps": "UPDATE document_counter SET last_number = last_number + 1",
    "promo_codes_within_limits": "UPDATE promo_code SET redemptions = redemptions + 1",
    "promo_codes_settled": (
        "UPDATE promo_redemption SET state = 'reserved'; UPDATE subscription SET status = 'cancelled'"
    ),
    "budgets_within_limits": "UPDATE promotion SET budget_spent_minor = 1",
    "access_matches_subscriptions": "UPDATE subscription SET access_until = access_until + interval '1 day'",
    "lines_explained": (
        "UPDATE invoice_line SET steps = jsonb_set(steps, '{0,unit_minor}', '1') WHERE position = 1"
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_each_invariant_fires_on_broken_data(world, superuser, name: str) -> None:
    from billing_api.billing_service.invariants import check_invariants
    from billing_api.billing_service.models import Promotion

    Promotion.objects.create(
        kind="fixed_amount", value=1, created_at=world.now, budget_minor=10**6, is_active=False
    )
    a_life(world)
    taken_back(world)
    found = {one.name: one for one in check_invariants()}
    assert set(found) == set(BREAKS)
    assert [one.name for one in found.values() if not one.holds] == []
    superuser.execute(BREAKS[name])
    broken = {one.name: one for one in check_invariants()}[name]
    assert not broken.holds
    assert broken.offending


def _doubled(source_kind: str) -> str:
    """Every leg of such postings twice: they balance, and ask for or give the double."""
    return (
        "INSERT INTO ledger_entry (id, account_id, transaction_id, ledger_account, amount_minor, currency,"
        " position, chain_hash, posted_at, leg_number, leg_count)"
        " SELECT gen_random_uuid(), e.account_id, e.transaction_id, e.ledger_account, e.amount_minor,"
        " e.currency, CASE e.ledger_account WHEN 'customer' THEN e.position + 100 ELSE 0 END, e.chain_hash,"
        " e.posted_at, e.leg_number + e.leg_count, 2 * e.leg_count"
        " FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id"
        f" WHERE t.source_kind = '{source_kind}'"
    )


def _moved(one: str, other: str) -> str:
    """A kopeck from one account of ours to the other within a posting: it balances all the same."""
    return (
        f"UPDATE ledger_entry SET amount_minor = amount_minor"
        f" + CASE ledger_account WHEN '{one}' THEN 1 ELSE -1 END"
        f" WHERE ledger_account IN ('{one}', '{other}')"
    )


# The other ways in which each may be broken.
FURTHER_BREAKS = [
    ("ledger_balanced", "DELETE FROM ledger_entry WHERE ledger_account = 'vat'"),
    ("ledger_balanced", "UPDATE ledger_entry SET currency = 'USD' WHERE ledger_account = 'revenue'"),
    ("ledger_balanced", "UPDATE ledger_transaction SET leg_count = leg_count + 1"),
    ("ledger_balanced", _doubled("payment")),
    ("balances_match_entries", "DELETE FROM account_balance"),
    ("balances_match_entries", "UPDATE account_balance SET entry_count = entry_count + 1"),
    ("chains_end_at_heads", "DELETE FROM ledger_entry WHERE ledger_account = 'customer' AND position > 1"),
    ("amount_due_adds_up", "UPDATE invoice SET written_off_minor = 1, status = 'uncollectible'"),
    ("paid_invoices_covered", "UPDATE invoice SET paid_minor = paid_minor - 1 WHERE status = 'paid'"),
    ("paid_invoices_covered", "UPDATE invoice SET credited_unpaid_minor = 1 WHERE status = 'paid'"),
    ("paid_invoices_covered", "UPDATE payment SET posted_at = NULL"),
    ("invoices_match_lines", "UPDATE invoice_line SET net_minor = net_minor + 1"),
    ("invoices_match_lines", "DELETE FROM invoice_line"),
    ("invoices_match_lines", "UPDATE invoice SET list_minor = list_minor + 1"),
    ("invoices_posted", "DELETE FROM ledger_transaction WHERE source_kind = 'reversal'"),
    *((name, _moved(*between)) for name, *between in (
        ("invoices_posted", "vat", "revenue"), ("void_invoices_ask_nothing", "vat", "revenue"),
        ("credit_notes_within_invoices", "vat", "refunds"),
    )),
    ("credit_notes_within_invoices", "DELETE FROM credit_note"),
    ("credit_notes_within_invoices", "UPDATE credit_note SET vat_minor = vat_minor + 1"),
    ("credit_notes_within_invoices", "UPDATE credit_note_line SET amount_minor = amount_minor + 1"),
    ("credit_notes_within_invoices", "UPDATE credit_note_line SET vat_rate_bp = 2000"),
    ("credit_notes_within_invoices", _doubled("credit_note")),
    ("credit_notes_within_invoices", "DELETE FROM ledger_transaction WHERE source_kind = 'credit_note'"),
    ("payments_posted_once", "UPDATE payment SET captured_minor = captured_minor + 1"),
    ("payments_posted_once", "UPDATE payment SET to_balance_minor = to_balance_minor + 1"),
    *((name, _doubled(kind)) for name, kind in (
        ("invoices_posted", "invoice"), ("payments_posted_once", "payment"),
        ("refunds_posted_once", "refund"),
    )),
    ("refunds_posted_once", "UPDATE refund SET amount_minor = amount_minor + 1"),
    ("refunds_posted_once", "UPDATE payment SET refunded_minor = refunded_minor + 1"),
    ("refunds_credited_once", "UPDATE credit_note SET total_minor = total_minor + 1 WHERE refund_id IS NOT"
     " NULL; UPDATE refund SET credited_minor = credited_minor + 1"),
    ("refunds_credited_once", "UPDATE credit_note SET refund_id = NULL"),
    ("one_invoice_per_period", "UPDATE invoice SET kind = 'renewal', period_start_on = '2026-04-20',"
     " period_end_on = '2026-04-21', subscription_id = (SELECT subscription_id FROM invoice WHERE kind ="
     " 'renewal') WHERE status = 'void'; UPDATE invoice SET status = 'open' WHERE status = 'void'"),
    ("numbers_without_gaps", "UPDATE invoice SET number = '2026-000009' WHERE number = '2026-000001'"),
    ("numbers_without_gaps", "UPDATE credit_note SET number = NULL"),
    (
        "promo_codes_within_limits",
        "ALTER TABLE promo_code DROP CONSTRAINT promo_code_within_limit;"
        " UPDATE promo_code SET redemption_limit = 0",
    ),
    ("promo_codes_within_limits", "UPDATE promo_code SET limit_per_user = 0"),
    ("promo_codes_within_limits", "DELETE FROM promo_redemption"),
    (
        "budgets_within_limits",
        "ALTER TABLE promotion DROP CONSTRAINT promotion_within_budget;"
        " UPDATE promotion SET budget_minor = -1",
    ),
]  # fmt: skip


def test_each_invariant_fires_in_whichever_way_it_is_broken(world, billing) -> None:
    """Each break in a transaction of its own, looked at by the invariant's statement and taken back."""
    import psycopg2

    from billing_api.billing_service import invariants
    from billing_api.billing_service.models import Promotion

    Promotion.objects.create(kind="fixed_amount", value=1, created_at=world.now, budget_minor=1)
    a_life(world)
    taken_back(world)
    quiet = []
    with psycopg2.connect(billing.superuser) as connection, connection.cursor() as cursor:
        for name, broken in FURTHER_BREAKS:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(broken)
            cursor.execute(invariants._SQL[name][1])
            if not cursor.fetchall():
                quiet.append(broken)
            connection.rollback()
    connection.close()
    assert quiet == []
    assert [one.name for one in invariants.check_invariants() if not one.holds] == []


def test_numbers_begin_anew_with_the_sellers_year(world) -> None:
    """At 21:00 UTC of 31 December it is the new year in Moscow; the old year's count stays where it was."""
    from billing_api.billing_service.commands.adjust_charge import adjust_charge
    from tests.billing_api.commands.test_staff import broken, said

    numbers = []
    for moment in ("2026-12-31T20:59:59+00:00", "2026-12-31T21:00:00+00:00", "2027-06-01T12:00:00+00:00"):
        world.now = datetime.fromisoformat(moment)
        anna = world.customer()
        started = world.buy(anna)
        world.pay(started, anna)
        numbers += [world.invoice(started.invoice_id).number]
        numbers += [adjust_charge(started.invoice_id, Money(-100), **said(world)).number]
    assert numbers == [
        *("2026-000001", "CN-2026-000001"),
        *("2027-000001", "CN-2027-000001"),
        *("2027-000002", "CN-2027-000002"),
    ]
    assert broken() == []


def test_the_millionth_document_of_a_year_has_seven_digits(world, superuser) -> None:
    """None is cut down to a number already given: 100000 stands there as ``2026-100000``."""
    from billing_api.billing_service.commands.adjust_charge import adjust_charge
    from tests.billing_api.commands.test_staff import said

    numbers = []
    for before in (99_999, 999_999):
        superuser.execute(
            "INSERT INTO document_counter (series, year, last_number)"
            " SELECT unnest('{invoice,credit_note}'::text[]), 2026, %s"
            " ON CONFLICT (series, year) DO UPDATE SET last_number = EXCLUDED.last_number",
            (before,),
        )
        anna = world.customer()
        started = world.buy(anna)
        world.pay(started, anna)
        numbers += [world.invoice(started.invoice_id).number]
        numbers += [adjust_charge(started.invoice_id, Money(-100), **said(world)).number]
    assert numbers == ["2026-100000", "CN-2026-100000", "2026-1000000", "CN-2026-1000000"]


def test_an_issued_document_does_not_change(world) -> None:
    from django.db import IntegrityError

    from billing_api.billing_service.database import atomic
    from billing_api.billing_service.models import Invoice, InvoiceLine

    started = world.buy(world.customer())
    for change in ({"total_minor": 1}, {"number": "2026-000009"}, {"steps": []}):
        with pytest.raises(IntegrityError, match="never changes"), atomic():
            Invoice.objects.filter(id=started.invoice_id).update(**change)
    with pytest.raises(Exception, match="permission denied"), atomic():
        InvoiceLine.objects.update(net_minor=1)


def test_events_of_users_and_catalogue(world) -> None:
    from billing_api.billing_service import consumers, queries
    from billing_api.billing_service.models import Account, Customer, Product
    from shared.ids import new_id
    from shared.queue.messages.users import UserState
    from shared.queue.outbox import build_envelope

    anna = world.customer()
    started = world.buy(anna)
    world.pay(started, anna)
    family = new_id()

    def hear(event_type: str, sequence: int, **changes) -> None:
        state = UserState(
            **(
                {
                    "user_id": anna.user_id,
                    "status": "active",
                    "locale": "en",
                    "time_zone": "Asia/Omsk",
                    "token_epoch": 1,
                    "created_at": world.now,
                    "updated_at": world.now,
                }
                | changes
            )
        )
        consumers.apply_event(
            build_envelope("user-api", event_type, anna.user_id, sequence, state, world.now), world.now
        )

    hear("user.sessions_revoked", 3, token_epoch=2, revoked_families=[family])
    hear("user.updated", 2, time_zone="Asia/Tokyo")
    state = queries.token_state(anna.user_id)
    assert (state.token_epoch, state.revoked_families) == (2, [str(family)])
    account = Account.objects.get(user_id=anna.user_id)
    assert (account.time_zone, account.locale) == ("Asia/Omsk", "en")
    assert Customer.objects.filter(account=account).exists()
    hear("user.erased", 4, status="erased")
    assert not Customer.objects.filter(account=account).exists()
    assert world.subscription(started).status == "cancelled"
    with pytest.raises(AppError, match="account-erased"):
        world.buy(anna, world.film)

    world.product("basic-2", 59900, product_id=world.basic, price_id=world.basic_price, sequence=5)
    world.product("basic-old", 100, product_id=world.basic, price_id=world.basic_price, sequence=4)
    assert Product.objects.get(id=world.basic).slug == "basic-2"
    assert world.invoice(world.buy(world.customer()).invoice_id).total_minor == 59900
