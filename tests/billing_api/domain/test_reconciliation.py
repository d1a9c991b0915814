"""Each way in which an event and the books can contradict each other has a name; news contradicts nothing."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from billing_api.billing_service.domain.reconciliation import Booked, Said, contradiction
from shared.money import Money

USER, INVOICE, REFUND = UUID(int=1), UUID(int=2), UUID(int=3)
SAID = Said(USER, INVOICE, "succeeded", Money(49900), Money(49900), Money(0), {})
BOOKED = Booked(USER, INVOICE, Money(49900), {}, Money(49900))
REFUNDED = replace(
    SAID, status="partially_refunded", refunded=Money(9900), refunds={REFUND: Money(9900)}
)  # fmt: skip


@pytest.mark.parametrize(
    ("said", "booked", "rule"),
    [
        (replace(REFUNDED, refunded=Money(9800)), None, "refunds-do-not-add-up"),
        (replace(REFUNDED, captured=Money(9800)), None, "refunded-more-than-captured"),
        (replace(SAID, captured=Money(0)), None, "succeeded-without-money"),
        (replace(SAID, status="failed"), None, "failed-with-money"),
        (replace(SAID, user_id=UUID(int=9)), BOOKED, "of-another-user"),
        (replace(SAID, invoice_id=UUID(int=9)), BOOKED, "of-another-invoice"),
        (replace(SAID, invoice_id=None), BOOKED, "of-another-invoice"),
        (replace(SAID, captured=Money(50000)), BOOKED, "captured-differs-from-posted"),
        (replace(SAID, captured=Money(49900, "USD")), BOOKED, "captured-differs-from-posted"),
        (replace(SAID, status="processing", captured=Money(0)), BOOKED, "captured-differs-from-posted"),
        (SAID, replace(BOOKED, refunds={REFUND: Money(9900)}), "posted-refund-differs"),
        (REFUNDED, replace(BOOKED, refunds={REFUND: Money(9800)}), "posted-refund-differs"),
        (SAID, replace(BOOKED, posted=None, asked=Money(49800)), "amount-not-asked-for"),
    ],
)
def test_contradictions(said: Said, booked: Booked | None, rule: str) -> None:
    assert contradiction(said, booked) == rule


@pytest.mark.parametrize(
    ("said", "booked"),
    [
        (SAID, None),
        (SAID, BOOKED),
        (REFUNDED, BOOKED),
        (SAID, replace(BOOKED, posted=None)),
        (SAID, replace(BOOKED, invoice_id=None)),
        (replace(SAID, status="failed", captured=Money(0)), replace(BOOKED, posted=None)),
        (
            replace(SAID, status="cancelled", refunded=Money(49900), refunds={REFUND: Money(49900)}),
            replace(BOOKED, refunds={REFUND: Money(49900)}),
        ),
    ],
)
def test_news_is_no_contradiction(said: Said, booked: Booked | None) -> None:
    assert contradiction(said, booked) is None
