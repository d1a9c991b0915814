"""A call's parameters: JSON or form body, names without regard to case, amounts as exact decimals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from shared.money import EXPONENTS, MAX_AMOUNT_MINOR, decimal_text_to_minor

_MAX_FIELDS: Final = 150_000
_SMALLEST: Final = Decimal("0.01")


class Refused(Exception):
    """The call is answered by ``{"Success": false, "Message": ...}`` without a Model; nothing was done."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class MalformedBody(Exception):
    """The body is not what its Content-Type says."""


@dataclass(frozen=True, slots=True)
class Amount:
    """Money of a call: minor units of one currency."""

    minor: int
    currency: str


class Parameters:
    """Reads parameters and refuses wrong ones in the provider's words."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = {name.lower(): value for name, value in values.items()}

    @classmethod
    def of_body(cls, body: bytes, content_type: str) -> Parameters:
        """Raises MalformedBody."""
        if not body.strip():
            return cls({})
        try:
            if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
                pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
                return cls(dict(pairs))
            values = json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise MalformedBody(str(error)) from error
        if not isinstance(values, dict):
            raise MalformedBody("not an object")
        return cls(values)

    def _present(self, name: str) -> Any:
        value = self._values.get(name.lower())
        return None if value is None or value == "" else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def text(self, name: str) -> str | None:
        """A scalar as text; None when absent or empty."""
        value = self._present(name)
        if value is None:
            return None
        if isinstance(value, (dict, list)):
            raise Refused(f"Invalid {name} value")
        return str(value)

    def required_text(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise Refused(f"{name} is required")
        return value

    def integer(self, name: str) -> int | None:
        """An integer; a fractional number is rounded, as the provider does."""
        value = self._present(name)
        if value is None:
            return None
        try:
            number = Decimal(str(value))
            if isinstance(value, bool) or not number.is_finite() or abs(number) > 2**63:
                raise Refused(f"Invalid {name} value")
            return int(number.to_integral_value(ROUND_HALF_UP))
        except InvalidOperation as error:
            raise Refused(f"Invalid {name} value") from error

    def required_integer(self, name: str) -> int:
        value = self.integer(name)
        if value is None:
            raise Refused(f"{name} is required")
        return value

    def flag(self, name: str) -> bool:
        value = self._present(name)
        return value is True or str(value).lower() in {"true", "1"}

    def value(self, name: str) -> Any:
        """Whatever was given; None when absent or empty."""
        return self._present(name)

    def moment(self, name: str, *, required: bool = True) -> datetime | None:
        """An ISO moment in UTC unless it says otherwise."""
        text = self.required_text(name) if required else self.text(name)
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise Refused(f"Invalid {name} value") from error
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

    def web_address(self, name: str) -> str | None:
        """An absolute http(s) address of printable ASCII."""
        text = self.text(name)
        if text is None:
            return None
        address = urlsplit(text)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise Refused(f"Invalid {name} value")
        if not text.isascii() or not text.isprintable() or " " in text:
            raise Refused(f"Invalid {name} value")
        return text

    def texts(self, name: str) -> list[str]:
        """A list of texts; a single value counts as a list of one."""
        value = self._present(name)
        if value is None:
            return []
        return [str(item) for item in value] if isinstance(value, list) else [str(value)]

    def json_text(self, name: str) -> str | None:
        """JSON given as a value or as a text of JSON, as compact text."""
        value = self._present(name)
        if value is None:
            return None
        if isinstance(value, str):
            return value
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=float)

    def amount(self, currency: str | None = None) -> Amount:
        """``Amount`` in ``Currency`` (default RUB, or the one given): at least 0.01, at most 2 decimals."""
        value = self._present("Amount")
        if value is None:
            raise Refused("Amount is required")
        code = currency or (self.text("Currency") or "RUB").upper()
        if code not in EXPONENTS:
            raise Refused("Invalid Currency value")
        try:
            if isinstance(value, (bool, dict, list)):
                raise Refused("Invalid Amount value")
            number = Decimal(str(value))
            if not number.is_finite() or not _SMALLEST <= number <= MAX_AMOUNT_MINOR:
                raise Refused("Invalid Amount value")
            minor = decimal_text_to_minor(format(number, "f"), code)
        except (InvalidOperation, ValueError) as error:
            raise Refused("Invalid Amount value") from error
        if not 1 <= minor <= MAX_AMOUNT_MINOR:
            raise Refused("Invalid Amount value")
        return Amount(minor, code)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
