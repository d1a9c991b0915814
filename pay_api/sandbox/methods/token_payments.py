"""Payments by a saved card, in one stage or two; nobody is there to pass 3-D Secure."""

from __future__ import annotations

from pay_api.sandbox import cards, under_way
from pay_api.sandbox.envelope import Answer
from pay_api.sandbox.parameters import Parameters, Refused
from pay_api.sandbox.reasons import APPROVED, EXPIRED_CARD
from pay_api.sandbox.registry import answers
from pay_api.sandbox.terminal import Call
from pay_api.sandbox.transaction import TransactionType, put_card


@answers("payments/tokens/charge", "payments/tokens/auth")
async def pay_by_token(call: Call) -> Answer:
    """Charges or holds by the token of a saved card."""
    read, terminal = call.parameters, call.terminal
    amount = read.amount()
    account_id = read.required_text("AccountId")
    token = read.required_text("Token")
    initiator = _initiator(read, required=terminal.settings.sandbox_require_initiator)
    card = terminal.store.card(token, account_id)
    if card is None:
        raise Refused("Token not found")
    transaction = call.new_transaction(TransactionType.PAYMENT, amount.minor, amount.currency)
    transaction.initiator_code = initiator
    transaction.payment_scheduled = read.integer("PaymentScheduled")
    put_card(transaction, card)
    refusal = await call.checked(transaction)
    if card.is_account and refusal == APPROVED:
        return under_way.begin(call, transaction)  # of SBP: it ends by Pay or Fail
    if refusal == APPROVED:
        expired = cards.is_expired(card.exp_date, terminal.clock.now())
        refusal = EXPIRED_CARD if expired else card.reason_code
    return call.authorise(transaction, refusal)


def _initiator(read: Parameters, *, required: bool) -> int | None:
    code = read.integer("TrInitiatorCode")
    if code is None and required:
        raise Refused("TrInitiatorCode is required")
    if code not in (None, 0, 1):
        raise Refused("Invalid TrInitiatorCode value")
    return code
