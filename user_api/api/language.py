"""The language a client asks for (Accept-Language, RFC 9110), of the two the catalogue has."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import Depends, Header

Language = Literal["ru", "en"]
DEFAULT: Final[Language] = "ru"


def choose(accept_language: str | None) -> Language:
    """The better liked of ru and en; Russian when neither is named. Never fails on what a client sends."""
    weights: dict[str, float] = {}
    for part in (accept_language or "")[:500].split(","):
        tag, _, parameters = part.partition(";")
        quality = parameters.strip().removeprefix("q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        primary = tag.strip().lower().partition("-")[0]
        if 0 < weight <= 1:
            weights.setdefault(primary, weight)
    russian, english = (weights.get(name, weights.get("*", 0.0)) for name in ("ru", "en"))
    return "en" if english > russian else DEFAULT


def get_language(accept_language: Annotated[str | None, Header()] = None) -> Language:
    return choose(accept_language)


RequestLanguage = Annotated[Language, Depends(get_language)]
