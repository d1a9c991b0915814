"""Cancelling a payment: each rule under its name, and the figures that go back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from billing_api.billing_service.domain.cancellation import (
    Cancellation,
    CancellationPolicy,
    PaidInvoice,
    decide,
    refusal,
)
from shared.errors import AppError

CAPTURED = datetime(2026, 4, 11, 9, tzinfo=UTC)
NOW = CAPTURED + timedelta(days=2)


def paid(**more: object) -> PaidInvoice:
    given: dict[str, object] = {
        "payment_status": "succeeded",
        "captured_minor": 39_900,
        "refunded_minor": 0,
        "captured_at": CAPTURED,
        "invoice_total_minor": 49_900,
        "balance_applied_minor": 10_000,
        "credited_minor": 0,
        "is_newest_of_subscription": True,
        "credited_later": False,
    }
    return PaidInvoice(**{**given, **more})  # type: ignore[arg-type]


def test_a_captured_payment_goes_back_whole_and_the_balance_part_to_the_balance() -> None:
    assert decide(paid(), now=NOW) == Cancellation(False, 39_900, 10_000, 49_900)


@pytest.mark.parametrize("status", ["created", "action_required", "authorized"])
def test_what_is_not_captured_may_always_be_cancelled(status: str) -> None:
    one = paid(payment_status=status, captured_minor=0, captured_at=None, is_newest_of_subscription=False)
    assert decide(one, now=NOW + timedelta(days=99)) == Cancellation(True, 0, 0, 0)


@pytest.mark.parametrize("status", ["processing", "unknown", "needs_review"])
def test_a_payment_whose_outcome_is_not_known_is_in_progress(status: str) -> None:
    with pytest.raises(AppError, match="payment-in-progress"):
        decide(paid(payment_status=status), now=NOW)


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ({"payment_status": "failed"}, "payment-is-over"),
        ({"payment_status": "cancelled"}, "payment-is-over"),
        ({"payment_status": "refunded"}, "payment-is-over"),
        ({"payment_status": "partially_refunded", "refunded_minor": 1}, "already-refunded-in-part"),
        ({"captured_at": None}, "payment-is-over"),
        ({"is_newest_of_subscription": False}, "not-newest-invoice"),
        ({"credited_later": True}, "credited-later"),
        ({"credited_minor": 1}, "credited-later"),
    ],
)
def test_each_rule_refuses_under_its_name(more: dict[str, object], rule: str) -> None:
    error = refusal(paid(**more), now=NOW)
    assert error is not None
    assert (error.code, error.extra) == ("payment-not-cancellable", {"rule": rule})


def test_the_window_is_14_days_and_configurable() -> None:
    edge = CAPTURED + timedelta(days=14)
    assert refusal(paid(), now=edge) is None
    late = refusal(paid(), now=edge + timedelta(microseconds=1))
    assert late is not None
    assert late.extra == {"rule": "window-over"}
    assert refusal(paid(), now=edge, policy=CancellationPolicy(window_days=13)) is not None
