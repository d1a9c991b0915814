"""Delivers notifications: signed, retried by the provider's ladder until the handler says code 0."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import httpx
from prometheus_client import Counter

from pay_api.sandbox import reasons
from pay_api.sandbox.correction import CorrectionReceipt
from pay_api.sandbox.faults import Fault, FaultKind, Faults
from pay_api.sandbox.notification_fields import NotificationType, notification_fields, with_moment
from pay_api.sandbox.notification_settings import NotificationSettings
from pay_api.sandbox.receipt import FiscalReceipt
from pay_api.sandbox.receipt_fields import receipt_fields
from pay_api.sandbox.signature import form_encode, signature_headers
from pay_api.sandbox.store import Journal
from pay_api.sandbox.subscription import Subscription
from pay_api.sandbox.transaction import Transaction
from shared import logs
from shared.clock import Clock
from shared.ids import new_id

RETRY_GAPS_MINUTES: Final = (1, 2, 5, 10, 30)  # the last one repeats
MAX_ATTEMPTS: Final = 100
_POLL_SECONDS: Final = 1.0
_AT_ONCE: Final = 50

SENT: Final = Counter("sandbox_notifications_total", "Notification attempts", ["type", "outcome"])
log = logs.logger(__name__)


@dataclass(slots=True)
class Notification:
    """One notification on its way; ``due_at`` is a moment of the suite's clock."""

    type: NotificationType
    fields: dict[str, str]
    due_at: datetime
    attempts: int = 0
    copies: int = 1
    id: str = field(default_factory=lambda: str(new_id()))

    @property
    def payment(self) -> str | None:
        """The transaction of the payment it speaks of."""
        return self.fields.get("PaymentTransactionId") or self.fields.get("TransactionId")

    def as_record(self) -> dict[str, Any]:
        return {**asdict(self), "due_at": self.due_at.isoformat()}


@dataclass(slots=True)
class Outgoing:
    """Notifications of one call, held back until its answer is out (unless a fault says early)."""

    faults: list[Fault] = field(default_factory=list)
    items: list[tuple[Notification, Fault | None]] = field(default_factory=list)

    def fault_for(self, kind: NotificationType, script: Faults) -> Fault | None:
        own = [fault for fault in self.faults if fault.webhook in ("*", kind.value)]
        return own[0] if own else script.of_notification(kind)


class Notifier:
    """The queue of notifications and its sender. With no address configured, nothing is ever sent."""

    def __init__(
        self, address: str | None, secret: str, timeout_seconds: float, clock: Clock, journal: Journal,
        faults: Faults,
    ) -> None:  # fmt: skip
        base = address.rstrip("/") if address else None
        self._settings = {
            kind: NotificationSettings(kind.value, base is not None, f"{base}/{kind.value}" if base else None)
            for kind in NotificationType
        }
        self._secret = secret
        self._clock = clock
        self._journal = journal
        self._faults = faults
        self._client = httpx.AsyncClient(timeout=timeout_seconds, trust_env=False)
        self._pending: dict[str, Notification] = {}
        self._in_flight: set[str] = set()
        self._waiting_for_next: dict[str | None, list[asyncio.Event]] = defaultdict(list)
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None
        journal.register("notification", self._replay)
        journal.register("notification-done", self._replay_done)
        journal.register("notification-settings", self._replay_settings)

    def _replay(self, record: dict[str, Any]) -> None:
        values = {**record, "type": NotificationType(record["type"])}
        values["due_at"] = datetime.fromisoformat(record["due_at"])
        self._pending[record["id"]] = Notification(**values)

    def _replay_done(self, record: dict[str, Any]) -> None:
        self._pending.pop(record["id"], None)

    def _replay_settings(self, record: dict[str, Any]) -> None:
        self._settings[NotificationType(record["id"])] = NotificationSettings.from_record(record)

    def settings_of(self, kind: NotificationType) -> NotificationSettings:
        return self._settings[kind]

    def change(self, settings: NotificationSettings) -> None:
        """From the next attempt on."""
        self._settings[NotificationType(settings.id)] = settings
        self._journal.write("notification-settings", settings.as_record())

    def listing(self) -> list[dict[str, Any]]:
        """What is still on its way."""
        return [
            {
                "type": item.type.value,
                "transaction_id": int(item.fields.get("TransactionId") or 0) or None,
                "attempts": item.attempts,
                "due_at": item.due_at.isoformat(),
            }
            for item in self._pending.values()
        ]

    def tell(self, outgoing: Outgoing, kind: NotificationType, transaction: Transaction) -> None:
        """Adds a notification to those of the call; the call's end releases them."""
        fields = notification_fields(kind, transaction)
        if kind is NotificationType.CANCEL:
            fields = with_moment(fields, self._clock.now().strftime("%Y-%m-%d %H:%M:%S"))
        self._add(outgoing, kind, fields)

    def tell_recurrent(self, outgoing: Outgoing, subscription: Subscription) -> None:
        """A subscription has changed its status."""
        self._add(outgoing, NotificationType.RECURRENT, subscription.as_notification())

    def tell_receipt(self, outgoing: Outgoing, document: FiscalReceipt | CorrectionReceipt) -> None:
        """A document is printed, a little later than it is queued."""
        self._add(outgoing, NotificationType.RECEIPT, receipt_fields(document), document.printed_at)

    def _add(
        self,
        outgoing: Outgoing,
        kind: NotificationType,
        fields: dict[str, str],
        due_at: datetime | None = None,
    ) -> None:
        if not self._settings[kind].is_enabled:
            return
        fault = outgoing.fault_for(kind, self._faults)
        if fault is not None and fault.kind is FaultKind.SUPPRESSED:
            return
        item = Notification(kind, fields, due_at or self._clock.now())
        if fault is not None and fault.kind is FaultKind.DUPLICATE:
            item.copies = 2
        outgoing.items.append((item, fault))

    async def release_early(self, outgoing: Outgoing) -> None:
        """Delivers, before the answer goes out, those a fault wants early."""
        early = [pair for pair in outgoing.items if pair[1] is not None and pair[1].kind is FaultKind.EARLY]
        for pair in early:
            outgoing.items.remove(pair)
            self._keep(pair[0])
            await self._deliver(pair[0])

    def release(self, outgoing: Outgoing) -> None:
        """Lets the rest go: at once, or later for a fault that says so."""
        for item, fault in outgoing.items:
            if fault is not None and fault.kind is FaultKind.LATE:
                self._start(self._release_late(item, fault.seconds))
            elif fault is not None and fault.kind is FaultKind.REORDERED:
                self._start(self._release_after_next(item, fault.seconds))
            else:
                self._keep(item)
                self._start(self._deliver_if_due(item))
        outgoing.items.clear()
        self.ensure_running()

    async def _release_late(self, item: Notification, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._keep(item)
        await self._deliver_if_due(item)

    async def _release_after_next(self, item: Notification, seconds: float) -> None:
        another = asyncio.Event()
        self._waiting_for_next[item.payment].append(another)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await another.wait()
        self._keep(item)
        await self._deliver_if_due(item)

    def _keep(self, item: Notification) -> None:
        self._pending[item.id] = item
        self._journal.write("notification", item.as_record())

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def ensure_running(self) -> None:
        """Starts the loop that looks for due retries every second of real time."""
        if any(item.is_enabled for item in self._settings.values()) and (
            self._loop is None or self._loop.done()
        ):
            self._loop = asyncio.get_running_loop().create_task(self._poll())

    async def _poll(self) -> None:
        while True:
            now = self._clock.now()
            due = [
                item
                for item in self._pending.values()
                if item.due_at <= now and item.id not in self._in_flight
            ]
            for item in due[: _AT_ONCE - len(self._in_flight)]:
                self._start(self._deliver(item))
            await asyncio.sleep(_POLL_SECONDS)

    async def _deliver_if_due(self, item: Notification) -> None:
        if item.due_at <= self._clock.now():  # else the loop does
            await self._deliver(item)

    async def _deliver(self, item: Notification) -> None:
        if item.id in self._in_flight or item.id not in self._pending:
            return
        self._in_flight.add(item.id)
        try:
            accepted = await self._attempt(item)
        finally:
            self._in_flight.discard(item.id)
        item.attempts += 1
        for waiting in self._waiting_for_next.pop(item.payment, ()):
            waiting.set()
        if accepted and item.copies > 1:
            item.copies -= 1
            await self._deliver(item)
        elif accepted or item.attempts >= MAX_ATTEMPTS:
            self._pending.pop(item.id, None)
            self._journal.write("notification-done", {"id": item.id})
        else:
            gap = RETRY_GAPS_MINUTES[min(item.attempts, len(RETRY_GAPS_MINUTES)) - 1]
            item.due_at = self._clock.now() + timedelta(minutes=gap)
            self._journal.write("notification", item.as_record())

    async def _attempt(self, item: Notification) -> bool:
        code, error = await self._post(item.type, item.fields)
        outcome = "accepted" if code == 0 else "refused"
        SENT.labels(item.type.value, outcome).inc()
        log.info(
            "notification-sent",
            type=item.type.value,
            transaction_id=item.fields.get("TransactionId"),
            attempt=item.attempts + 1,
            outcome=outcome,
            error=error,
        )
        return code == 0

    async def _post(self, kind: NotificationType, fields: Mapping[str, str]) -> tuple[int | None, str | None]:
        """The handler's code (None when there is no proper answer) and what went wrong."""
        settings = self._settings[kind]
        if not settings.is_enabled or settings.address is None:
            return None, "switched off"
        body = form_encode(fields, settings.codec)
        headers = signature_headers(self._secret, body, settings.codec)
        try:
            if settings.http_method == "GET":
                address = f"{settings.address}?{body.decode()}"
                response = await self._client.get(address, headers=headers)
            else:
                headers["Content-Type"] = f"application/x-www-form-urlencoded; charset={settings.codec}"
                response = await self._client.post(settings.address, content=body, headers=headers)
        except httpx.HTTPError as error:
            return None, f"unreachable: {type(error).__name__}"
        if response.status_code != 200:
            return None, f"status {response.status_code}"
        try:
            code = response.json()["code"]
        except (ValueError, KeyError, TypeError):
            return None, "malformed"
        return (code, None) if type(code) is int else (None, "malformed")

    async def check(self, transaction: Transaction) -> int:
        """Asks the merchant before authorisation; the reason code of a refusal or 0. Never retried."""
        if not self._settings[NotificationType.CHECK].is_enabled:
            return reasons.APPROVED
        fields = notification_fields(NotificationType.CHECK, transaction)
        code, error = await self._post(NotificationType.CHECK, fields)
        SENT.labels(NotificationType.CHECK.value, "accepted" if code == 0 else "refused").inc()
        if code is not None:
            return 0 if code == 0 else reasons.REASON_OF_CHECK_CODE.get(code, reasons.CHECK_FORMAT_ERROR)
        if error is not None and error.startswith("unreachable"):
            return reasons.CHECK_UNAVAILABLE
        if error is not None and error.startswith("status"):
            return reasons.CHECK_UNABLE_TO_CONNECT
        return reasons.CHECK_FORMAT_ERROR

    async def close(self) -> None:
        """Stops sending; what is undelivered stays in the state file."""
        tasks = [task for task in (self._loop, *self._tasks) if task is not None]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._client.aclose()
