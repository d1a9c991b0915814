"""What the stand-in reads from its environment."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from shared.settings import SuiteSettings


class SandboxSettings(SuiteSettings):
    """Settings of the cloudpayments-sandbox. Paths and the notification address may be left out."""

    service_name: str = "cloudpayments-sandbox"
    sandbox_public_id: str = "pk_cinema_sandbox"
    sandbox_api_secret: SecretStr = SecretStr("cinema-sandbox-secret")
    sandbox_public_url: str = "http://127.0.0.1:8005"
    sandbox_notifications_url: str | None = None
    sandbox_merchant_name: str = "Онлайн-кинотеатр"
    # The cabinet's switches: Check notifications, and whether a token comes without SaveCard.
    sandbox_check_enabled: bool = False
    sandbox_force_save_card: bool = False
    # Since 2023-08 the provider calls TrInitiatorCode required; older clients never send it.
    sandbox_require_initiator: bool = False
    sandbox_concurrent_calls: int = 5
    sandbox_notification_timeout_seconds: float = 30
    sandbox_state_file: Path | None = None
    sandbox_key_file: Path | None = None

    @property
    def acs_url(self) -> str:
        """Where the payer's browser finds the issuer's page."""
        return self.sandbox_public_url.rstrip("/") + "/acs"

    @property
    def terminal_url(self) -> str:
        return f"https://{urlsplit(self.sandbox_public_url).hostname or 'localhost'}"

    @property
    def api_secret(self) -> str:
        return self.sandbox_api_secret.get_secret_value()
