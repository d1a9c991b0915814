"""The cabinet's settings of notifications: look, change (Check cannot be changed)."""

from __future__ import annotations

from collections.abc import Sequence

from pay_api.sandbox.envelope import Answer, done, succeeded
from pay_api.sandbox.notification_fields import NotificationType
from pay_api.sandbox.notification_settings import ENCODINGS, FORMATS, METHODS, NotificationSettings
from pay_api.sandbox.parameters import Parameters, Refused
from pay_api.sandbox.registry import answers
from pay_api.sandbox.terminal import Call


def _type(call: Call) -> NotificationType:
    return NotificationType(call.method.split("/")[2])


@answers(*(f"site/notifications/{kind.value}/get" for kind in NotificationType))
async def get(call: Call) -> Answer:
    """Where a type of notification goes."""
    return succeeded(call.terminal.notifier.settings_of(_type(call)).as_model())


@answers(
    *(f"site/notifications/{kind}/update" for kind in NotificationType if kind is not NotificationType.CHECK)
)
async def update(call: Call) -> Answer:
    """Changes where a type of notification goes; what is left out takes its default."""
    read = call.parameters
    enabled = read.flag("IsEnabled")
    address = read.web_address("Address")
    if enabled and address is None:
        raise Refused("Address is required")
    call.terminal.notifier.change(
        NotificationSettings(
            id=_type(call).value,
            is_enabled=enabled,
            address=address,
            http_method=_one_of(read, "HttpMethod", METHODS),
            encoding=_one_of(read, "Encoding", ENCODINGS),
            format=_one_of(read, "Format", FORMATS),
        )
    )
    return done()


def _one_of(read: Parameters, name: str, allowed: Sequence[str]) -> str:
    """The value in the provider's spelling; the first one when absent."""
    given = read.text(name)
    for value in allowed:
        if given is None or given.lower() == value.lower():
            return value
    raise Refused(f"Invalid {name} value")
