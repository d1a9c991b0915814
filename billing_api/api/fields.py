"""Fields of the suite's bodies: money, periods, texts in two languages, strict whole numbers."""

from __future__ import annotations

from typing import Any, Final
from zoneinfo import available_timezones

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from shared.money import EXPONENTS, MAX_AMOUNT_MINOR, Money

MONEY_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["amount", "currency"],
    "properties": {
        "amount": {"type": "integer", "description": "Minor units (kopecks)", "examples": [49900]},
        "currency": {"type": "string", "examples": ["RUB"]},
    },
}
PERIOD_SCHEMA: Final[dict[str, Any]] = {
    "type": ["object", "null"],
    "required": ["start", "end"],
    "properties": {
        "start": {"type": "string", "format": "date"},
        "end": {"type": "string", "format": "date", "description": "The first day after the period"},
    },
}
TEXT_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"ru": {"type": "string"}, "en": {"type": "string"}},
}
STEPS_SCHEMA: Final[dict[str, Any]] = {"type": "array", "items": {"type": "object"}}


def money(amount_minor: int, currency: str) -> dict[str, Any]:
    """The body of an amount."""
    return {"amount": amount_minor, "currency": currency}


@extend_schema_field(MONEY_SCHEMA)
class MinorField(serializers.Field[Any, Any, Any, Any]):
    """An amount that a row keeps in minor units in column ``column``, beside its currency."""

    def __init__(self, column: str, **options: Any) -> None:
        super().__init__(source="*", read_only=True, **options)
        self.column = column

    def to_representation(self, row: Any) -> dict[str, Any]:
        return money(getattr(row, self.column), row.currency)


@extend_schema_field(PERIOD_SCHEMA)
class PeriodField(serializers.Field[Any, Any, Any, Any]):
    """Two columns of dates as a half-open period; null without a start."""

    def __init__(self, start: str = "period_start_on", end: str = "period_end_on", **options: Any) -> None:
        super().__init__(source="*", read_only=True, **options)
        self.columns = (start, end)

    def to_representation(self, row: Any) -> dict[str, str] | None:
        start, end = (getattr(row, column) for column in self.columns)
        return {"start": start.isoformat(), "end": end.isoformat()} if start and end else None


@extend_schema_field(TEXT_SCHEMA)
class TextField(serializers.JSONField):
    """A text in Russian and English."""


@extend_schema_field(STEPS_SCHEMA)
class StepsField(serializers.JSONField):
    """How an amount came about."""


class StrictInteger(serializers.IntegerField):
    """A JSON number without a fraction; texts and booleans are refused."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictBoolean(serializers.BooleanField):
    """JSON true or false and nothing like it."""

    def to_internal_value(self, data: Any) -> bool:
        if type(data) is not bool:
            self.fail("invalid", input=data)
        return data


class TimeZoneField(serializers.CharField):
    """A zone of the IANA database."""

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        if name not in available_timezones():
            raise serializers.ValidationError("This time zone is not known.")
        return name


class MoneyInput(serializers.Serializer[Any]):
    """An amount given by a caller, zero or more."""

    amount = StrictInteger(min_value=0, max_value=MAX_AMOUNT_MINOR)
    currency = serializers.ChoiceField(sorted(EXPONENTS))


def as_money(given: dict[str, Any] | None) -> Money | None:
    """Money of a validated MoneyInput."""
    return Money(given["amount"], given["currency"]) if given is not None else None
