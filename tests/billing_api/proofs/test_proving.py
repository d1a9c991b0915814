"""billing-worker proves the ledger by itself and says so in a metric."""

from __future__ import annotations

import asyncio

from tests.billing_api.commands.test_staff import bought


async def test_a_hand_edited_row_reaches_the_metric(world, superuser) -> None:
    from billing_api.proving import BROKEN, PROVED, Prover

    await asyncio.to_thread(bought, world)

    async def proved() -> tuple[float, float]:
        stop = asyncio.Event()
        running = asyncio.create_task(Prover(0.01, 3600).run(stop))
        PROVED.set(-1)
        async with asyncio.timeout(10):
            while PROVED._value.get() < 0:  # noqa: ASYNC110 - a gauge tells nobody
                await asyncio.sleep(0.01)
        stop.set()
        await running
        return PROVED._value.get(), BROKEN._value.get()

    assert await proved() == (2, 0)
    superuser.execute(
        "UPDATE ledger_entry SET amount_minor = amount_minor - 1 WHERE ledger_account = 'customer'"
    )
    assert await proved() == (2, 1)
