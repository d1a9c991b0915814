"""What PayAPI and its worker read from the environment."""

from __future__ import annotations

from typing import Final

from pydantic import SecretStr

from shared.settings import ConfigurationRefused, SuiteSettings

SANDBOX_PUBLIC_ID: Final = "pk_cinema_sandbox"


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
    token_encryption_key: SecretStr
    link_signing_key: SecretStr

    @property
    def pages_url(self) -> str:
        """Where a browser reaches PayAPI: behind the gateway."""
        return f"{self.public_url.rstrip('/')}/pay-api"

    @property
    def asyncpg_dsn(self) -> str:
        return self.database_url.get_secret_value()

    def refuse_unsafe(self) -> None:
        """Besides the rules of the suite: production never talks to the sandbox."""
        super().refuse_unsafe()
        if not self.is_production:
            return
        if "sandbox" in self.cloudpayments_public_id.lower():
            raise ConfigurationRefused("CLOUDPAYMENTS_PUBLIC_ID", "the sandbox's terminal")
        if not self.cloudpayments_api_url.startswith("https://"):
            raise ConfigurationRefused("CLOUDPAYMENTS_API_URL", "not an https address of the provider")
        if "sandbox" in self.cloudpayments_api_url:
            raise ConfigurationRefused("CLOUDPAYMENTS_API_URL", "the sandbox")
        if not self.public_url.startswith("https://"):
            raise ConfigurationRefused("PUBLIC_URL", "browsers must reach payment pages over https")
