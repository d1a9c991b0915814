"""The ledger against an independent reckoning: any run of charges, payments, refunds, credits and voids.

The postings, kept by Postgres with its guards, at full size (200 runs of 50 steps); the commands that make
them in fewer runs, at full size as long rounds. ``TEST_ROUNDS`` makes both longer.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from billing_api.billing_service.domain import ledger
from billing_api.billing_service.domain.ledger import Account
from billing_api.billing_service.ledger_chain_proof import _Walk
from shared.money import Money, vat_included
from tests.billing_api.commands.test_staff import said
from tests.billing_api.ledger_chain import GENESIS, Link, chain_hash

ROUNDS = int(os.environ.get("TEST_ROUNDS", "1"))
NOW = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)
OWNERS = [UUID(int=number) for number in range(1, 4)]
AMOUNTS = st.integers(1, 10**7)
CHOICES = st.integers(0, 10**6)


class PureLedger(RuleBasedStateMachine):
    """Postings of the domain on one side, plain sums of what happened on the other."""

    def __init__(self) -> None:
        super().__init__()
        self.journal: dict[UUID, ledger.Transaction] = {}
        self.chains: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
        self.sums: dict[tuple[Account, UUID | None], int] = defaultdict(int)
        self.owed: dict[UUID, int] = defaultdict(int)  # by owner, from documents alone
        self.tax = self.cash = self.given = 0
        self.invoices: list[dict[str, Any]] = []
        self.payments: list[dict[str, Any]] = []
        self.adjustments: list[tuple[UUID, UUID, int, int]] = []

    def post(self, transaction: ledger.Transaction | None) -> UUID:
        assert transaction is not None
        transaction_id = uuid4()
        self.journal[transaction_id] = transaction
        legs = [(one.account.value, one.currency, one.amount_minor) for one in transaction.entries]
        for entry in transaction.entries:
            self.sums[entry.account, entry.owner_id] += entry.amount_minor
            if entry.owner_id is None:
                continue
            chain = self.chains[entry.owner_id]
            previous = chain[-1]["chain_hash"] if chain else GENESIS
            row = {
                "entry_id": uuid4(),
                "account_id": entry.owner_id,
                "currency": entry.currency,
                "position": len(chain) + 1,
                "amount_minor": entry.amount_minor,
                "transaction_id": transaction_id,
                "source_kind": transaction.source_kind.value,
                "source_id": transaction.source_id,
                "reverses_id": transaction.reverses,
                "posted_at": NOW,
            }
            chain.append({**row, "legs": legs, "chain_hash": chain_hash(previous, Link(**row), legs)})
        return transaction_id

    @rule(owner=st.sampled_from(OWNERS), gross=AMOUNTS, off=st.integers(0, 10**6))
    def charge(self, owner: UUID, gross: int, off: int) -> None:
        vat = vat_included(gross, 2_200)
        posted = self.post(
            ledger.invoice_issued(uuid4(), owner, "RUB", gross_minor=gross, vat_minor=vat, discount_minor=off)
        )
        self.invoices.append(
            {"id": posted, "owner": owner, "gross": gross, "vat": vat, "off": off, "credited": 0, "tax": 0}
        )
        self.owed[owner] += gross
        self.tax += vat
        self.given += off

    @rule(owner=st.sampled_from(OWNERS), amount=AMOUNTS)
    def pay(self, owner: UUID, amount: int) -> None:
        posted = self.post(ledger.payment_received(uuid4(), owner, "RUB", amount))
        self.payments.append({"id": posted, "owner": owner, "left": amount})
        self.owed[owner] -= amount
        self.cash += amount

    @precondition(lambda self: any(one["left"] for one in self.payments))
    @rule(which=CHOICES, part=AMOUNTS)
    def refund(self, which: int, part: int) -> None:
        left = [one for one in self.payments if one["left"]]
        payment = left[which % len(left)]
        amount = 1 + part % payment["left"]
        self.post(ledger.payment_refunded(uuid4(), payment["owner"], "RUB", amount, reverses=payment["id"]))
        payment["left"] -= amount
        self.owed[payment["owner"]] += amount
        self.cash -= amount

    @precondition(lambda self: any(one["gross"] > one["credited"] for one in self.invoices))
    @rule(which=CHOICES, part=AMOUNTS)
    def credit(self, which: int, part: int) -> None:
        left = [one for one in self.invoices if one["gross"] > one["credited"]]
        invoice = left[which % len(left)]
        amount = 1 + part % (invoice["gross"] - invoice["credited"])
        whole = invoice["credited"] + amount == invoice["gross"]
        vat = invoice["vat"] - invoice["tax"] if whole else min(vat_included(amount, 2_200), invoice["vat"])
        vat = min(vat, invoice["vat"] - invoice["tax"])
        self.post(
            ledger.credit_note_issued(
                uuid4(), invoice["owner"], "RUB", gross_minor=amount, vat_minor=vat, reverses=invoice["id"]
            )
        )
        invoice["credited"] += amount
        invoice["tax"] += vat
        self.owed[invoice["owner"]] -= amount
        self.tax -= vat

    @precondition(lambda self: any(one["gross"] > one["credited"] for one in self.invoices))
    @rule(which=CHOICES)
    def void(self, which: int) -> None:
        left = [one for one in self.invoices if one["gross"] > one["credited"]]
        invoice = left[which % len(left)]
        original = self.journal[invoice["id"]]
        self.post(
            ledger.reversal(
                original,
                original_id=invoice["id"],
                source_id=original.source_id,
                credits=[one for one in self.journal.values() if one.reverses == invoice["id"]],
            )
        )
        self.invoices.remove(invoice)
        self.owed[invoice["owner"]] -= invoice["gross"] - invoice["credited"]
        self.tax -= invoice["vat"] - invoice["tax"]
        self.given -= invoice["off"]

    @rule(owner=st.sampled_from(OWNERS), amount=AMOUNTS, kind=st.sampled_from(["up", "gift", "lost"]))
    def adjust(self, owner: UUID, amount: int, kind: str) -> None:
        vat = vat_included(amount, 2_200) if kind == "up" else 0
        if kind == "up":
            made = ledger.correcting_charge(uuid4(), owner, "RUB", gross_minor=amount, vat_minor=vat)
        elif kind == "gift":
            made = ledger.goodwill_credited(uuid4(), owner, "RUB", amount)
        else:
            made = ledger.debt_written_off(uuid4(), owner, "RUB", amount)
        signed = amount if kind == "up" else -amount
        self.adjustments.append((self.post(made), owner, signed, vat))
        self.owed[owner] += signed
        self.tax += vat

    @precondition(lambda self: self.adjustments)
    @rule(which=CHOICES)
    def reverse(self, which: int) -> None:
        posted, owner, signed, vat = self.adjustments.pop(which % len(self.adjustments))
        self.post(ledger.reversal(self.journal[posted], original_id=posted, source_id=uuid4()))
        self.owed[owner] -= signed
        self.tax -= vat

    @invariant()
    def the_ledger_says_what_happened(self) -> None:
        sums = self.sums
        assert sum(sums.values()) == 0
        for owner in OWNERS:
            assert sums[Account.CUSTOMER, owner] == self.owed[owner]
        assert sums[Account.VAT, None] == -self.tax
        assert sums[Account.PROVIDER_CLEARING, None] == self.cash
        assert sums[Account.DISCOUNTS, None] == self.given

    def teardown(self) -> None:
        for owner, chain in self.chains.items():
            walk = _Walk(owner, "RUB")
            for row in chain:
                walk.step(row)
            assert walk.finish((self.owed[owner], len(chain), chain[-1]["chain_hash"])) == []


class StoredLedger(PureLedger):
    """The same run written to Postgres at its end, in one transaction: what is kept there is reckoned too."""

    def teardown(self) -> None:
        super().teardown()
        from billing_api.billing_service.database import atomic, cursor, together
        from billing_api.billing_service.models import Account as AccountRow

        accounts = {
            owner: AccountRow.objects.create(user_id=uuid4(), created_at=NOW, updated_at=NOW).id
            for owner in OWNERS
        }
        with atomic():  # its commit runs the deferred triggers
            together(*self.statements(accounts))
        ids = list(accounts.values())
        with cursor() as database:
            database.execute(
                "SELECT account_id, balance_minor, entry_count FROM account_balance"
                " WHERE account_id = ANY(%s::uuid[])",
                (ids,),
            )
            stored = {row[0]: tuple(row[1:]) for row in database.fetchall()}
            database.execute(
                "SELECT ledger_account, sum(amount_minor)::bigint FROM ledger_entry"
                " WHERE account_id = ANY(%s::uuid[]) GROUP BY ledger_account",
                (ids,),
            )
            sums = dict(database.fetchall())
        for owner, account_id in accounts.items():
            expected = (self.owed[owner], len(self.chains[owner]))
            assert stored.get(account_id, (0, 0)) == expected
        assert sums.get(Account.VAT.value, 0) == -self.tax
        assert sums.get(Account.PROVIDER_CLEARING.value, 0) == self.cash
        assert sums.get(Account.DISCOUNTS.value, 0) == self.given

    def statements(self, accounts: dict[UUID, UUID]) -> list[Any]:
        """Every posting of the journal as the commands write it."""
        from billing_api.billing_service.database import as_one
        from billing_api.billing_service.posting import writing
        from billing_api.billing_service.posting_statements import OWNER

        ids: dict[UUID, UUID] = {}
        statements = []
        for model_id, made in self.journal.items():
            (owner,) = {one.owner_id for one in made.entries if one.owner_id is not None}
            entries = tuple(
                replace(one, owner_id=accounts[owner]) if one.owner_id is not None else one
                for one in made.entries
            )
            reverses = ids[made.reverses] if made.reverses is not None else None
            kept = replace(made, entries=entries, reverses=reverses)
            queries, values = writing(kept, accounts[owner], NOW)
            values["account_id"], ids[model_id] = accounts[owner], values["transaction_id"]
            statements.append(as_one((OWNER, *queries), values))
        return statements


@pytest.mark.timeout(600)
def test_the_ledger_in_200_runs_of_50_steps(billing) -> None:
    from billing_api.billing_service.ledger_chain_proof import prove_ledger

    run_state_machine_as_test(
        StoredLedger,
        settings=settings(
            max_examples=200 * ROUNDS,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
    assert prove_ledger().broken == ()


class CommandsOnPostgres(RuleBasedStateMachine):
    """The real commands for one customer; the reckoning is from the documents and what was asked for."""

    world: Any = None
    films: Any = None  # more than anybody buys in one run
    runs = 0

    def __init__(self) -> None:
        super().__init__()
        self.anna = self.world.customer()
        self.gifts = 0
        self.bought = 0
        self.states: list[Any] = []
        self.buy()

    @rule()
    def buy(self) -> None:
        self.world.buy(self.anna, self.films[self.bought])
        self.bought += 1

    def invoices(self, *statuses: str) -> list[Any]:
        from billing_api.billing_service.models import Invoice

        return list(
            Invoice.objects.filter(account__user_id=self.anna.user_id, status__in=statuses).order_by("id")
        )

    @rule(which=CHOICES, more=st.sampled_from([0, 0, 500, -4_000]))
    def pay(self, which: int, more: int) -> None:
        if not (found := self.invoices("open")):
            return
        invoice = found[which % len(found)]
        state = self.world.payment(
            invoice.id, self.anna.user_id, amount=max(1, invoice.amount_due_minor + more)
        )
        self.world.hear(state)
        self.states.append(state)

    @rule(which=CHOICES, part=AMOUNTS)
    def refund(self, which: int, part: int) -> None:
        found = [one for one in self.states if one.captured.amount > one.refunded.amount]
        if not found:
            return
        state = found[which % len(found)]
        left = state.captured.amount - state.refunded.amount
        changed = self.world.refund(state, 1 + part % left, origin="provider")
        self.world.hear(changed)
        self.states[self.states.index(state)] = changed

    @rule(which=CHOICES, part=AMOUNTS, up=st.booleans())
    def adjust(self, which: int, part: int, up: bool) -> None:
        from billing_api.billing_service.commands.adjust_charge import adjust_charge

        found = [one for one in self.invoices("open", "paid") if one.total_minor > one.credited_minor]
        if not found:
            return
        invoice = found[which % len(found)]
        amount = 1 + part % (invoice.total_minor - invoice.credited_minor)
        adjust_charge(invoice.id, Money(amount if up else -amount), **said(self.world))

    @rule(amount=st.integers(1, 10**5))
    def gift(self, amount: int) -> None:
        from billing_api.billing_service.commands.grant_goodwill import grant_goodwill

        grant_goodwill(self.anna.user_id, Money(amount), **said(self.world))
        self.gifts += amount

    @rule(which=CHOICES)
    def write_off(self, which: int) -> None:
        from billing_api.billing_service.commands.write_off import write_off

        if found := self.invoices("open"):
            write_off(found[which % len(found)].id, **said(self.world))

    @rule(which=CHOICES)
    def void(self, which: int) -> None:
        from billing_api.billing_service.answers import OrderAnswer
        from billing_api.billing_service.commands.settle_close_answer import settle_close_answer
        from billing_api.billing_service.commands.void_invoice import void_invoice
        from billing_api.billing_service.models import OutgoingOrder

        if not (found := [one for one in self.invoices("open") if one.kind != "debt"]):
            return
        void_invoice(found[which % len(found)].id, **said(self.world))
        for order in OutgoingOrder.objects.filter(kind="close_payments", state="pending"):
            settle_close_answer(order.id, OrderAnswer("accepted", result="closed"), now=self.world.now)

    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        self.world.pass_time(hours=hours)

    @invariant()
    def the_balance_follows_from_the_documents(self) -> None:
        from billing_api.billing_service.database import cursor

        with cursor() as database:
            database.execute(DOCUMENTS, (self.anna.user_id,))
            ((asked, credited, balance, due),) = database.fetchall()
        money = sum(one.captured.amount - one.refunded.amount for one in self.states)
        assert -balance == money + credited + self.gifts - asked
        assert balance <= due  # whatever is owed, an open invoice asks for it

    def teardown(self) -> None:
        from billing_api.billing_service.invariants import check_invariants
        from billing_api.billing_service.ledger_chain_proof import prove_ledger
        from billing_api.billing_service.models import Account as AccountRow
        from billing_api.billing_service.statement import make_statement

        # The whole tables, which grow with every run, are looked at in the first runs and at the end of all.
        type(self).runs += 1
        if self.runs <= 6:
            assert [one for one in check_invariants() if not one.holds] == []
        account = AccountRow.objects.get(user_id=self.anna.user_id)
        assert prove_ledger(account.id).broken == ()
        made = make_statement(self.anna.user_id, date(2026, 1, 1), self.world.now.date() + timedelta(days=2))
        assert made.closing_minor == self.world.balance(self.anna)
        assert sum(one.amount_minor for one in made.movements) == made.closing_minor


# What was asked for and credited, and what the ledger says is owed. A void invoice asks for nothing, whatever
# was credited of it before.
DOCUMENTS = """
WITH me AS (SELECT id FROM account WHERE user_id = %s)
SELECT (SELECT coalesce(sum(total_minor - written_off_minor), 0)::bigint FROM invoice
        WHERE account_id = (SELECT id FROM me) AND status <> 'void'),
    (SELECT coalesce(sum(n.total_minor), 0)::bigint FROM credit_note n JOIN invoice i ON i.id = n.invoice_id
        WHERE n.account_id = (SELECT id FROM me) AND i.status <> 'void'),
    (SELECT coalesce(sum(amount_minor), 0)::bigint FROM ledger_entry
        WHERE account_id = (SELECT id FROM me) AND ledger_account = 'customer'),
    (SELECT coalesce(sum(amount_due_minor), 0)::bigint FROM invoice
        WHERE account_id = (SELECT id FROM me) AND status = 'open')
"""


def run_on_postgres(world: Any, examples: int, steps: int) -> None:
    films = [
        world.product(f"film-{number}", 10_000 + number, kind="one_time", interval=None)[0]
        for number in range(steps + 1)
    ]
    machine = type("OnThisWorld", (CommandsOnPostgres,), {"world": world, "films": films})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
    from billing_api.billing_service.invariants import check_invariants

    assert [one for one in check_invariants() if not one.holds] == []


@pytest.mark.timeout(600)
def test_the_commands_on_postgres(world) -> None:
    run_on_postgres(world, 3, 50)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_the_commands_in_200_runs_of_50_steps(world) -> None:
    run_on_postgres(world, 200 * ROUNDS, 50)
