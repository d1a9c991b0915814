"""What PayAPI and its worker read from the environment."""

from __future__ import annotations

from typing import Final

from cryptography.fernet import Fernet
from pydantic import SecretStr

from pay_api import timeouts
from shared.settings import ConfigurationRefused, SuiteSettings

SANDBOX_PUBLIC_ID: Final = "pk_cinema_sandbox"
DEMO_ACCOUNT: Final = "40702810000000000000"  # of no bank: where transfers go outside production


class Settings(SuiteSettings):
    """Names are the environment variables in lower case; secrets also as ``NAME_FILE``."""

    service_name: str = "pay-api"
    database_url: SecretStr
    jwks_url: str = "http://127.0.0.1:8001/.well-known/jwks.json"
    public_url: str = "http://127.0.0.1:8080"
    cloudpayments_api_url: str = "http://127.0.0.1:8005"
    cloudpayments_public_url: str = "http://127.0.0.1:8005"
    cloudpayments_public_id: str = SANDBOX_PUBLIC_ID
    cloudpayments_api_secret: SecretStr = SecretStr("cinema-sandbox-secret")
    # 54-FZ tax system of the seller: 0 general, 1-2 simplified, 4 agricultural, 5 patent.
    cloudpayments_taxation_system: int = 0
    # This process's share of the calls the provider takes at once (5 for a test terminal, 30 for a live one).
    cloudpayments_concurrent_calls: int = 2
    # A payer's bank transfer goes there. Left out: the demonstration's account, in production no transfers.
    bank_transfer_recipient: str = "ООО «Кинотеатр»"
    bank_transfer_inn: str = ""
    bank_transfer_account: str | None = None
    bank_transfer_bank: str = ""
    bank_transfer_bic: str = ""
    bank_transfer_correspondent_account: str = ""
    # Failures in a row after which nothing new is sent to a provider for a while.
    provider_breaker_failures: int = timeouts.BREAKER_FAILURES
    token_encryption_key: SecretStr
    link_signing_key: SecretStr

    @property
    def pages_url(self) -> str:
        """Where a browser reaches PayAPI: behind the gateway."""
        return f"{self.public_url.rstrip('/')}/pay-api"

    @property
    def transfer_account(self) -> str:
        """The number of the account transfers go to; empty: they are not offered."""
        if self.bank_transfer_account is not None:
            return self.bank_transfer_account
        return "" if self.is_production else DEMO_ACCOUNT

    @property
    def asyncpg_dsn(self) -> str:
        return self.database_url.get_secret_value()

    def refuse_unsafe(self) -> None:
        """Besides the rules of the suite: production never talks to the sandbox."""
        super().refuse_unsafe()
        if not self.is_production:
            return
        self.require_callers()
        terminal = self.cloudpayments_public_id.lower()
        if "sandbox" in terminal or terminal.startswith("test"):
            raise ConfigurationRefused("CLOUDPAYMENTS_PUBLIC_ID", "a terminal of tests")
        if self.bank_transfer_account == DEMO_ACCOUNT:
            raise ConfigurationRefused("BANK_TRANSFER_ACCOUNT", "the demonstration's account")
        for name in ("cloudpayments_api_url", "cloudpayments_public_url"):
            self.require_https(name, "not an https address of the provider")
            if "sandbox" in getattr(self, name).lower():
                raise ConfigurationRefused(name.upper(), "the sandbox")
        self.require_https("public_url", "browsers must reach payment pages over https")
        try:
            Fernet(self.token_encryption_key.get_secret_value())
        except ValueError:
            raise ConfigurationRefused("TOKEN_ENCRYPTION_KEY", "not a Fernet key") from None
