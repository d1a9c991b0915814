"""Adjustments over HTTP: the operator alone, once per key, previewed without a write, kept in the audit."""

from __future__ import annotations

from typing import Any

import pytest

from shared.ids import new_id
from tests.billing_api.api.conftest import OPERATOR_TOKEN, SERVICE_TOKEN, Callers
from tests.servers import DatabaseUrls

WHY = {"reason": "a mistake of ours", "actor": "olga"}


@pytest.fixture
def bought(callers: Callers, billing: DatabaseUrls) -> dict[str, Any]:
    """A paid subscription: ids by name."""
    from tests.billing_api.commands.world import World

    world = World(callers.clock.now())
    anna = world.customer(callers.user_id)
    started = world.buy(anna)
    state = world.pay(started, anna)
    film = world.buy(anna, world.film)
    return {
        "world": world,
        "user": anna.user_id,
        "subscription": started.subscription_id,
        "invoice": started.invoice_id,
        "payment": state.payment_id,
        "open": film.invoice_id,
    }


# path, body besides who and why, what the answer says
DEEDS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("invoices/{invoice}/adjustments", {"change": -5000}, {"number": "CN-2026-000001"}),
    ("invoices/{invoice}/adjustments", {"change": 5000}, {"document": "charge", "number": "2026-000003"}),
    ("invoices/{open}/write-off", {}, {"status": "uncollectible"}),
    ("invoices/{open}/void", {}, {"state": "closing"}),
    ("payments/{payment}/refunds", {"amount": 10000}, {"left": {"amount": 39900, "currency": "RUB"}}),
    ("accounts/{user}/goodwill", {"amount": 3000}, {"balance_after": {"amount": -26900, "currency": "RUB"}}),
    ("subscriptions/{subscription}/extend", {"days": 5}, {"access_until_after": "2026-05-18T21:00:00Z"}),
]  # fmt: skip


def body_of(given: dict[str, Any]) -> dict[str, Any]:
    return WHY | {
        name: value if name == "days" else {"amount": value, "currency": "RUB"}
        for name, value in given.items()
    }


@pytest.mark.parametrize(("path", "given", "answer"), DEEDS)
def test_each_adjustment(
    callers: Callers, bought: dict[str, Any], path: str, given: Any, answer: Any
) -> None:
    from billing_api.billing_service.models import AuditRecord, LedgerEntry, OutgoingOrder

    address = f"/internal/v1/{path.format(**bought)}"
    body, key = body_of(given), str(new_id())
    assert callers.post(address, body, token=SERVICE_TOKEN).status_code == 403
    before = (LedgerEntry.objects.count(), OutgoingOrder.objects.count())
    shown = callers.post(address, body | {"preview": True}, token=OPERATOR_TOKEN)
    assert shown.status_code == 200, shown.content
    assert (LedgerEntry.objects.count(), OutgoingOrder.objects.count()) == before
    assert not AuditRecord.objects.exists()

    done = callers.post(address, body, key, token=OPERATOR_TOKEN)
    assert done.status_code == 201, done.content
    assert {name: done.json()[name] for name in answer} == answer
    for figure in ("balance_after", "amount", "left", "access_until_after"):
        assert shown.json().get(figure) == done.json().get(figure)
    record = AuditRecord.objects.get()
    assert (record.actor_kind, record.actor_id, record.reason) == ("staff", "olga", "a mistake of ours")
    after = (LedgerEntry.objects.count(), OutgoingOrder.objects.count())
    assert "extend" in path or after != before

    again = callers.post(address, body, key, token=OPERATOR_TOKEN)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == done.json()
    assert (LedgerEntry.objects.count(), OutgoingOrder.objects.count()) == after


def test_what_is_refused(callers: Callers, bought: dict[str, Any]) -> None:
    def answer(path: str, body: dict[str, Any], **more: Any) -> tuple[int, str]:
        got = callers.post(
            f"/internal/v1/{path.format(**bought)}", body, token=OPERATOR_TOKEN, **more
        )  # fmt: skip
        return got.status_code, got.json()["type"].removeprefix("/problems/")

    rubles = {"amount": 60000, "currency": "RUB"}
    assert answer("payments/{payment}/refunds", WHY | {"amount": rubles}) == (409, "refund-exceeds-payment")
    minus = {"amount": -60000, "currency": "RUB"}
    assert answer("invoices/{invoice}/adjustments", WHY | {"change": minus}) == (
        409,
        "credit-exceeds-invoice",
    )
    assert answer("invoices/{invoice}/write-off", WHY) == (409, "invoice-not-open")
    assert answer("accounts/{user}/goodwill", {"amount": rubles, "actor": "olga"}) == (422, "invalid-request")
    assert answer("subscriptions/{subscription}/extend", WHY | {"days": 367}) == (422, "invalid-request")
    assert answer("subscriptions/{subscription}/bill-again", WHY) == (409, "subscription-not-set-aside")
    assert answer(f"invoices/{new_id()}/write-off", WHY) == (404, "invoice-not-found")
    assert answer("invoices/{open}/write-off", WHY, key=None) == (400, "idempotency-key-missing")


def test_a_subscription_that_was_set_aside_is_billed_again(
    callers: Callers, bought: dict[str, Any], superuser: Any
) -> None:
    """Three failures set it aside; released, the next run bills every missed period."""
    from billing_api.billing_service.models import ReviewItem, Subscription
    from tests.billing_api.commands.test_renewing import run

    world = bought["world"]
    superuser.execute("UPDATE subscription SET interval_unit = 'century' WHERE kind = 'recurring'")
    world.pass_time(days=31)
    for _ in range(3):
        assert run(world)[1] == 0
    assert run(world) == (None, 0)
    assert ReviewItem.objects.get(kind="billing_set_aside").resolved_at is None
    superuser.execute("UPDATE subscription SET interval_unit = 'month' WHERE kind = 'recurring'")
    world.pass_time(days=31)
    assert run(world) == (None, 0), "mended, but still set aside"
    done = callers.post(
        f"/internal/v1/subscriptions/{bought['subscription']}/bill-again", WHY, token=OPERATOR_TOKEN
    )
    assert done.status_code == 201
    assert done.json()["failures"] == 3
    assert "century" in done.json()["last_error"]
    assert ReviewItem.objects.get(kind="billing_set_aside").resolved_at is not None
    assert Subscription.objects.get(kind="recurring").billing_failures == 0
    assert run(world)[1] == 2
    # Failing anew, it is set aside and reported anew.
    superuser.execute("UPDATE subscription SET interval_unit = 'century' WHERE kind = 'recurring'")
    world.pass_time(days=31)
    for _ in range(3):
        run(world)
    assert run(world) == (None, 0)
    assert ReviewItem.objects.get(kind="billing_set_aside").resolved_at is None
