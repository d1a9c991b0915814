"""All orders of the news of one payment, through the real handler, commands and Postgres.

Each story really happens at the provider (its oracle says what); only the order in which it is heard varies:
our own answer, notifications over HTTP, the reconciler. After every step the payment must be as the news
heard so far make it, whatever their order: every shorter order is the beginning of one.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Final

import asyncpg
import pytest

from pay_api.pay_service import settle_attempt
from pay_api.pay_service import start_payment as starting
from pay_api.pay_service.context import Context
from pay_api.pay_service.payment import EDGES, Move, Seen, Stay
from pay_api.pay_service.start_payment import StartPayment
from pay_api.pay_service.write_verdict import write_first_verdict
from pay_api.providers.base import MethodKind, ReceiptLine
from pay_api.vault import Payer
from shared.ids import new_id
from shared.money import Money
from shared.queue.messages.payments import PaymentStatus as Status
from tests.pay_api.conftest import Pay, event_types
from tests.pay_api.stories import AMOUNT, NEWS, PART, PROVIDER, STORIES, Story, Told

AT_ONCE: Final = 6
_TOLD_ONCE: Final = {
    Status.SUCCEEDED: "payment.succeeded",
    Status.FAILED: "payment.failed",
    Status.CANCELLED: "payment.cancelled",
    Status.PARTIALLY_REFUNDED: "payment.refunded",
}


async def begun(pay: Pay, ctx: Context, db: asyncpg.Pool, story: Story) -> Told:
    """Phase one is committed and the provider has answered; nobody has written the answer yet."""
    command = StartPayment(
        payment_id=new_id(),
        invoice_id=new_id(),
        user_id=new_id(),
        amount=Money(AMOUNT),
        description="Подписка",
        initiator="customer",
        capture="manual" if story.hold else "automatic",
        payer=Payer("viewer@example.com", "203.0.113.7", None),
        locale="ru",
        receipt=(ReceiptLine("Подписка", 1, AMOUNT, 2000),),
        return_url=None,
        caller="test",
        method_kind=MethodKind.CARD_CRYPTOGRAM,
        card_cryptogram=pay.cryptogram(story.pan),
    )
    intent = await starting._write_intent(ctx, command, None)
    assert intent is not None
    charge, attempt, payment = intent.charge, intent.attempt, intent.payment
    assert charge is not None
    assert attempt is not None
    outcome = await ctx.providers[PROVIDER].charge(charge)
    return Told(
        pay,
        ctx,
        db,
        command.payment_id,
        command.user_id,
        attempt.id,
        outcome,
        lambda: write_first_verdict(ctx, payment, attempt, outcome, None),
        str(getattr(outcome, "transaction_id", "")),
    )


async def play(pay: Pay, ctx: Context, db: asyncpg.Pool, story: Story, order: tuple[str, ...]) -> None:
    told = await begun(pay, ctx, db, story)
    steps = await story.prepare(told)
    for name in order:
        await steps[name]()
        told.heard.append(name)
        await told.apply_waiting()
        row = await told.row()
        assert row["status"] == story.expected(told.heard), (order, told.heard, row["status"])
        assert row["refunded_minor"] <= row["captured_minor"] <= row["amount_minor"] == AMOUNT
    assert tuple(await pay.effects(str(told.user_id))) == story.effects, order
    await _is_consistent(told, await told.row())


async def _is_consistent(told: Told, row: asyncpg.Record) -> None:
    """The history is one lawful way from the beginning to here, and each effect was told exactly once."""
    steps = await told.db.fetch(
        "SELECT from_status, to_status FROM payment_transition WHERE payment_id = $1 ORDER BY id",
        told.payment_id,
    )
    ways = [(step["from_status"], step["to_status"]) for step in steps]
    assert ways[0] == (None, "created")
    assert all(after[0] == before[1] for before, after in itertools.pairwise(ways)), ways
    assert all(Status(to) in EDGES[Status(source)] for source, to in ways[1:]), ways
    assert ways[-1][1] == row["status"]
    told_of = await event_types(told.db, str(told.payment_id))
    assert told_of.count(_TOLD_ONCE[Status(row["status"])]) == 1, (told.heard, told_of)
    assert len(told_of) == len(set(told_of)), (told.heard, told_of)
    refunds = await told.db.fetch(
        "SELECT amount_minor, status FROM payment_refund WHERE payment_id = $1", told.payment_id
    )
    done = [refund["amount_minor"] for refund in refunds if refund["status"] == "succeeded"]
    assert done == ([PART] if row["status"] == Status.PARTIALLY_REFUNDED else [])
    assert len(refunds) == len(done)
    assert row["refunded_minor"] == sum(done)


async def play_all(pay: Pay, ctx: Context, db: asyncpg.Pool, name: str, events: tuple[str, ...]) -> None:
    story, turns = STORIES[name], asyncio.Semaphore(AT_ONCE)
    await pay.fault(kind="suppressed", count=10_000)  # its own notifications: ours come in our order

    async def one(order: tuple[str, ...]) -> None:
        async with turns:
            await play(pay, ctx, db, story, order)

    async with asyncio.TaskGroup() as group:
        for order in itertools.permutations(events):
            group.create_task(one(order))


@pytest.mark.parametrize("name", STORIES)
async def test_every_order_of_three_pieces_of_news(
    pay: Pay, ctx: Context, db: asyncpg.Pool, name: str
) -> None:
    await play_all(pay, ctx, db, name, NEWS[name][:3])


@pytest.mark.long
@pytest.mark.parametrize("name", STORIES)
async def test_every_order_of_five_pieces_of_news(
    pay: Pay, ctx: Context, db: asyncpg.Pool, name: str
) -> None:
    """120 orders of each story; those of four pieces are their beginnings."""
    await play_all(pay, ctx, db, name, (*NEWS[name], STORIES[name].fifth))


async def test_naive_twin_whose_last_word_wins_is_found_out(
    pay: Pay, ctx: Context, db: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old news of a hold, heard after it was given back, makes it held again: these orders show it."""
    said = {Seen.AUTHORIZED: Status.AUTHORIZED, Seen.VOIDED: Status.CANCELLED}

    def decide(status: Status, seen: Seen, **_: bool) -> Move | Stay:
        return Stay() if status is said[seen] else Move(said[seen])

    monkeypatch.setattr(settle_attempt, "decide", decide)
    name = "hold given back at the provider"
    with pytest.raises(ExceptionGroup) as failed:
        await play_all(pay, ctx, db, name, ("answer", "pay", "cancel"))
    assert failed.group_contains(AssertionError, match="authorized")
