"""Whether the owner of a session sits there now."""

from __future__ import annotations

from pydantic import SecretStr

from shared.auth import EndUser
from user_api.resources import Resources
from user_api.user_service.confirm_password import require_recent_proof


async def prove_presence(
    resources: Resources, user: EndUser, password: SecretStr | None, address: str
) -> None:
    """Raises ``password-required`` and ``password-incorrect`` (403), ``too-many-attempts`` (429)."""
    await require_recent_proof(
        resources.sessions,
        resources.passwords,
        user=user,
        password=password.get_secret_value() if password is not None else None,
        address=address,
        now=resources.clock.now(),
    )
