"""The merchant's terminal at the provider: its state and the moves of money every method is made of."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from pay_api.sandbox.chargeback import ChargeBack
from pay_api.sandbox.correction import CorrectionReceipt
from pay_api.sandbox.cryptogram import TerminalKey
from pay_api.sandbox.envelope import Answer, declined, succeeded
from pay_api.sandbox.faults import Faults
from pay_api.sandbox.notification_fields import NotificationType
from pay_api.sandbox.notifications import Notifier, Outgoing
from pay_api.sandbox.oracle import Effect, Oracle
from pay_api.sandbox.order import Order
from pay_api.sandbox.parameters import Parameters, Refused
from pay_api.sandbox.reasons import APPROVED
from pay_api.sandbox.receipt import FiscalReceipt
from pay_api.sandbox.receipt_orders import order_receipt
from pay_api.sandbox.records import Records
from pay_api.sandbox.settings import SandboxSettings
from pay_api.sandbox.store import Journal, Store
from pay_api.sandbox.subscription import Subscription
from pay_api.sandbox.transaction import Status, Transaction, TransactionType, as_model
from shared.clock import Clock

HOLD_KEPT: Final = timedelta(days=7)


class Terminal:
    """Everything one process of the stand-in holds. Moves of money never await, so they cannot interleave."""

    def __init__(self, settings: SandboxSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.key = TerminalKey.load(settings.sandbox_key_file)
        self.journal = Journal(settings.sandbox_state_file)
        self.store = Store(self.journal)
        self.oracle = Oracle(self.journal)
        self.faults = Faults()
        self.notifier = Notifier(
            settings.sandbox_notifications_url,
            settings.api_secret,
            settings.sandbox_notification_timeout_seconds,
            clock,
            self.journal,
            self.faults,
        )
        self.subscriptions = Records(self.journal, "subscription", Subscription.from_record)
        self.orders = Records(self.journal, "order", Order.from_record)
        self.receipts = Records(self.journal, "receipt", FiscalReceipt.from_record)
        self.corrections = Records(self.journal, "correction_receipt", CorrectionReceipt.from_record)
        self.chargebacks = Records(self.journal, "chargeback", ChargeBack.from_record)
        self.journal.replay()

    def model(self, transaction: Transaction) -> dict[str, Any]:
        return as_model(transaction, self.settings.sandbox_public_id, self.settings.terminal_url)

    def lapse_holds(self) -> None:
        """Cancels the holds older than seven days, as the provider does by itself."""
        now = self.clock.now()
        for transaction in [item for item in self.store.unfinished() if item.is_held]:
            if now - (transaction.auth_at or now) >= HOLD_KEPT:
                outgoing = Outgoing()
                Call(self, "hold-lapsed", Parameters({}), None, outgoing).void(transaction)
                self.notifier.release(outgoing)


@dataclass(slots=True)
class Call:
    """One call of a method: what was asked, and the moves that answer it."""

    terminal: Terminal
    method: str
    parameters: Parameters
    request_id: str | None
    outgoing: Outgoing = field(default_factory=Outgoing)
    forced_reason_code: int = APPROVED  # a scripted decline

    def new_transaction(self, type_: TransactionType, amount_minor: int, currency: str) -> Transaction:
        """A transaction with the fields every payment method shares; not saved yet."""
        read = self.parameters
        return Transaction(
            id=self.terminal.store.next_id(),
            type=type_,
            status=Status.DECLINED,
            amount_minor=amount_minor,
            currency=currency,
            created_at=self.terminal.clock.now(),
            culture_name=read.text("CultureName") or "ru-RU",
            method=self.method,
            one_stage=self.method.endswith("charge"),
            request_id=self.request_id,
            invoice_id=read.text("InvoiceId"),
            account_id=read.text("AccountId"),
            email=read.text("Email"),
            description=read.text("Description"),
            json_data=read.json_text("JsonData"),
            name=read.text("Name"),
            ip_address=read.text("IpAddress"),
        )

    def transaction(self) -> Transaction:
        """The transaction of ``TransactionId``; raises Refused."""
        found = self.terminal.store.transaction(self.parameters.required_integer("TransactionId"))
        if found is None:
            raise Refused("Transaction not found")
        return found

    def tell(self, kind: NotificationType, transaction: Transaction) -> None:
        self.terminal.notifier.tell(self.outgoing, kind, transaction)

    def order_receipt(self, transaction: Transaction, instruction: str | None, now: datetime) -> None:
        """Queues the receipt that goes with the money, if one was asked for."""
        made = order_receipt(self.terminal.receipts, transaction, instruction, now)
        if made is not None and made.error is None:
            self.tell_receipt(made)

    def tell_receipt(self, document: FiscalReceipt | CorrectionReceipt) -> None:
        """Told when the device has printed it."""
        self.terminal.notifier.tell_receipt(self.outgoing, document)

    async def checked(self, transaction: Transaction) -> int:
        """The merchant's word before authorisation, as a reason code; 0 when Check is switched off."""
        if not self.terminal.settings.sandbox_check_enabled:
            return APPROVED
        return await self.terminal.notifier.check(transaction)

    def authorise(self, transaction: Transaction, reason_code: int) -> Answer:
        """Takes or holds the money, or declines; saves, writes the ledger, tells Pay or Fail."""
        reason_code = self.forced_reason_code or reason_code
        now = self.terminal.clock.now()
        transaction.reason_code = reason_code
        if reason_code != APPROVED:
            transaction.status = Status.DECLINED
            self.terminal.store.save(transaction)
            self.tell(NotificationType.FAIL, transaction)
            return declined(self.terminal.model(transaction))
        transaction.auth_at = now
        transaction.rrn = f"{secrets.randbelow(10**12):012d}"
        if transaction.save_card and transaction.account_id:
            transaction.token = self.terminal.store.save_card(transaction)
        if transaction.one_stage:
            transaction.status = Status.COMPLETED
            transaction.confirmed_at = now
        else:
            transaction.status = Status.AUTHORIZED
        self.terminal.store.save(transaction)
        self._record(
            Effect.CHARGED if transaction.one_stage else Effect.HELD, transaction, transaction.amount_minor
        )
        self.tell(NotificationType.PAY, transaction)
        if transaction.one_stage:
            self.order_receipt(transaction, transaction.json_data, now)
        return succeeded(self.terminal.model(transaction))

    def pay_out(self, transaction: Transaction, reason_code: int) -> Answer:
        """Sends the terminal's money to a card, or declines; tells Pay or Fail."""
        transaction.reason_code = self.forced_reason_code or reason_code
        if transaction.reason_code != APPROVED:
            self.terminal.store.save(transaction)
            self.tell(NotificationType.FAIL, transaction)
            return declined(self.terminal.model(transaction))
        transaction.status = Status.COMPLETED
        transaction.auth_at = transaction.confirmed_at = self.terminal.clock.now()
        transaction.rrn = f"{secrets.randbelow(10**12):012d}"
        self.terminal.store.save(transaction)
        self._record(Effect.PAID_OUT, transaction, transaction.amount_minor)
        self.tell(NotificationType.PAY, transaction)
        return succeeded(self.terminal.model(transaction))

    def capture(self, transaction: Transaction, amount_minor: int) -> None:
        """Confirms a hold, whole or in part; what is left of it is released. Raises Refused."""
        if not transaction.is_held:
            raise Refused("Transaction is not authorized")
        if amount_minor > transaction.amount_minor:
            raise Refused("Amount is greater than authorized")
        transaction.status = Status.COMPLETED
        transaction.amount_minor = amount_minor
        transaction.confirmed_at = self.terminal.clock.now()
        self.terminal.store.save(transaction)
        self._record(Effect.CAPTURED, transaction, amount_minor)
        self.tell(NotificationType.CONFIRM, transaction)
        own = self.parameters.json_text("JsonData") or transaction.json_data
        self.order_receipt(transaction, own, transaction.confirmed_at)

    def void(self, transaction: Transaction) -> None:
        """Releases a hold. Raises Refused for anything but a hold."""
        if not transaction.is_held:
            raise Refused("Transaction is not authorized")
        transaction.status = Status.CANCELLED
        self.terminal.store.save(transaction)
        self._record(Effect.VOIDED, transaction, transaction.amount_minor)
        self.tell(NotificationType.CANCEL, transaction)

    def refund(self, payment: Transaction, refund: Transaction) -> None:
        """Gives back the amount of ``refund``, a new transaction. Raises Refused above what is left."""
        if payment.status is not Status.COMPLETED or payment.type != TransactionType.PAYMENT:
            raise Refused("Transaction cannot be refunded")
        if refund.amount_minor > payment.amount_minor - payment.refunded_minor:
            raise Refused("Amount is greater than the rest of the payment")
        payment.refunded_minor += refund.amount_minor
        now = self.terminal.clock.now()
        refund.status = Status.COMPLETED
        refund.reason_code = APPROVED
        refund.auth_at = refund.confirmed_at = now
        refund.rrn = f"{secrets.randbelow(10**12):012d}"
        self.terminal.store.save(payment)
        self.terminal.store.save(refund)
        self._record(Effect.REFUNDED, refund, refund.amount_minor)
        self.tell(NotificationType.REFUND, refund)
        self.order_receipt(refund, refund.json_data, now)

    def charge_back(self, payment: Transaction, amount_minor: int, now: datetime) -> ChargeBack:
        """The payer's bank takes money back from the merchant. Raises Refused above what is left of it."""
        taken = sum(item.amount_minor for item in self.terminal.chargebacks.all() if item.of == payment.id)
        left = payment.amount_minor - payment.refunded_minor - taken
        if payment.status is not Status.COMPLETED or payment.type != TransactionType.PAYMENT:
            raise Refused("Transaction cannot be charged back")
        if not 0 < amount_minor <= left:
            raise Refused("Amount is greater than the rest of the payment")
        number = len(self.terminal.chargebacks.all()) + 1
        made = ChargeBack(id=str(number), of=payment.id, at=now, amount_minor=amount_minor)
        self.terminal.chargebacks.save(made)
        self._record(Effect.CHARGED_BACK, payment, amount_minor)
        return made

    def _record(self, effect: Effect, transaction: Transaction, amount_minor: int) -> None:
        now = self.terminal.clock.now()
        self.terminal.oracle.record(effect, transaction, amount_minor, self.method, self.request_id, now)


Method = Callable[[Call], Awaitable[Answer]]
