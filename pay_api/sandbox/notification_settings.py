"""Where and how each type of notification goes: the cabinet's settings, changed by site/notifications."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Self

METHODS: Final = ("GET", "POST")
ENCODINGS: Final = ("UTF8", "Windows1251")
FORMATS: Final = ("CloudPayments", "QIWI", "RT")


@dataclass(slots=True)
class NotificationSettings:
    """Of one type; ``id`` is the type in lower case."""

    id: str
    is_enabled: bool
    address: str | None
    http_method: str = "POST"
    encoding: str = "UTF8"
    format: str = "CloudPayments"

    @property
    def codec(self) -> str:
        return "cp1251" if self.encoding == "Windows1251" else "utf-8"

    def as_model(self) -> dict[str, Any]:
        return {
            "IsEnabled": self.is_enabled,
            "Address": self.address,
            "HttpMethod": self.http_method,
            "Encoding": self.encoding,
            "Format": self.format,
        }

    def as_record(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(**record)
