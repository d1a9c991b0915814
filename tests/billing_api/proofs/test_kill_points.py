"""K17-K20: billing is killed at each point and goes on; one invoice a period, every effect once, no gap."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.ids import new_id
from tests.billing_api.commands.test_renewing import subscriber
from tests.billing_api.proofs.mortal import ANSWER
from tests.servers import DatabaseUrls

ROOT = Path(__file__).resolve().parents[3]
ROUNDS = int(os.environ.get("TEST_ROUNDS", "1"))
KILLED = -9


class Mortal:
    """Lives begun one after the other or together; how each ended."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.billing_api.proofs.mortal"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == "ready"

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(ANSWER):
                return json.loads(line.removeprefix(ANSWER))
        raise AssertionError("the process has ended")

    def live(self, *lives: tuple[Any, ...]) -> list[int]:
        """Each life is (what, moment, fail points, argument); they run at the same time."""
        assert self._process.stdin is not None
        for what, now, points, *argument in lives:
            print(what, now.isoformat(), points, *argument, file=self._process.stdin, flush=True)
        print("wait", file=self._process.stdin, flush=True)
        codes: list[int] = self._answer()
        return codes

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@pytest.fixture
def mortal(billing: DatabaseUrls) -> Iterator[Mortal]:
    running = Mortal({**os.environ, "DATABASE_URL": billing.service, "APP_ENV": "test"})
    yield running
    running.end()


def proved(people: int, invoices: int) -> None:
    """One invoice per person and period, numbers 1 to the last without a gap, every invariant."""
    from billing_api.billing_service.invariants import check_invariants
    from billing_api.billing_service.models import Invoice

    numbers = sorted(Invoice.objects.values_list("number", flat=True))
    assert numbers == [f"2026-{number:06}" for number in range(1, invoices + 1)]
    renewals = Invoice.objects.filter(kind="renewal")
    assert renewals.values("subscription_id", "period_start_on").distinct().count() == renewals.count()
    assert renewals.values("subscription_id").distinct().count() == people
    assert [one.name for one in check_invariants() if not one.holds] == []


@pytest.mark.parametrize(
    "point",
    ["billing.renew.after_invoice_insert", "billing.numbers.given_before_commit", "billing.run.mid_batch"],
)
def test_numbers_have_no_gap_when_parallel_runs_are_killed(world, mortal: Mortal, point: str) -> None:
    """Three runs at once over 12 subscriptions with two periods due, killed midway, and others after them."""
    people = 12
    for _ in range(people):
        subscriber(world)
    world.pass_time(days=62)
    codes = mortal.live(
        ("bill", world.now, f"{point}=kill@2"),
        ("bill", world.now, f"{point}=kill@3"),
        ("bill", world.now, f"{point}=kill@5"),
    )
    assert KILLED in codes
    codes = mortal.live(("bill", world.now, f"{point}=kill@1"), ("bill", world.now, "-"))
    assert codes[1] == 0
    assert mortal.live(("bill", world.now, "-")) == [0]
    proved(people, people * 3)


def test_a_kill_between_two_postings_leaves_neither(world, mortal: Mortal, tmp_path: Path) -> None:
    """K19: one state brings a payment and its refund; both are there or none."""
    from billing_api.billing_service.models import LedgerTransaction, Payment, Refund

    anna = world.customer()
    started = world.buy(anna)
    state = world.refund(world.payment(started.invoice_id, anna.user_id), 9900)
    told = tmp_path / "event.json"
    told.write_text(json.dumps({"state": state.model_dump(mode="json"), "sequence": 3}), encoding="utf-8")
    before = LedgerTransaction.objects.count()
    lives = mortal.live(("hear", world.now, "billing.ledger.between_two_postings=kill", str(told)))
    assert lives == [KILLED]
    assert LedgerTransaction.objects.count() == before
    assert not Payment.objects.exists()
    assert mortal.live(("hear", world.now, "-", str(told)), ("hear", world.now, "-", str(told))) == [0, 0]
    assert Refund.objects.get().amount_minor == 9900
    # The payment, its refund and the credit note: once each.
    assert LedgerTransaction.objects.count() == before + 3
    proved(0, 1)


def test_a_kill_before_the_call_sends_it_later_under_the_same_key(
    world, mortal: Mortal, tmp_path: Path
) -> None:
    """K18: the attempt is committed, the call is not made; after the lease it is made once."""
    from billing_api.billing_service.commands.plan_collection import plan_collection
    from billing_api.billing_service.models import CollectionAttempt, OutgoingOrder
    from tests.billing_api.commands.test_renewing import run

    subscriber(world)
    world.pass_time(days=31)
    run(world)
    plan_collection(now=world.now)
    order = OutgoingOrder.objects.get()
    called = tmp_path / f"{new_id()}.txt"
    called.touch()
    dead = ("send", world.now, "billing.renew.after_commit_before_call=kill", str(called))
    assert mortal.live(dead) == [KILLED]
    assert mortal.live(("send", world.now, "-", str(called))) == [0]
    assert called.read_text() == "", "the lease of the dead sender still holds"
    world.pass_time(seconds=61)
    assert mortal.live(("send", world.now, "-", str(called)), ("send", world.now, "-", str(called))) == [0, 0]
    assert called.read_text().split() == [str(order.id)]
    assert CollectionAttempt.objects.get().state == "accepted"


@pytest.mark.long
@pytest.mark.parametrize("number", range(10 * ROUNDS))
def test_kills_at_any_passage_of_parallel_runs(world, mortal: Mortal, number: int) -> None:
    """Four runs at once, each killed at another passage of another point, until one comes through."""
    import random

    chance = random.Random(number)
    points = [
        "billing.renew.after_invoice_insert",
        "billing.numbers.given_before_commit",
        "billing.run.mid_batch",
    ]
    people = 40
    for _ in range(people):
        subscriber(world)
    world.pass_time(days=93)
    for _ in range(5):
        mortal.live(
            *(("bill", world.now, f"{chance.choice(points)}=kill@{chance.randint(1, 15)}") for _ in range(4))
        )
    assert mortal.live(("bill", world.now, "-")) == [0]
    proved(people, people * 4)
