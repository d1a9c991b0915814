"""What a mailer asks for: messages that wait, and the address and link of one of them."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from shared import logs
from shared.asgi import problem_responses
from shared.auth import Service
from shared.errors import forbidden
from user_api.api.deps import AppResources, CallerService
from user_api.user_service.messages import Kind, collect_message, list_waiting

router = APIRouter(prefix="/internal/v1/messages", tags=["internal"], responses=problem_responses(401, 403))
_ALLOWED: Final = {"mailer", "operator"}
_AT_ONCE: Final = 100

log = logs.logger(__name__)


class WaitingMessage(BaseModel):
    """A message nobody has collected; no contacts."""

    id: UUID
    user_id: UUID
    kind: Kind
    created_at: datetime
    expires_at: datetime


class WaitingMessages(BaseModel):
    items: list[WaitingMessage]
    next_cursor: None = None


class LetterView(BaseModel):
    """``link`` is null for a notice. Send it, and keep it nowhere."""

    message_id: UUID
    kind: Kind
    address: str
    locale: str
    full_name: str | None
    link: str | None
    expires_at: datetime


def _only_mailers(caller: Service) -> None:
    if caller.name not in _ALLOWED:
        raise forbidden()


@router.get("")
async def list_messages(resources: AppResources, caller: CallerService) -> WaitingMessages:
    """Messages not collected yet, oldest first, 100 at most: for a mailer that missed the event."""
    _only_mailers(caller)
    async with resources.sessions() as session:
        rows = await list_waiting(session, resources.clock.now(), _AT_ONCE)
    return WaitingMessages(items=[WaitingMessage.model_validate(row, from_attributes=True) for row in rows])


@router.post("/{message_id}/collect", responses=problem_responses(404, 409))
async def collect(message_id: UUID, resources: AppResources, caller: CallerService) -> LetterView:
    """Address and link of a message. Without an Idempotency-Key: an answer with a secret is not stored.

    Asking again makes another link, and the one before is dead.
    """
    _only_mailers(caller)
    letter = await collect_message(
        resources.sessions, message_id, resources.settings.public_url, resources.clock.now()
    )
    log.info("message-collected", message_id=str(message_id), kind=letter.kind.value, caller=caller.name)
    return LetterView.model_validate(letter, from_attributes=True)
