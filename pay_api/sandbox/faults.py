"""Scripted failures: which of the next calls or notifications go wrong, and how."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pay_api.sandbox.notification_fields import NotificationType
from pay_api.sandbox.reasons import is_known
from shared.ids import new_id

HEADER: Final = "X-Sandbox-Fault"


class FaultKind(StrEnum):
    """``*_before``: the effect does not happen; ``*_after``: it happens and the caller does not hear."""

    DELAY = "delay"
    TIMEOUT_BEFORE = "timeout_before"
    TIMEOUT_AFTER = "timeout_after"
    HTTP_500_BEFORE = "http_500_before"
    HTTP_500_AFTER = "http_500_after"
    TRUNCATED_JSON = "truncated_json"
    UNKNOWN_STATUS = "unknown_status"
    TOO_MANY_REQUESTS = "429"
    DECLINE = "decline"
    # of notifications
    DUPLICATE = "duplicate"
    LATE = "late"
    EARLY = "early"
    REORDERED = "reordered"  # waits for the next one of the same payment, at most ``seconds``
    SUPPRESSED = "suppressed"


_OF_NOTIFICATIONS: Final = {
    FaultKind.DUPLICATE,
    FaultKind.LATE,
    FaultKind.EARLY,
    FaultKind.REORDERED,
    FaultKind.SUPPRESSED,
}


class Manner(StrEnum):
    """How a time-out looks: silence for ``seconds``, or the connection closed at once."""

    HANG = "hang"
    CLOSE = "close"


class Fault(BaseModel):
    """One scripted fault. ``method`` is a path without the leading slash, ``webhook`` a type; ``*`` is any.

    ``seconds`` is the length of a delay, a hang or a lateness, in real time.
    """

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    kind: FaultKind
    method: str = "*"
    webhook: str = "*"
    count: int = Field(default=1, ge=1, le=10_000)
    seconds: float = Field(default=60, ge=0, le=600)
    manner: Manner = Manner.HANG
    reason_code: int = 5005
    id: str = Field(default_factory=lambda: str(new_id()))

    @model_validator(mode="after")
    def _consistent(self) -> Fault:
        self.method = self.method.strip("/").lower()
        self.webhook = self.webhook.lower()
        if self.webhook != "*" and self.webhook not in set(NotificationType):
            raise ValueError("webhook is none of " + ", ".join(NotificationType))
        if self.kind is FaultKind.DECLINE and (self.reason_code == 0 or not is_known(self.reason_code)):
            raise ValueError("reason_code is not one of a decline")
        return self

    @property
    def is_of_notifications(self) -> bool:
        return self.kind in _OF_NOTIFICATIONS


@dataclass(slots=True)
class Scripted:
    """A fault and how many times it still strikes."""

    fault: Fault
    left: int


class Faults:
    """The script; the first matching fault strikes."""

    def __init__(self) -> None:
        self._script: list[Scripted] = []

    def add(self, fault: Fault) -> None:
        self._script.append(Scripted(fault, fault.count))

    def clear(self) -> None:
        self._script.clear()

    def listing(self) -> list[dict[str, Any]]:
        """Those that still strike, with what is left of each."""
        return [{**item.fault.model_dump(mode="json"), "left": item.left} for item in self._script]

    def of_call(self, method: str) -> Fault | None:
        """Takes the fault of this call, if any."""
        return self._take(lambda fault: not fault.is_of_notifications and fault.method in ("*", method))

    def of_notification(self, kind: NotificationType) -> Fault | None:
        """Takes the fault of this notification, if any."""
        return self._take(lambda fault: fault.is_of_notifications and fault.webhook in ("*", kind.value))

    def _take(self, matches: Any) -> Fault | None:
        for item in self._script:
            if matches(item.fault):
                item.left -= 1
                if item.left == 0:
                    self._script.remove(item)
                return item.fault
        return None


def of_header(value: str | None) -> list[Fault]:
    """Faults of one request: ``timeout_after; manner=close, duplicate; webhook=pay``. Raises ValueError."""
    faults = []
    for item in (value or "").split(","):
        kind, *settings = [part.strip() for part in item.split(";")]
        if kind:
            pairs = [setting.partition("=") for setting in settings if setting]
            try:
                fault = Fault.model_validate(
                    {"kind": kind} | {name.strip(): text.strip() for name, _, text in pairs}
                )
            except ValidationError as error:
                raise ValueError(f"{HEADER}: {error.errors()[0]['msg']}") from error
            faults.append(fault)
    return faults
