"""Saves a card without a purchase: a hold of 1.00 that is given back as soon as it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from pay_api.pay_service.context import Context
from pay_api.pay_service.expire_payments import expire_payment
from pay_api.pay_service.start_payment import StartPayment, start_payment
from pay_api.providers.base import MethodKind, ReceiptLine
from pay_api.vault import Payer
from shared.money import Money

AMOUNT: Final = Money(100, "RUB")
_DESCRIPTIONS: Final = {
    "ru": "Проверка карты, деньги сразу вернутся",
    "en": "Card check, the money comes back at once",
}


@dataclass(frozen=True, slots=True)
class AddMethod:
    """The payer's card; ``card_cryptogram`` is never stored."""

    payment_id: UUID
    user_id: UUID
    card_cryptogram: str = field(repr=False)
    payer: Payer
    locale: str
    return_url: str | None
    caller: str


async def add_method(ctx: Context, command: AddMethod) -> None:
    """The payment of purpose ``method_verification``; it ends ``cancelled`` with its method saved.

    3-D Secure leaves it ``action_required``; once passed, the hold is given back the same way. Refuses as
    ``start_payment`` does.
    """
    description = _DESCRIPTIONS[command.locale]
    await start_payment(
        ctx,
        StartPayment(
            payment_id=command.payment_id,
            invoice_id=None,
            user_id=command.user_id,
            amount=AMOUNT,
            description=description,
            initiator="customer",
            capture="manual",
            payer=command.payer,
            locale=command.locale,
            receipt=(ReceiptLine(description, 1, AMOUNT.amount, None),),
            return_url=command.return_url,
            caller=command.caller,
            method_kind=MethodKind.CARD_CRYPTOGRAM,
            card_cryptogram=command.card_cryptogram,
            save_method=True,
        ),
    )
    await expire_payment(ctx, command.payment_id)
