"""The state table, exhaustively, and its agreement with the database's own list."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from pay_api.pay_service.payment import (
    EDGES,
    FINAL,
    TABLE,
    Move,
    Seen,
    after_refund,
    decide,
    decide_ended,
)
from shared.queue.messages.payments import PaymentStatus as Status

MIGRATION = Path("pay_api/migrations/versions/0001_payments.sql")
LATER = Path("pay_api/migrations/versions/0002_waiting_payments.sql")
MONEY = {Status.SUCCEEDED, Status.PARTIALLY_REFUNDED, Status.REFUNDED}


def test_table_is_total() -> None:
    assert set(TABLE) == set(Status) == set(EDGES)
    assert all(set(row) == set(Seen) for row in TABLE.values())


@pytest.mark.parametrize("voided", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_every_move_is_a_lawful_edge(voided: bool, frozen: bool) -> None:
    for status, seen in itertools.product(Status, Seen):
        decision = decide(status, seen, voided=voided, frozen=frozen)
        if isinstance(decision, Move):
            assert decision.to in EDGES[status], (status, seen)
            assert decision.to is not status


def test_edges_equal_those_of_the_migration() -> None:
    listed = {
        (source, target)
        for source, targets in re.findall(
            r"\('(\w+)',\s+'([\w ]+)'\)", MIGRATION.read_text().partition(") AS edge")[0]
        )
        for target in targets.split()
    }
    listed |= set(re.findall(r"^\s+\('(\w+)', '(\w+)'\)", LATER.read_text(), re.M))
    assert listed == {(source, target) for source, targets in EDGES.items() for target in targets}


def test_hosted_declines_end_the_attempt_alone() -> None:
    for status in (Status.PROCESSING, Status.UNKNOWN, Status.ACTION_REQUIRED):
        for seen in (Seen.DECLINED, Seen.NO_EFFECT):
            assert decide(status, seen, reopens=True) == Move(Status.ACTION_REQUIRED)
    for status, seen in itertools.product(Status, Seen):
        decision = decide(status, seen, reopens=True)
        if isinstance(decision, Move):
            assert decision.to in EDGES[status], (status, seen)
            if decision != decide(status, seen):
                assert seen in (Seen.DECLINED, Seen.NO_EFFECT)


def test_an_ended_attempt_moves_its_payment_by_money_alone() -> None:
    for status, seen in itertools.product(Status, Seen):
        for awaits_card in (True, False):
            if awaits_card and status is not Status.ACTION_REQUIRED:
                continue
            decision = decide_ended(status, seen, awaits_card=awaits_card)
            if isinstance(decision, Move):
                assert decision.to in EDGES[status]
                assert seen in (Seen.SUCCEEDED, Seen.AUTHORIZED, Seen.MISMATCH)
    beside_another = decide_ended(Status.PROCESSING, Seen.SUCCEEDED, awaits_card=False)
    assert beside_another == Move(Status.NEEDS_REVIEW)
    assert decide_ended(Status.ACTION_REQUIRED, Seen.SUCCEEDED, awaits_card=True) == Move(Status.SUCCEEDED)


def test_only_an_explicit_success_is_success() -> None:
    for status, seen in itertools.product(Status, Seen):
        decision = decide(status, seen)
        if isinstance(decision, Move) and decision.to is Status.SUCCEEDED:
            assert seen is Seen.SUCCEEDED
        if isinstance(decision, Move) and decision.to is Status.FAILED:
            assert seen in (Seen.DECLINED, Seen.NO_EFFECT)


def test_taken_money_is_moved_by_refunds_alone() -> None:
    for status, seen in itertools.product(MONEY, Seen):
        assert not isinstance(decide(status, seen), Move)


def test_late_is_said_exactly_of_what_was_over() -> None:
    for status, seen in itertools.product(Status, Seen):
        decision = decide(status, seen)
        late = isinstance(decision, Move) and decision.late
        assert late == (
            status in (Status.FAILED, Status.CANCELLED)
            and seen in (Seen.SUCCEEDED, Seen.AUTHORIZED, Seen.MISMATCH)
        )


def test_every_order_of_observations_ends_with_the_money_known() -> None:
    """All orders of up to five observations of one charge that truly happened: never lost, never doubled."""
    stories = ([Seen.UNKNOWN, Seen.SUCCEEDED, Seen.SUCCEEDED, Seen.DECLINED, Seen.CHALLENGED],)
    for story in stories:
        for length in range(1, 6):
            for order in set(itertools.permutations(story, length)):
                status, takings = Status.PROCESSING, 0
                for seen in order:
                    decision = decide(status, seen)
                    if isinstance(decision, Move):
                        takings += decision.to is Status.SUCCEEDED
                        status = decision.to
                assert takings == (1 if Seen.SUCCEEDED in order else 0), order
                assert (status is Status.SUCCEEDED) == (Seen.SUCCEEDED in order), order


def test_void_makes_old_words_harmless() -> None:
    assert not isinstance(decide(Status.CANCELLED, Seen.AUTHORIZED, voided=True), Move)
    assert decide(Status.CANCELLED, Seen.SUCCEEDED, voided=True) == Move(Status.NEEDS_REVIEW, late=True)


def test_mismatch_is_ended_by_a_person_alone() -> None:
    for seen in Seen:
        assert not isinstance(decide(Status.NEEDS_REVIEW, seen, frozen=True), Move)


def test_refund_totals() -> None:
    for captured in range(1, 30):
        for refunded in range(1, captured + 1):
            expected = Status.REFUNDED if refunded == captured else Status.PARTIALLY_REFUNDED
            assert after_refund(captured, refunded) is expected
    for refunded in (0, 11):
        with pytest.raises(ValueError, match="refunds"):
            after_refund(10, refunded)


def test_streams_end_only_where_nothing_moves_by_itself() -> None:
    assert FINAL.isdisjoint({Status.CREATED, Status.PROCESSING, Status.ACTION_REQUIRED, Status.UNKNOWN})
