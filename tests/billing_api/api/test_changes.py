"""Change of product, pause and resume over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from shared.ids import new_id
from tests.billing_api.api.conftest import Callers
from tests.billing_api.api.test_problems import problem
from tests.billing_api.api.test_subscriptions import answer, count, order, publish

pytestmark = pytest.mark.usefixtures("billing")
ROOT = "/internal/v1/subscriptions"


@pytest.fixture
def trial(callers: Callers) -> Any:
    """A running trial: active without any payment, so changes carry themselves out."""
    body = order(callers, publish(trial_days=14))
    started = callers.post(ROOT, body)
    return answer(started, 201)["subscription"]


def test_a_preview_writes_nothing_and_the_change_is_answered_whole(callers: Callers, trial: Any) -> None:
    premium = publish(79900)
    path = f"{ROOT}/{trial['id']}/change-product"
    body = {"product_id": str(premium.product_id)}
    seen = answer(callers.post(path, body | {"preview": True}), 200)
    assert seen["quote"]["amount_due"] == {"amount": 0, "currency": "RUB"}
    assert seen["quote"]["next_total"]["amount"] == 79900
    assert (seen["quote"]["timing"], seen["invoice"]) == ("now", None)
    assert (seen["subscription"]["product_id"], count("PendingChange")) == (trial["product_id"], 0)
    key = str(new_id())
    done = answer(callers.post(path, body, key=key), 200)
    assert done["subscription"]["product_id"] == str(premium.product_id)
    assert answer(callers.post(path, body, key=key), 200) == done
    problem(callers.post(path, body), 409, "product-unchanged")
    assert count("PendingChange") == 1


def test_bodies_of_another_shape_and_unknown_ones_are_refused(callers: Callers, trial: Any) -> None:
    path = f"{ROOT}/{trial['id']}/change-product"
    assert callers.post(path, {}).status_code == 422
    assert callers.post(path, {"product_id": "x"}).status_code == 422
    missing = {"product_id": str(new_id())}
    problem(callers.post(f"{ROOT}/{new_id()}/change-product", missing), 404, "subscription-not-found")
    for command in ("pause", "resume"):
        assert callers.post(f"{ROOT}/{trial['id']}/{command}", {}).status_code == 409
        assert callers.post(f"{ROOT}/{new_id()}/{command}", {}).status_code == 404
    assert answer(callers.post(f"{ROOT}/{trial['id']}/abandon-change", {}), 200)["subscription"]
