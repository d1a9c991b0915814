"""The story of one purchase through every service: ``make demo``."""

from __future__ import annotations

import asyncio
import sys
import time

import httpx

from tests.e2e import chapters
from tests.e2e.bus import DataBus
from tests.e2e.customer import Customer
from tests.e2e.stack import Stack
from tests.e2e.staff import adjust_and_discount
from tests.e2e.transcript import StoryBroken, Transcript, money
from tests.e2e.transfers import pay_by_transfer


async def _travel(stack: Stack, transcript: Transcript, days: int) -> None:
    """Moves the suite's clock; beat then finds what is due by itself."""
    transcript.step(f"Time travel: {days} days on, to the period's end")
    headers = {"Authorization": f"Bearer {stack.operator_tokens['user-api']}"}
    async with httpx.AsyncClient(base_url=stack.urls["user_api"], trust_env=False) as http:
        answer = await http.post("/internal/v1/time-travel", json={"days": days}, headers=headers)
        answer.raise_for_status()
    transcript.say(f"the suite's clock says {answer.json()['now']}; beat triggers the billing run")


async def tell(stack: Stack, transcript: Transcript) -> None:
    """The whole story; raises StoryBroken at the first thing that is not as it should be."""
    async with DataBus(stack.urls["amqp"], transcript) as bus:
        alice = Customer("Alice", stack, transcript)
        story = await chapters.open_catalog(stack, bus, transcript, alice)
        boris, clara = story.customer("Boris", "ru"), story.customer("Clara", "ru")
        customers = [alice, boris, clara]
        try:
            await chapters.sign_in(story, alice)
            transcript.step("Alice buys Premium for a month with a promo code")
            bought = await chapters.buy_premium(
                story, alice, chapters.CARD_OK, promo_code=chapters.PROMO_CODE, consent=True
            )
            await chapters.confirm_and_see_access(story, alice, bought)
            boris_bought = await chapters.three_d_secure(story, boris)
            await chapters.buy_film(story, boris)
            await chapters.upgrade(story, boris, boris_bought)
            await chapters.declined_then_other_card(story, clara)
            await chapters.statement(story, alice, "before the renewal")
            await _travel(stack, transcript, 31)
            renewed = await chapters.renewal(story, alice, bought)
            await chapters.renewal(story, boris, boris_bought)
            full_price = bought["invoice"]["lines"][0]["list_amount"]
            transcript.check(
                f"the promo code counted once, the renewal costs {money(full_price)}",
                renewed["total"] == full_price,
                renewed["total"],
            )
            await chapters.cancel_payment(story, alice, renewed)
            await clara.log_in()
            await adjust_and_discount(story, clara)
            await pay_by_transfer(story, clara)
            for customer in customers:
                await chapters.statement(story, customer, "at the end")
            await chapters.everything_is_quiet(story)
            await chapters.reconcile(story, customers)
        finally:
            for customer in customers:
                await customer.aclose()


def main() -> int:
    transcript = Transcript()
    started = time.monotonic()
    try:
        asyncio.run(tell(Stack.from_environment(), transcript))
    except StoryBroken as broken:
        sys.stdout.write(f"\nThe story broke: {broken}\n")
        return 1
    sys.stdout.write(
        f"\nThe story is told: {transcript.checks} checks hold, {time.monotonic() - started:.1f} s.\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
