"""The merchant session of Apple Pay, as older revisions of the protocol have it."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from pay_api.sandbox.envelope import Answer, succeeded
from pay_api.sandbox.parameters import Refused
from pay_api.sandbox.registry import answers
from pay_api.sandbox.terminal import Call

_LIFETIME: Final = timedelta(minutes=5)


@answers("applepay/startsession")
async def start_session(call: Call) -> Answer:
    """A session in Apple's own spelling; nothing is asked of Apple."""
    address = urlsplit(call.parameters.required_text("ValidationUrl"))
    if address.scheme != "https" or not address.hostname:
        raise Refused("Invalid ValidationUrl value")
    now = call.terminal.clock.now()
    shop = urlsplit(call.parameters.text("PaymentUrl") or call.terminal.settings.terminal_url)
    return succeeded(
        {
            "epochTimestamp": int(now.timestamp() * 1000),
            "expiresAt": int((now + _LIFETIME).timestamp() * 1000),
            "merchantSessionIdentifier": secrets.token_hex(32).upper(),
            "nonce": secrets.token_hex(4),
            "merchantIdentifier": secrets.token_hex(32).upper(),
            "domainName": shop.hostname or "localhost",
            "displayName": call.terminal.settings.sandbox_merchant_name,
            "signature": secrets.token_hex(64),
        }
    )
