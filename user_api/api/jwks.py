"""Publishes the public keys of access tokens."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from user_api.api.deps import AppResources

router = APIRouter(tags=["keys"])


@router.get("/.well-known/jwks.json")
async def get_jwks(resources: AppResources) -> JSONResponse:
    """Keys that access tokens are verified with (RFC 7517, RFC 8037)."""
    document: dict[str, Any] = resources.access_tokens.jwks
    return JSONResponse(document, headers={"Cache-Control": "public, max-age=60"})
