"""What callers may send: bodies and queries, checked before any command sees them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from rest_framework import serializers

from billing_api.api.fields import (
    MoneyInput,
    StrictBoolean,
    StrictInteger,
    StrictText,
    StrictUuid,
    TimeZoneField,
)
from shared.errors import AppError, Kind
from shared.money import EXPONENTS
from shared.pagination import DEFAULT_LIMIT, MAX_LIMIT

Form = TypeVar("Form", bound=serializers.Serializer[Any])
_MAX_SEQUENCE = 2**53


def read(form: type[Form], data: Any, place: str = "body") -> dict[str, Any]:
    """The checked values. Raises AppError ``invalid-request`` (422) naming the fields, never values.

    A field of the body that nobody reads, at any depth, is refused: a mistake of the caller's, or worse.
    """
    filled = form(data=data)
    unknown = list(_unknown(filled, data, place)) if place == "body" else []
    if filled.is_valid() and not unknown:
        return dict(filled.validated_data)
    from billing_api.api.problems import flatten

    fields = [{"field": field, "message": message} for field, message in flatten(place, filled.errors)]
    fields += [{"field": field, "message": "This field is not known."} for field in unknown]
    words = "Some fields are not as they should be."
    raise AppError("invalid-request", Kind.INVALID, words, extra={"errors": fields})


def _unknown(form: serializers.Serializer[Any], data: Any, path: str) -> Iterator[str]:
    if not isinstance(data, dict):
        return
    for name, value in data.items():
        field = form.fields.get(name)
        if field is None:
            # JSON may spell half a surrogate pair, which no answer can be written with
            yield f"{path}.{str(name)[:64].encode(errors='replace').decode()}"
        elif isinstance(field, serializers.Serializer):
            yield from _unknown(field, value, f"{path}.{name}")


class CustomerInput(serializers.Serializer[Any]):
    """``CustomerSnapshot``: how UserAPI knows the customer now; the newer sequence wins."""

    user_id = StrictUuid()
    sequence = StrictInteger(min_value=0, max_value=_MAX_SEQUENCE)
    locale = serializers.RegexField(r"^[A-Za-z]{2,3}([_-][A-Za-z]{2,4})?$", max_length=16)
    time_zone = TimeZoneField(max_length=64)
    email_hash = StrictText(max_length=128)
    email = StrictText(max_length=320)  # UserAPI has checked it; letters beyond ASCII are its to allow
    document_name = StrictText(max_length=255, allow_blank=True, default="")


class QuoteInput(serializers.Serializer[Any]):
    """What a price is asked for."""

    customer = CustomerInput()
    product_id = StrictUuid()
    price_id = StrictUuid(required=False, allow_null=True, default=None)
    promo_code = StrictText(max_length=64, required=False, allow_null=True, default=None)


class StartInput(QuoteInput):
    """A purchase; ``expected_amount`` guards against a price that changed meanwhile.

    ``payment_method_id``: the saved card the user agreed to be charged with; a trial may need one.
    """

    expected_amount = MoneyInput(required=False, allow_null=True, default=None)
    payment_method_id = StrictUuid(required=False, allow_null=True, default=None)


class CancelInput(serializers.Serializer[Any]):
    """When a subscription is to end, and whether unused days are paid back."""

    mode = serializers.ChoiceField(["period_end", "now"], default="period_end")
    refund_unused = StrictBoolean(default=False)


class ChangeProductInput(serializers.Serializer[Any]):
    """The product changed to; ``expected_amount`` is what the user saw to be due now."""

    product_id = StrictUuid()
    price_id = StrictUuid(required=False, allow_null=True, default=None)
    preview = StrictBoolean(default=False)
    expected_amount = MoneyInput(required=False, allow_null=True, default=None)


class NothingInput(serializers.Serializer[Any]):
    """No fields."""


class CancellationInput(serializers.Serializer[Any]):
    """A payment as PayAPI shows it now."""

    user_id = StrictUuid()
    invoice_id = StrictUuid()
    status = StrictText(max_length=24)
    captured = MoneyInput()
    refunded = MoneyInput()


class BillingRunInput(serializers.Serializer[Any]):
    """For which moment to bill (now when absent), and whether to write anything."""

    as_of = serializers.DateTimeField(required=False, allow_null=True, default=None)
    dry_run = StrictBoolean(default=False)


class PageQuery(serializers.Serializer[Any]):
    """A place in a list. ``limit`` above the maximum is cut to it."""

    cursor = serializers.CharField(required=False, default=None, max_length=512)
    limit = serializers.IntegerField(required=False, default=DEFAULT_LIMIT, min_value=1)

    def validate_limit(self, value: int) -> int:
        return min(value, MAX_LIMIT)


class OfUserQuery(PageQuery):
    """A list of one user's, or of everybody's."""

    user_id = serializers.UUIDField(required=False, default=None)


class InvoicesQuery(OfUserQuery):
    status = serializers.ChoiceField(
        ["draft", "open", "paid", "void", "uncollectible"], required=False, default=None
    )


class DocumentQuery(serializers.Serializer[Any]):
    """The language of a document; Accept-Language decides when it is absent."""

    locale = serializers.ChoiceField(["ru", "en"], required=False, default=None)


class StatementQuery(DocumentQuery):
    """Days in the account's zone, both included; the format; the currency, else the account's own."""

    to = serializers.DateField(required=False, default=None)
    format = serializers.ChoiceField(["json", "csv", "pdf"], required=False, default="json")
    currency = serializers.ChoiceField(list(EXPONENTS), required=False, default=None)

    def get_fields(self) -> dict[str, Any]:
        # `from` is a word of Python's own.
        return {"from": serializers.DateField(required=False, default=None), **super().get_fields()}
