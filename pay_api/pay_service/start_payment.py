"""Starts a payment of an invoice: a customer's is charged at once, a merchant's waits for the worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from pay_api import repository, rows
from pay_api.models import Attempt, Payment, PaymentMethod
from pay_api.pay_service import transitions
from pay_api.pay_service.context import Context
from pay_api.pay_service.first_steps import FirstSteps
from pay_api.pay_service.ladder import next_query_at
from pay_api.pay_service.payment import AttemptStatus
from pay_api.pay_service.write_verdict import Keep, write_first_verdict, write_verdict
from pay_api.providers.base import Charge, MethodKind, Provider, ReceiptLine
from pay_api.providers.registry import DEFAULT
from pay_api.vault import Payer
from shared.errors import AppError, conflict, invalid, unavailable
from shared.failpoints import failpoint
from shared.ids import new_id
from shared.money import Money
from shared.pool import Connection
from shared.queue.messages.payments import PaymentStatus
from shared.writes import Write

# A checkout page lives as long as an invoice of a purchase nobody finished.
CHECKOUT_LIFETIME: Final = timedelta(hours=23)


@dataclass(frozen=True, slots=True)
class StartPayment:
    """What a caller asks for. ``amount`` is the whole sum, VAT included; the receipt's lines add up to it."""

    payment_id: UUID
    invoice_id: UUID | None  # None: no purchase, a card is only checked and saved
    user_id: UUID
    amount: Money
    description: str
    initiator: str  # customer | merchant
    capture: str  # automatic | manual
    payer: Payer
    locale: str
    receipt: tuple[ReceiptLine, ...]
    return_url: str | None
    caller: str
    method_kind: MethodKind
    provider: str = DEFAULT
    card_cryptogram: str | None = field(default=None, repr=False)
    payment_method_id: UUID | None = None
    save_method: bool = False


@dataclass(frozen=True, slots=True)
class Intent:
    """What phase one writes: the payment's first steps, and what is to be sent, if anything is."""

    steps: FirstSteps
    attempt: Attempt | None = None
    charge: Charge | None = None

    @property
    def payment(self) -> Payment:
        return self.steps.payment

    def answer(self, keep: Keep | None) -> list[Write]:
        """What is kept with it when it ends here."""
        return [keep(self.payment)] if keep is not None and self.attempt is None else []


async def start_payment(ctx: Context, command: StartPayment, keep: Keep | None = None) -> bool:
    """Charges; whatever became of it stands in the payment.

    What ``keep`` gives is written in the last transaction, and True says so. It is not when the payment was
    there before, or somebody else moved it while the provider worked: then it has to be read.

    Refuses with ``payment-in-progress``, ``invoice-closed``, ``payment-id-taken`` (409) and
    ``payment-method-unusable``, ``cryptogram-invalid``, ``receipt-mismatch``, ``currency-not-supported``,
    ``initiator-needs-saved-method``, ``provider-not-offered``, ``method-not-offered`` (422) and
    ``provider-unavailable`` (503). A refusal writes nothing. The same payment asked for again is left as
    it is.
    """
    _check(ctx, command)
    intent = await _write_intent(ctx, command, keep)  # phase one: what is about to be sent
    failpoint("pay.create.after_txA_commit")
    if intent is None or intent.charge is None or intent.attempt is None:
        return intent is not None
    outcome = await ctx.providers[command.provider].charge(intent.charge)  # phase two: no transaction is open
    failpoint("pay.charge.after_response_before_txB")
    # Phase three. The general way reads and locks first; nearly always there is no need to.
    written = await write_first_verdict(ctx, intent.payment, intent.attempt, outcome, keep)
    if not written:
        await write_verdict(ctx, command.payment_id, intent.attempt.id, outcome)
    failpoint("pay.charge.after_txB_before_reply")
    return written


def _check(ctx: Context, command: StartPayment) -> None:
    provider = ctx.providers.get(command.provider)
    if provider is None:
        raise invalid("provider-not-offered", "There is no such payment provider here.")
    if command.method_kind not in provider.methods:
        raise invalid("method-not-offered", "This provider does not take payments this way.")
    if command.amount.currency not in provider.currencies:
        raise invalid("currency-not-supported", "Payments in this currency are not taken.")
    if sum(line.amount_minor for line in command.receipt) != command.amount.amount:
        raise invalid("receipt-mismatch", "The lines of the receipt do not add up to the amount.")
    if command.initiator == "merchant" and command.method_kind is not MethodKind.SAVED_METHOD:
        raise invalid("initiator-needs-saved-method", "Without the payer only a saved method can be used.")
    if command.card_cryptogram is not None:
        require_cryptogram(provider, command.card_cryptogram)


def require_cryptogram(provider: Provider, card_cryptogram: str) -> None:
    """Raises ``cryptogram-invalid`` (422)."""
    if not provider.accepts_cryptogram(card_cryptogram):
        raise invalid("cryptogram-invalid", "The card data could not be read. Enter it again.")


def require_taking(provider: Provider) -> None:
    """Raises ``provider-unavailable`` (503) while the provider does not answer: no new attempts then."""
    if not provider.takes_charges():
        raise unavailable(
            "provider-unavailable",
            "The payment provider does not answer just now. Nothing was charged; try again in a minute.",
            30,
        )


async def _write_intent(ctx: Context, command: StartPayment, keep: Keep | None) -> Intent | None:
    """None when the payment is there already."""
    intent = await _write_first_of_invoice(ctx, command, keep)
    if intent is not None:
        return intent
    try:
        return await _write_locked(ctx, command, keep)
    except asyncpg.UniqueViolationError:
        # Late money of an earlier payment took the invoice after it was looked at: now it is seen.
        return await _write_locked(ctx, command, keep)


async def _write_locked(ctx: Context, command: StartPayment, keep: Keep | None) -> Intent | None:
    intent: Intent | None = None
    async with ctx.pool.transaction() as connection:
        if not await _is_there(ctx, connection, command):
            if command.initiator == "customer":
                require_taking(ctx.providers[command.provider])
            intent = _intent_of(ctx, command, await _method_of(ctx, connection, command))
            await intent.steps.write_new(connection, intent.attempt, *intent.answer(keep))
        failpoint("pay.create.before_txA_commit")
    return intent


async def _write_first_of_invoice(ctx: Context, command: StartPayment, keep: Keep | None) -> Intent | None:
    """One statement, when the invoice is new here and nothing has to be read; None leaves all as it was."""
    if command.invoice_id is None or command.payment_method_id is not None:
        return None
    intent = _intent_of(ctx, command, None)
    if not (intent.steps.fit_one_statement and ctx.providers[command.provider].takes_charges()):
        return None
    failpoint("pay.create.before_txA_commit")
    invoice = rows.invoice_is_new(command.invoice_id, ctx.clock.now())
    try:
        async with ctx.pool.connection() as connection:
            answer = intent.answer(keep)
            written = await intent.steps.write_new(connection, intent.attempt, *answer, guard=invoice)
    except asyncpg.UniqueViolationError:  # the payment's id is known here, with another invoice
        return None
    return intent if written else None


async def _is_there(ctx: Context, connection: Connection, command: StartPayment) -> bool:
    """True for the same payment; raises when its id, or its invoice, is taken or closed."""
    closed_at = None
    if command.invoice_id is not None:
        closed_at = await rows.lock_invoice(connection, command.invoice_id, ctx.clock.now())
    known = await rows.known_payments(connection, command.payment_id, command.invoice_id)
    for existing in known:
        if existing["id"] == command.payment_id:
            _require_same(existing, command)
            return True
    if closed_at is not None:
        raise conflict("invoice-closed", "This invoice takes no more payments.")
    if known:
        raise payment_in_progress(known[0]["id"])
    return False


async def _method_of(ctx: Context, connection: Connection, command: StartPayment) -> PaymentMethod | None:
    if command.payment_method_id is None:
        return None
    found = await rows.method_for_charge(connection, command.payment_method_id)
    return _usable(ctx, found, command.user_id, command.provider)


def _intent_of(ctx: Context, command: StartPayment, method: PaymentMethod | None) -> Intent:
    now = ctx.clock.now()
    payment = _new_payment(ctx, command)
    if method is not None:
        payment.card_mask, payment.card_brand = method.card_mask, method.card_brand
    steps = FirstSteps.of_new(payment, command.caller)
    if command.initiator == "merchant":
        return Intent(steps)
    if command.method_kind is MethodKind.HOSTED:
        payment.awaits_card, payment.expires_at = True, now + CHECKOUT_LIFETIME
        to, reason = PaymentStatus.ACTION_REQUIRED, "checkout opened"
        steps.take(to, actor=command.caller, reason=reason, now=now)
        return Intent(steps)
    attempt = _new_attempt(ctx, payment, method, save_method=payment.save_method)
    steps.take(PaymentStatus.PROCESSING, actor=command.caller, reason="charge", now=now)
    cryptogram = command.card_cryptogram
    charge = charge_of(ctx, payment, attempt, method, card_cryptogram=cryptogram, payer=command.payer)
    return Intent(steps, attempt, charge)


def payment_in_progress(payment_id: UUID) -> AppError:
    return conflict(
        "payment-in-progress",
        "Another payment of this invoice is under way or has succeeded.",
        payment_id=str(payment_id),
    )


def _require_same(existing: Mapping[str, Any], command: StartPayment) -> None:
    same = (
        existing["invoice_id"] == command.invoice_id
        and existing["user_id"] == command.user_id
        and existing["amount_minor"] == command.amount.amount
        and existing["currency"] == command.amount.currency
    )
    if not same:
        raise conflict("payment-id-taken", "Another payment has this id.")


async def usable_method(ctx: Context, session: AsyncSession, payment: Payment) -> PaymentMethod:
    """The payment's saved method under a share lock; raises ``payment-method-unusable`` (422)."""
    assert payment.payment_method_id is not None
    found = await repository.method_for_charge(session, payment.payment_method_id)
    return _usable(ctx, found, payment.user_id, payment.provider)


def _usable(ctx: Context, method: PaymentMethod | None, user_id: UUID, provider_name: str) -> PaymentMethod:
    """The token is the provider's who gave it, and of that terminal: it goes to nobody else."""
    provider = ctx.providers.get(provider_name)
    if (
        method is None
        or method.user_id != user_id
        or method.status != "active"
        or method.provider != provider_name
        or provider is None
        or provider.terminal_id != method.terminal_id
    ):
        raise invalid("payment-method-unusable", "This saved payment method cannot be used.")
    return method


def _new_payment(ctx: Context, command: StartPayment) -> Payment:
    now = ctx.clock.now()
    merchant = command.initiator == "merchant"
    return Payment(
        id=command.payment_id,
        invoice_id=command.invoice_id,
        user_id=command.user_id,
        purpose="invoice" if command.invoice_id else "method_verification",
        initiator=command.initiator,
        provider=command.provider,
        status=PaymentStatus.CREATED.value,
        amount_minor=command.amount.amount,
        currency=command.amount.currency,
        captured_minor=0,
        refunded_minor=0,
        settles_invoice=True,
        late=False,
        duplicate=False,
        awaits_card=False,
        capture=command.capture,
        method_kind=command.method_kind.value,
        payment_method_id=command.payment_method_id,
        save_method=command.save_method,
        description=command.description,
        locale=command.locale,
        payer_encrypted=ctx.vault.seal_payer(command.payer),
        receipt={"lines": [_line_json(line) for line in command.receipt]},
        return_url=command.return_url,
        caller=command.caller,
        next_charge_at=now if merchant else None,
        created_at=now,
        updated_at=now,
    )


def _line_json(line: ReceiptLine) -> list[str | int | None]:
    return [line.label, line.quantity, line.amount_minor, line.vat_rate_bp]


async def begin_attempt(
    ctx: Context,
    session: AsyncSession,
    payment: Payment,
    method: PaymentMethod | None,
    actor: str,
    *,
    save_method: bool = False,
) -> Attempt:
    """A new attempt of a payment that waits for one; it is ``processing`` from now on.

    ``save_method``: the payer asks for it now; what was asked when the payment was made holds anyway.
    """
    now = ctx.clock.now()
    attempt = _new_attempt(ctx, payment, method, save_method=payment.save_method or save_method)
    session.add(attempt)
    payment.next_charge_at = None
    await transitions.step(session, payment, PaymentStatus.PROCESSING, actor=actor, reason="charge", now=now)
    return attempt


def _new_attempt(
    ctx: Context, payment: Payment, method: PaymentMethod | None, *, save_method: bool
) -> Attempt:
    now = ctx.clock.now()
    return Attempt(
        id=new_id(),
        payment_id=payment.id,
        status=AttemptStatus.STARTED.value,
        provider=payment.provider,
        terminal_id=ctx.providers[payment.provider].terminal_id,
        payment_method_id=method.id if method else None,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        save_method=save_method,
        # From here on a byte may have left us: a crash leaves it to the reconciler, which asks first.
        first_sent_at=now,
        last_sent_at=now,
        next_query_at=next_query_at(now, now),
        created_at=now,
    )


def charge_of(
    ctx: Context,
    payment: Payment,
    attempt: Attempt,
    method: PaymentMethod | None,
    *,
    card_cryptogram: str | None = None,
    cardholder_name: str | None = None,
    payer: Payer | None = None,
) -> Charge:
    """The provider call of an attempt; the cryptogram lives only here, it is never stored.

    ``payer``: when it is known already; else it is decrypted.
    """
    payer = payer or ctx.vault.open_payer(payment.payer_encrypted)
    return Charge(
        attempt_id=attempt.id,
        payment_id=payment.id,
        user_id=payment.user_id,
        amount_minor=attempt.amount_minor,
        currency=attempt.currency,
        description=payment.description,
        locale=payment.locale,
        email=payer.email,
        ip=payer.ip,
        hold=payment.capture == "manual",
        receipt=tuple(ReceiptLine(*line) for line in payment.receipt["lines"]),
        merchant_initiated=payment.initiator == "merchant",
        card_cryptogram=card_cryptogram,
        cardholder_name=cardholder_name or payer.cardholder_name,
        save_method=attempt.save_method,
        token=ctx.vault.open(method.token_encrypted) if method else None,
        invoice_id=payment.invoice_id,
    )
