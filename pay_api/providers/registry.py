"""Which providers there are: one line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pay_api.providers.base import Provider
from pay_api.providers.cloudpayments import CloudPayments
from pay_api.settings import Settings

PROVIDERS: Final[dict[str, Callable[[Settings], Provider]]] = {
    "cloudpayments": CloudPayments.from_settings,
}
DEFAULT: Final = "cloudpayments"


def open_providers(settings: Settings) -> Mapping[str, Provider]:
    """Every connector, ready to call, by its name in the provider column and the webhook route."""
    return {name: make(settings) for name, make in PROVIDERS.items()}
