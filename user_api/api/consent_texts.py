"""The texts of the consent to automatic charges, for whoever shows them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from shared.asgi import problem_responses
from shared.errors import not_found
from user_api.api.language import Language, RequestLanguage
from user_api.user_service import consent_texts

router = APIRouter(prefix="/v1/consent-texts", tags=["consent texts"])


class ConsentTextView(BaseModel):
    """``version`` is what a consent names as ``text_version``; ``sha256`` is of ``text`` in UTF-8."""

    version: str
    language: Language
    text: str
    sha256: str


@router.get("/{version}", responses=problem_responses(404))
async def get_consent_text(
    version: Annotated[str, Path(max_length=200)], language: RequestLanguage, response: Response
) -> ConsentTextView:
    """The text to show, in the language of ``Accept-Language``; ``current`` is the version of today."""
    found = consent_texts.find(consent_texts.CURRENT if version == "current" else version, language)
    if found is None:
        raise not_found("consent-text")
    response.headers["Content-Language"] = language
    response.headers["Vary"] = "Accept-Language"
    return ConsentTextView(version=found.version, language=language, text=found.text, sha256=found.sha256)
