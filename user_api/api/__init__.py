"""[UserAPI] The edge for end users and services; every router of the app is in ``ROUTERS``."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from user_api.api import auth, internal_clock, internal_users, jwks, landing, me, quiescence, sessions

ROUTERS: Final[tuple[APIRouter, ...]] = (
    landing.router,
    auth.router,
    sessions.router,
    me.router,
    jwks.router,
    internal_users.router,
    quiescence.router,
)
# Not in the app in production.
DEVELOPMENT_ROUTERS: Final[tuple[APIRouter, ...]] = (internal_clock.router,)
