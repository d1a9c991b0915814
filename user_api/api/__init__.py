"""[UserAPI] The edge for end users and services; every router of the app is in ``ROUTERS``."""

from __future__ import annotations

from fastapi import APIRouter

from user_api.api import jwks

ROUTERS: tuple[APIRouter, ...] = (jwks.router,)
