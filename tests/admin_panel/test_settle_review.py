"""Money in doubt in the panel: a review is ended, a refund nobody knows the end of is settled."""

from __future__ import annotations

import pytest

from shared.ids import new_id
from tests.admin_panel.conftest import BILLING, Panel, StaffClient
from tests.admin_panel.test_by_hand import (  # noqa: F401
    REFUND_CONFIRMED,
    FakeUserApi,
    audit,
    fake_user_api,
)

REVIEWED = "review-settlements"


@pytest.fixture
def user_api(panel: Panel, fake_user_api: FakeUserApi) -> FakeUserApi:  # noqa: F811
    fake_user_api.begin(panel.world["doubted_payment_id"])
    fake_user_api.payment |= {"status": "needs_review", "review_reason": "mismatch: amount"}
    return fake_user_api


@pytest.fixture
def finance(panel: Panel, user_api: FakeUserApi) -> StaffClient:
    client = StaffClient(panel.start(USER_API_URL=user_api.url))
    assert client.log_in("finance").status_code == 200
    return client


def test_a_review_is_found_previewed_and_ended_once(
    panel: Panel, user_api: FakeUserApi, finance: StaffClient
) -> None:
    payment_id = panel.world["doubted_payment_id"]
    listed = finance.get(f"{BILLING}/payment/?status=needs_review")
    assert payment_id in listed.text
    assert panel.world["payment_id"] not in listed.text
    assert "settle-review" in finance.get(f"{BILLING}/payment/{payment_id}/change/").text
    path = f"{BILLING}/payment/{payment_id}/settle-review/"
    values = {"finding": "paid", "amount": "498.00", "transaction": "", "reason": "cabinet, 12 May"}
    preview, sent = finance.act(path, values)
    assert preview.status_code == 200, preview.text[-2000:]
    for shown in ("mismatch: amount", "498.00", "499.00", "the part is posted", "it cannot be undone"):
        assert shown in preview.text
    assert user_api.orders() == []
    before = len(audit(panel, "settle_review"))
    # UserAPI does it, its answer is lost: confirmed once more, it counts once and is noted once.
    user_api.is_deaf = True
    assert "nothing happens twice" in finance.post(preview, sent | {"confirm": "1"}).text
    user_api.is_deaf = False
    for _ in range(2):
        finance.post(preview, sent | {"confirm": "1"})
    ((order, body),) = user_api.orders()
    amount = {"amount": 49_800, "currency": "RUB"}
    assert (order, body) == (
        REVIEWED,
        {"finding": "paid", "amount": amount, "reason": "cabinet, 12 May", "actor": "finance"},
    )
    (row,) = audit(panel, "settle_review")[before:]
    assert row == ("finance", "cabinet, 12 May", {"confirmed": amount, "finding": "paid"})


def test_what_is_refused(panel: Panel, user_api: FakeUserApi, finance: StaffClient) -> None:
    path = f"{BILLING}/payment/{panel.world['doubted_payment_id']}/settle-review/"
    for values, code in (
        ({"finding": "paid", "amount": "499.01"}, "more than the payment asks for"),
        ({"finding": "declined", "amount": "1.00"}, "amount-without-payment"),
        ({"finding": "lost"}, "lost"),
        ({"finding": "paid", "transaction": "12a"}, "Digits only"),
        ({"finding": "paid", "reason": "x"}, "at least 3"),
    ):
        refused, _ = finance.act(path, {"reason": "a reason", **values})
        assert (refused.status_code, code in refused.text) == (422, True), values
    user_api.payment["status"] = "succeeded"
    over, _ = finance.act(path, {"finding": "voided", "reason": "a second time"})
    assert (over.status_code, "not under review any more" in over.text) == (422, True)
    assert user_api.orders() == []


def test_of_several_transactions_the_person_names_one(
    panel: Panel, user_api: FakeUserApi, finance: StaffClient
) -> None:
    user_api.payment["review_reason"] = "mismatch: money of an attempt that had ended: 0b7c (5550001)"
    path = f"{BILLING}/payment/{panel.world['doubted_payment_id']}/settle-review/"
    preview, sent = finance.act(path, {"finding": "paid", "transaction": "", "reason": "the cabinet"})
    assert "had ended: 0b7c (5550001)" in preview.text
    user_api.refuses_with = "transaction-needed"
    for language, words in (("en", "transaction you speak of"), ("ru", "укажите транзакцию провайдера")):
        finance.http.headers["Accept-Language"] = language
        assert words in finance.post(preview, sent | {"confirm": "1"}).text
    user_api.refuses_with = None
    preview, sent = finance.act(path, {"finding": "paid", "transaction": "5550001", "reason": "the cabinet"})
    assert preview.text.count("5550001") > 1
    finance.post(preview, sent | {"confirm": "1"})
    ((_, body),) = user_api.orders()
    assert body["transaction_id"] == "5550001"


def test_the_pages_are_in_russian_too(panel: Panel, user_api: FakeUserApi, finance: StaffClient) -> None:
    finance.http.headers["Accept-Language"] = "ru"
    payment_id = panel.world["doubted_payment_id"]
    page = finance.get(f"{BILLING}/payment/{payment_id}/settle-review/").text
    for words in ("Завершить проверку", "деньги списаны", "Транзакция провайдера"):
        assert words in page
    page = finance.get(f"{BILLING}/payment/{payment_id}/confirm-refund/").text
    for words in ("Закрыть возврат вручную", "деньги не отправлены"):
        assert words in page
    finding = finance.get(f"{BILLING}/reviewitem/?kind=refund_unknown").text
    assert "неизвестно, отправлен ли возврат" in finding


def test_a_refund_that_was_not_sent_is_free_to_be_ordered_anew(
    panel: Panel, user_api: FakeUserApi, finance: StaffClient
) -> None:
    payment_id, refund_id = panel.world["doubted_payment_id"], str(new_id())
    rub = {"currency": "RUB"}
    user_api.payment |= {"status": "succeeded", "captured": {"amount": 49_900} | rub}
    user_api.payment["refunds"] = [
        {
            "id": refund_id,
            "amount": {"amount": 10_000} | rub,
            "status": "unknown",
            "waits_for_person": True,
            "reason": "asked",
        }
    ]
    path = f"{BILLING}/payment/{payment_id}/confirm-refund/"
    values = {"refund": refund_id, "finding": "not_sent", "reason": "not in the cabinet"}
    preview, sent = finance.act(path, values)
    assert preview.status_code == 200, preview.text[-2000:]
    for shown in ("100.00", "refund the payment anew", "This cannot be undone"):
        assert shown in preview.text
    before = len(audit(panel, "confirm_refund"))
    finance.post(preview, sent | {"confirm": "1"})
    assert "already confirmed" in finance.post(preview, sent | {"confirm": "1"}).text
    ((order, body),) = user_api.orders()
    assert (order, body["finding"], body["refund_id"]) == (REFUND_CONFIRMED, "not_sent", refund_id)
    (row,) = audit(panel, "confirm_refund")[before:]
    assert row[2] == {"confirmed": {"amount": 10_000} | rub, "finding": "not_sent"}
