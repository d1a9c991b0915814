"""Starts a payment of an invoice: a customer's is charged at once, a merchant's waits for the worker."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from pay_api import repository
from pay_api.models import Attempt, Payment, PaymentMethod
from pay_api.pay_service import transitions
from pay_api.pay_service.context import Context
from pay_api.pay_service.ladder import next_query_at
from pay_api.pay_service.payment import AttemptStatus
from pay_api.pay_service.settle_attempt import settle
from pay_api.providers.base import Charge, ChargeOutcome, MethodKind, Provider, ReceiptLine
from pay_api.providers.registry import DEFAULT
from pay_api.vault import Payer
from shared.errors import AppError, conflict, invalid, unavailable
from shared.failpoints import failpoint
from shared.ids import new_id
from shared.money import Money
from shared.queue.messages.payments import PaymentStatus

ACTOR: Final = "provider-answer"
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


async def start_payment(ctx: Context, command: StartPayment) -> UUID:
    """Charges and gives the payment's id; whatever became of it stands in the payment.

    Refuses with ``payment-in-progress``, ``invoice-closed``, ``payment-id-taken`` (409) and
    ``payment-method-unusable``, ``cryptogram-invalid``, ``receipt-mismatch``, ``currency-not-supported``,
    ``initiator-needs-saved-method``, ``provider-not-offered``, ``method-not-offered`` (422) and
    ``provider-unavailable`` (503). A refusal writes nothing. The same payment asked for again is left as
    it is.
    """
    _check(ctx, command)
    async with ctx.sessions.begin() as session:  # phase one: what is about to be sent
        charge = await _write_intent(ctx, session, command)
        failpoint("pay.create.before_txA_commit")
    failpoint("pay.create.after_txA_commit")
    if charge is None:
        return command.payment_id
    outcome = await ctx.providers[command.provider].charge(charge)  # phase two: no transaction is open
    failpoint("pay.charge.after_response_before_txB")
    await write_verdict(ctx, command.payment_id, charge.attempt_id, outcome)  # phase three
    failpoint("pay.charge.after_txB_before_reply")
    return command.payment_id


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


async def _write_intent(ctx: Context, session: AsyncSession, command: StartPayment) -> Charge | None:
    now = ctx.clock.now()
    invoice = await repository.lock_invoice(session, command.invoice_id, now) if command.invoice_id else None
    existing = await repository.payment(session, command.payment_id)
    if existing is not None:
        _require_same(existing, command)
        return None
    if invoice is not None:
        if invoice.closed_at is not None:
            raise conflict("invoice-closed", "This invoice takes no more payments.")
        rival = await repository.live_payment_of_invoice(session, invoice.invoice_id)
        if rival is not None:
            raise payment_in_progress(rival.id)
    if command.initiator == "customer":
        require_taking(ctx.providers[command.provider])
    method = None
    if command.payment_method_id is not None:
        method = await usable_method(ctx, session, command.payment_method_id, command.user_id)
    payment = _new_payment(ctx, command)
    if method is not None:
        payment.card_mask, payment.card_brand = method.card_mask, method.card_brand
    await transitions.create(session, payment, command.caller)
    if command.initiator == "merchant":
        return None
    if command.method_kind is MethodKind.HOSTED:
        payment.awaits_card, payment.expires_at = True, now + CHECKOUT_LIFETIME
        to, reason = PaymentStatus.ACTION_REQUIRED, "checkout opened"
        await transitions.step(session, payment, to, actor=command.caller, reason=reason, now=now)
        return None
    attempt = await begin_attempt(ctx, session, payment, method, command.caller)
    return charge_of(ctx, payment, attempt, method, card_cryptogram=command.card_cryptogram)


def payment_in_progress(payment_id: UUID) -> AppError:
    return conflict(
        "payment-in-progress",
        "Another payment of this invoice is under way or has succeeded.",
        payment_id=str(payment_id),
    )


def _require_same(existing: Payment, command: StartPayment) -> None:
    same = (
        existing.invoice_id == command.invoice_id
        and existing.user_id == command.user_id
        and existing.amount_minor == command.amount.amount
        and existing.currency == command.amount.currency
    )
    if not same:
        raise conflict("payment-id-taken", "Another payment has this id.")


async def usable_method(ctx: Context, session: AsyncSession, method_id: UUID, user_id: UUID) -> PaymentMethod:
    """The user's method under a share lock; raises ``payment-method-unusable`` (422)."""
    method = await repository.method_for_charge(session, method_id)
    provider = ctx.providers.get(method.provider) if method else None
    if (
        method is None
        or method.user_id != user_id
        or method.status != "active"
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
    attempt = Attempt(
        id=new_id(),
        payment_id=payment.id,
        status=AttemptStatus.STARTED.value,
        provider=payment.provider,
        terminal_id=ctx.providers[payment.provider].terminal_id,
        payment_method_id=method.id if method else None,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        save_method=payment.save_method or save_method,
        # From here on a byte may have left us: a crash leaves it to the reconciler, which asks first.
        first_sent_at=now,
        last_sent_at=now,
        next_query_at=next_query_at(now, now),
        created_at=now,
    )
    session.add(attempt)
    payment.next_charge_at = None
    await transitions.step(session, payment, PaymentStatus.PROCESSING, actor=actor, reason="charge", now=now)
    return attempt


def charge_of(
    ctx: Context,
    payment: Payment,
    attempt: Attempt,
    method: PaymentMethod | None,
    *,
    card_cryptogram: str | None = None,
    cardholder_name: str | None = None,
) -> Charge:
    """The provider call of an attempt; the cryptogram lives only here, it is never stored."""
    payer = ctx.vault.open_payer(payment.payer_encrypted)
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


async def write_verdict(
    ctx: Context, payment_id: UUID, attempt_id: UUID, outcome: ChargeOutcome, actor: str = ACTOR
) -> None:
    """Writes the provider's answer; one that comes after a webhook or a query changes nothing."""
    async with ctx.sessions.begin() as session:
        payment = await repository.lock_payment(session, payment_id)
        attempt = await repository.lock_attempt(session, attempt_id)
        assert payment is not None
        assert attempt is not None
        await settle(ctx, session, payment, attempt, outcome, actor=actor, now=ctx.clock.now())
        failpoint("pay.charge.in_txB")
