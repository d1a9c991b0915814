"""The saved cards of the terminal."""

from __future__ import annotations

from typing import Final

from pay_api.sandbox.envelope import Answer, succeeded
from pay_api.sandbox.parameters import Refused
from pay_api.sandbox.registry import answers
from pay_api.sandbox.terminal import Call

PAGE_SIZE: Final = 1000


@answers("payments/tokens/list")
async def list_tokens(call: Call) -> Answer:
    """Every token with its account and the card's mask."""
    page = call.parameters.required_integer("PageNumber")
    if page < 1:
        raise Refused("Invalid PageNumber value")
    shown = call.terminal.store.cards()[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    return succeeded(
        [
            {
                "Token": card.token,
                "AccountId": card.account_id,
                "CardMask": f"{card.first_six[:4]} {card.first_six[4:]}****** {card.last_four}",
                "ExpirationDateMonth": int(card.exp_date[:2]),
                "ExpirationDateYear": 2000 + int(card.exp_date[3:]),
            }
            for card in shown
        ]
    )
