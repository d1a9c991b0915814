"""A user's own sessions: list, end one, end all."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, status

from shared.asgi import problem_responses
from shared.errors import not_found
from user_api.api.account_schemas import SessionList, SessionView
from user_api.api.deps import AppResources, CurrentUser
from user_api.user_service.end_sessions import end_all_sessions, end_session

router = APIRouter(prefix="/v1/auth/sessions", tags=["auth"], responses=problem_responses(401))


@router.get("")
async def list_sessions(resources: AppResources, user: CurrentUser) -> SessionList:
    """The live sessions, the one used last first."""
    found = await resources.session_store.list_live(user.user_id, user.epoch, resources.clock.now())
    return SessionList(items=[SessionView.of(session, user.family_id) for session in found])


@router.delete("", status_code=status.HTTP_204_NO_CONTENT)
async def delete_sessions(resources: AppResources, user: CurrentUser) -> None:
    """Ends every session, this one included."""
    await end_all_sessions(
        resources.sessions, resources.session_store, user_id=user.user_id, now=resources.clock.now()
    )


@router.delete("/{session_id}", status_code=status.HTTP_204_NO_CONTENT, responses=problem_responses(404))
async def delete_session(session_id: UUID, resources: AppResources, user: CurrentUser) -> None:
    """Ends one session."""
    store = resources.session_store
    # One's own session is known from the token: it can be ended even while Redis is away.
    if session_id != user.family_id and not await store.belongs(user.user_id, session_id):
        raise not_found("session")
    await end_session(
        resources.sessions,
        store,
        user_id=user.user_id,
        family_id=session_id,
        reason="ended-by-user",
        now=resources.clock.now(),
    )
