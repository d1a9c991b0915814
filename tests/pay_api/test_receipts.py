"""54-FZ receipts: every movement of money orders one, its lines add up to the kopeck, each with its VAT."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pay_api.pay_service import receipts
from pay_api.providers.base import ReceiptLine
from shared.ids import new_id
from tests.pay_api.conftest import OK_3DS, POOR, Pay
from tests.pay_api.test_threeds import bank_answers, challenged, local

LINES: list[tuple[str, int, int, int | None]] = [
    ("Подписка «Премиум»", 1, 30_001, 2200),
    ("Фильм", 3, 19_898, 1000),
    ("Подарок", 1, 1, None),
]


def rub(kopecks: int) -> dict[str, Any]:
    return {"amount": kopecks, "currency": "RUB"}


def three_lines() -> dict[str, Any]:
    return {
        "lines": [
            {"label": label, "quantity": quantity, "amount": rub(amount), "vat_rate_bp": rate}
            for label, quantity, amount, rate in LINES
        ]
    }


async def ordered(pay: Pay, account_id: str) -> list[dict[str, Any]]:
    """Receipts the provider was asked to print for this account; none of them may be wrong."""
    url = f"{pay.house.sandbox_url}/oracle"
    found = (await pay.http.get(url, params={"account_id": account_id})).json()["receipts"]
    for receipt in found:
        assert receipt["error"] is None, receipt
        assert sum(Decimal(str(item["amount"])) for item in receipt["items"]) == Decimal(receipt["total"])
        assert receipt["email"] == "viewer@example.com"
    return list(found)


def told(found: list[dict[str, Any]]) -> list[tuple[str, Decimal]]:
    return [(receipt["type"], Decimal(receipt["total"])) for receipt in found]


async def refund(pay: Pay, payment_id: str, kopecks: int) -> None:
    order = str(new_id())
    body = {"refund_order_id": order, "amount": rub(kopecks), "reason": "asked"}
    answer = await pay.post(f"/v1/payments/{payment_id}/refunds", body, order)
    assert answer.status_code == 201, answer.text


async def test_a_charge_and_its_refunds_in_parts(pay: Pay) -> None:
    view = await pay.pay(receipt=three_lines())
    (income,) = await ordered(pay, view["user_id"])
    assert told([income]) == [("Income", Decimal("499"))]
    assert [(item["label"], item["vat"]) for item in income["items"]] == [
        ("Подписка «Премиум»", 22),
        ("Фильм × 3", 10),  # 198.98 is no whole price three times over
        ("Подарок", None),
    ]
    for kopecks in (10_001, 20_000, 19_899):
        await refund(pay, view["id"], kopecks)
    found = await ordered(pay, view["user_id"])
    assert told(found)[1:] == [
        ("IncomeReturn", Decimal("100.01")),
        ("IncomeReturn", Decimal("200")),
        ("IncomeReturn", Decimal("198.99")),
    ]
    # Together they give back each line exactly, under its own VAT.
    back: dict[int | None, Decimal] = {}
    for receipt in found[1:]:
        for item in receipt["items"]:
            back[item["vat"]] = back.get(item["vat"], Decimal(0)) + Decimal(str(item["amount"]))
    assert back == {22: Decimal("300.01"), 10: Decimal("198.98"), None: Decimal("0.01")}


async def test_a_hold_orders_its_receipt_when_it_is_captured(pay: Pay) -> None:
    view = await pay.pay(expect="authorized", capture="manual", receipt=three_lines())
    assert await ordered(pay, view["user_id"]) == []
    path = f"/v1/payments/{view['id']}/capture"
    assert (await pay.post(path, {"amount": rub(12_345)})).json()["status"] == "succeeded"
    assert told(await ordered(pay, view["user_id"])) == [("Income", Decimal("123.45"))]
    await refund(pay, view["id"], 12_345)
    assert told(await ordered(pay, view["user_id"]))[1:] == [("IncomeReturn", Decimal("123.45"))]


async def test_no_money_no_receipt(pay: Pay) -> None:
    declined = await pay.pay(POOR, "failed")
    voided = await pay.pay(expect="authorized", capture="manual")
    cancellation = {"cancellation_id": str(new_id()), "reason": "changed my mind"}
    await pay.post(f"/v1/payments/{voided['id']}/cancel", cancellation)
    waiting = await pay.pay(OK_3DS, "action_required")
    for view in (declined, voided, waiting):
        assert await ordered(pay, view["user_id"]) == []
    view, page = await challenged(pay)
    term_url, fields = await bank_answers(pay, page.text)
    await pay.http.post(local(pay, term_url), data=fields)
    assert told(await ordered(pay, view["user_id"])) == [("Income", Decimal("499"))]


@pytest.mark.parametrize("manner", ["timeout_after", "http_500_after"])
async def test_a_lost_answer_orders_no_second_receipt(pay: Pay, manner: str) -> None:
    view = await pay.pay()
    await pay.fault(kind=manner, method="payments/refund", manner="close")
    await refund(pay, view["id"], 49_900)
    await pay.until(view["id"], "refunded")  # by its notification
    assert told(await ordered(pay, view["user_id"]))[1:] == [("IncomeReturn", Decimal("499"))]


lines = st.lists(
    st.builds(
        ReceiptLine,
        st.just("x"),
        st.integers(1, 9),
        st.integers(1, 100_000),
        st.sampled_from([None, 0, 1000, 2200]),
    ),
    min_size=1,
    max_size=6,
).map(tuple)


@given(lines, st.data())
def test_parts_add_up_and_give_back_every_line(found: tuple[ReceiptLine, ...], data: st.DataObject) -> None:
    total = sum(line.amount_minor for line in found)
    captured = data.draw(st.integers(1, total))
    captured_lines = receipts.of_capture(found, captured)
    assert sum(line.amount_minor for line in captured_lines) == captured
    assert all(line.amount_minor > 0 for line in captured_lines)
    left, earlier = captured, []
    given_back: dict[int | None, int] = {}
    while left:
        part = data.draw(st.integers(1, left))
        cut = receipts.of_refund(found, captured, earlier, part)
        assert sum(line.amount_minor for line in cut) == part
        assert all(line.amount_minor > 0 for line in cut)
        for line in cut:
            given_back[line.vat_rate_bp] = given_back.get(line.vat_rate_bp, 0) + line.amount_minor
        earlier.append(part)
        left -= part
        if len(earlier) > 20:
            break
    if not left:
        taken: dict[int | None, int] = {}
        for line in captured_lines:
            taken[line.vat_rate_bp] = taken.get(line.vat_rate_bp, 0) + line.amount_minor
        assert given_back == taken


def test_a_whole_capture_keeps_its_lines_as_they_were() -> None:
    whole = tuple(ReceiptLine(*line) for line in LINES)
    assert receipts.of_capture(whole, 49_900) == whole
    assert receipts.of_refund(whole, 49_900, [], 49_900) == whole
    assert receipts.of_refund((), 49_900, [], 100) == ()
