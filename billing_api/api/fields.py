"""Fields of the suite's bodies: money, periods, texts in two languages, strict whole numbers."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID
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
EXPLANATION_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["ru", "en"],
    "properties": {
        "ru": {"type": "array", "items": {"type": "string"}},
        "en": {"type": "array", "items": {"type": "string"}},
    },
}
STEPS_SCHEMA: Final[dict[str, Any]] = {"type": "array", "items": {"type": "object"}}


@extend_schema_field(MONEY_SCHEMA)
class MoneyField(serializers.DictField):
    """An amount with its currency."""


@extend_schema_field(PERIOD_SCHEMA)
class PeriodField(serializers.DictField):
    """A half-open period of days, or null."""


@extend_schema_field(TEXT_SCHEMA)
class TextField(serializers.JSONField):
    """A text in Russian and English."""


@extend_schema_field(EXPLANATION_SCHEMA)
class ExplanationField(serializers.JSONField):
    """The steps in words."""


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


class StrictText(serializers.CharField):
    """A JSON string; a number or a boolean is not taken for one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictUuid(serializers.UUIDField):
    """An id in its written form; a number is not taken for one."""

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str):
            self.fail("invalid", value=data)
        found: UUID = super().to_internal_value(data)
        return found


class TimeZoneField(StrictText):
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
