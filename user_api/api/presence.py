"""Whether the owner of a session sits there now, as routes ask before something that matters."""

from __future__ import annotations

from uuid import UUID

from pydantic import SecretStr

from shared.auth import EndUser
from user_api.resources import Resources
from user_api.user_service import consents
from user_api.user_service.confirm_password import confirm_password, require_recent_proof
from user_api.user_service.models import User


async def prove_password(resources: Resources, user_id: UUID, password: SecretStr, address: str) -> User:
    """Raises ``password-incorrect`` (403), ``too-many-attempts`` (429)."""
    return await confirm_password(
        resources.sessions,
        resources.passwords,
        user_id=user_id,
        password=password.get_secret_value(),
        address=address,
        now=resources.clock.now(),
    )


async def prove_change_of_card(
    resources: Resources,
    user: EndUser,
    subscription_id: UUID,
    payment_method_id: UUID | None,
    password: SecretStr | None,
    address: str,
) -> None:
    """As ``prove_presence``, for a consent that replaces the card agreed for its subscription (None: by a new
    one); any other consent needs no proof.
    """
    async with resources.sessions() as session:
        replaces = await consents.replaces_card(session, user.user_id, subscription_id, payment_method_id)
    if replaces or password is not None:
        await prove_presence(resources, user, password, address)


async def prove_presence(
    resources: Resources, user: EndUser, password: SecretStr | None, address: str
) -> None:
    """The password, or a sign-in that is still fresh. Raises ``password-required`` (403) else."""
    if password is not None:
        await prove_password(resources, user.user_id, password, address)
    else:
        require_recent_proof(user)
