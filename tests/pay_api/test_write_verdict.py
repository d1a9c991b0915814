"""Late money while another payment takes its invoice: the write is made again and sees the other one."""

from __future__ import annotations

from uuid import UUID

import asyncpg
import pytest
from sqlalchemy.exc import IntegrityError

from pay_api import repository
from pay_api.pay_service import write_verdict
from pay_api.pay_service.context import Context
from pay_api.providers.base import Succeeded
from shared.ids import new_id
from tests.pay_api.conftest import OK_3DS, Pay, event_types
from tests.pay_api.test_webhooks import attempt_of


async def closed_payment(pay: Pay, db: asyncpg.Pool) -> tuple[dict[str, str], UUID, Succeeded]:
    """One whose invoice is free again, its attempt, and the news that its money was taken after all."""
    view = await pay.pay(OK_3DS, "action_required")
    attempt = await attempt_of(db, view)
    cancellation = {"cancellation_id": str(new_id()), "reason": "another card"}
    await pay.post(f"/v1/payments/{view['id']}/cancel", cancellation)
    paid = Succeeded(attempt["transaction_id"], 49_900, "RUB", view["user_id"], test_mode=True)
    return view, attempt["id"], paid


class Rival:
    """Pays the invoice between the look for another payment and the write, so often as told."""

    def __init__(self, pay: Pay, view: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.pay, self.view, self.looks = pay, view, 0
        self.rival_id = ""
        self._look = repository.live_payment_of_invoice
        monkeypatch.setattr(repository, "live_payment_of_invoice", self.look)

    async def look(self, *arguments: object, **named: object) -> object:
        found = await self._look(*arguments, **named)  # type: ignore[arg-type]
        self.looks += 1
        if self.looks == 1:
            body = self.pay.body(invoice_id=self.view["invoice_id"], user_id=self.view["user_id"])
            self.rival_id = body["payment_id"]
            assert (await self.pay.start(body)).json()["status"] == "succeeded"
        return found


async def test_it_is_written_again_and_stands_beside_the_rival(
    pay: Pay, ctx: Context, db: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    view, attempt_id, paid = await closed_payment(pay, db)
    rival = Rival(pay, view, monkeypatch)
    await write_verdict.write_verdict(ctx, UUID(view["id"]), attempt_id, paid)
    assert rival.looks == 2
    row = await db.fetchrow("SELECT * FROM payment WHERE id = $1", UUID(view["id"]))
    assert (row["status"], row["late"], row["duplicate"]) == ("succeeded", True, True)
    assert (await event_types(db, view["id"])).count("payment.succeeded") == 1
    assert (await pay.show(rival.rival_id))["status"] == "succeeded"
    (receipt,) = (await pay.show(view["id"]))["receipts"]
    assert (receipt["kind"], receipt["amount"]["amount"]) == ("income", 49_900)


async def test_written_once_only_it_would_be_lost(
    pay: Pay, ctx: Context, db: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The naive twin: the invoice's index refuses the second payment, and the late money stays unwritten."""
    view, attempt_id, paid = await closed_payment(pay, db)
    Rival(pay, view, monkeypatch)
    with pytest.raises(IntegrityError):
        await write_verdict._write(ctx, UUID(view["id"]), attempt_id, paid, "provider-answer")
    assert (await pay.show(view["id"]))["status"] == "cancelled"
