"""Which providers there are: one line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pay_api import timeouts
from pay_api.providers.bank_transfer import BankTransfer
from pay_api.providers.base import Provider
from pay_api.providers.breaker import PurgatoryBreaker
from pay_api.providers.cloudpayments import CloudPayments
from pay_api.providers.guarded import Guarded
from pay_api.settings import Settings

# None from a maker: not configured here, so not offered.
PROVIDERS: Final[dict[str, Callable[[Settings], Provider | None]]] = {
    "cloudpayments": CloudPayments.from_settings,
    "bank_transfer": BankTransfer.from_settings,
}
DEFAULT: Final = "cloudpayments"


def open_providers(settings: Settings) -> Mapping[str, Provider]:
    """Every connector, ready to call, by its name in the provider column and the webhook route."""
    made = {name: make(settings) for name, make in PROVIDERS.items()}
    return {name: guard(settings, provider) for name, provider in made.items() if provider is not None}


def guard(settings: Settings, provider: Provider) -> Provider:
    """The connector behind a circuit of its own."""
    breaker = PurgatoryBreaker(provider.name, settings.provider_breaker_failures, timeouts.BREAKER_OPEN)
    return Guarded(provider, breaker)
