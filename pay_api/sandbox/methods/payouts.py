"""Payouts to a card, by its cryptogram or by the token of a saved card, and by SBP to a phone."""

from __future__ import annotations

from pay_api.sandbox import cards, under_way
from pay_api.sandbox.cryptogram import UnreadableCryptogram
from pay_api.sandbox.envelope import Answer
from pay_api.sandbox.parameters import Refused
from pay_api.sandbox.reasons import APPROVED, EXPIRED_CARD
from pay_api.sandbox.registry import answers
from pay_api.sandbox.terminal import Call
from pay_api.sandbox.transaction import Transaction, TransactionType, put_card


def _payout(call: Call) -> Transaction:
    amount = call.parameters.amount()
    return call.new_transaction(TransactionType.PAYOUT, amount.minor, amount.currency)


def _pay_out(call: Call, transaction: Transaction) -> Answer:
    expired = cards.is_expired(transaction.card_exp_date or "", call.terminal.clock.now())
    return call.pay_out(transaction, EXPIRED_CARD if expired else APPROVED)


def _by_token(call: Call) -> Answer:
    read = call.parameters
    account_id, token = read.required_text("AccountId"), read.required_text("Token")
    card = call.terminal.store.card(token, account_id)
    if card is None:
        raise Refused("Token not found")
    transaction = _payout(call)
    put_card(transaction, card)
    return _pay_out(call, transaction)


@answers("payments/token/topup")
async def top_up_by_token(call: Call) -> Answer:
    """Pays out to a saved card."""
    return _by_token(call)


@answers("payments/cards/topup")
async def top_up_card(call: Call) -> Answer:
    """Pays out to the card of a cryptogram (a token is taken too: an older client sends one here)."""
    read, terminal = call.parameters, call.terminal
    if read.text("CardCryptogramPacket") is None and read.text("Token") is not None:
        return _by_token(call)
    packet = read.required_text("CardCryptogramPacket")
    try:
        card = terminal.key.open(packet, terminal.settings.sandbox_public_id)
    except UnreadableCryptogram as error:
        raise Refused("Invalid CardCryptogramPacket value") from error
    transaction = _payout(call)
    transaction.card_first_six, transaction.card_last_four = card.first_six, card.last_four
    transaction.card_exp_date = card.exp_date
    transaction.card_type, transaction.card_type_code = cards.network_of(card.first_six)
    return _pay_out(call, transaction)


@answers("payments/alt/topup")
async def top_up_by_phone(call: Call) -> Answer:
    """Pays out by SBP to the account behind a phone; it is under way first, Pay or Fail tells the end."""
    read = call.parameters
    receiver = read.value("Receiver")
    names = (
        {str(name).lower(): value for name, value in receiver.items()} if isinstance(receiver, dict) else {}
    )
    phone = str(names.get("phone") or "")
    if not phone:
        raise Refused("Receiver is required")
    if not phone.removeprefix("+").isdigit():
        raise Refused("Invalid Phone value")
    if not read.required_text("MemberId").isdigit():
        raise Refused("Invalid MemberId value")
    read.required_text("Currency")
    transaction = _payout(call)
    transaction.payment_method = "Sbp"
    return under_way.begin(call, transaction) | {"ErrorCode": None}
