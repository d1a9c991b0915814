"""Payments by a card cryptogram, in one stage or two, and their end after 3-D Secure."""

from __future__ import annotations

from pay_api.sandbox import cards, threeds
from pay_api.sandbox.cryptogram import Card, UnreadableCryptogram
from pay_api.sandbox.envelope import Answer, challenged, declined, succeeded
from pay_api.sandbox.parameters import Refused
from pay_api.sandbox.reasons import APPROVED, AUTHENTICATION_FAILED
from pay_api.sandbox.recurrence import start_from_payment
from pay_api.sandbox.registry import OpenBy, answers
from pay_api.sandbox.terminal import Call
from pay_api.sandbox.transaction import Status, Transaction, TransactionType


@answers("payments/cards/charge", "payments/cards/auth", open_by=OpenBy("publicId", in_query=True))
async def pay_by_card(call: Call) -> Answer:
    """Charges or holds; answers a challenge when the card needs 3-D Secure."""
    transaction, card = _read(call)
    behaviour = cards.behaviour_of(card.pan)
    reason_code = cards.refusal(card, call.terminal.clock.now())
    refusal = await call.checked(transaction)
    if refusal != APPROVED:
        return call.authorise(transaction, refusal)
    if not behaviour.needs_3ds:
        return _authorise(call, transaction, reason_code)
    transaction.status = Status.AWAITING_AUTHENTICATION
    transaction.awaited_reason_code = reason_code
    settings = call.terminal.settings
    challenge = threeds.challenge(transaction, settings.acs_url, settings.sandbox_merchant_name)
    transaction.callback_id = challenge["ThreeDsCallbackId"]
    call.terminal.store.save(transaction)
    return challenged(challenge)


def _read(call: Call) -> tuple[Transaction, Card]:
    read, terminal = call.parameters, call.terminal
    amount = read.amount()
    read.required_text("IpAddress")
    packet = read.required_text("CardCryptogramPacket")
    try:
        card = terminal.key.open(packet, terminal.settings.sandbox_public_id)
    except UnreadableCryptogram as error:
        raise Refused("Invalid CardCryptogramPacket value") from error
    transaction = call.new_transaction(TransactionType.PAYMENT, amount.minor, amount.currency)
    transaction.card_first_six = card.first_six
    transaction.card_last_four = card.last_four
    transaction.card_exp_date = card.exp_date
    transaction.card_type, transaction.card_type_code = cards.network_of(card.first_six)
    transaction.token_reason_code = cards.behaviour_of(card.pan).token_reason_code
    transaction.save_card = read.flag("SaveCard") or terminal.settings.sandbox_force_save_card
    return transaction, card


@answers("payments/cards/post3ds")
async def finish_3ds(call: Call) -> Answer:
    """Authorises after the issuer's page. Asked again, it tells the state reached and does nothing more."""
    transaction = call.transaction()
    pares = call.parameters.required_text("PaRes")
    if transaction.status is not Status.AWAITING_AUTHENTICATION:
        model = call.terminal.model(transaction)
        return succeeded(model) if transaction.succeeded else declined(model)
    if not threeds.is_confirmed(pares, transaction.id, call.terminal.settings.api_secret):
        return call.authorise(transaction, AUTHENTICATION_FAILED)
    return _authorise(call, transaction, transaction.awaited_reason_code)


def _authorise(call: Call, transaction: Transaction, reason_code: int) -> Answer:
    if (call.forced_reason_code or reason_code) == APPROVED:
        start_from_payment(call, transaction)  # its Pay already carries the subscription
    return call.authorise(transaction, reason_code)
