"""Sets a document as PDF (or PNG to look at): our template, data as JSON, fonts shipped with the project."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any, Final, Literal

import typst

from billing_api.billing_service.documents.letters import shown
from shared.errors import broken_invariant

_HERE: Final = Path(__file__).parent
TEMPLATES: Final = _HERE / "templates"
FONTS: Final = _HERE / "fonts"
# A page costs milliseconds of one core; more at once would only make each of them later.
_AT_ONCE: Final = BoundedSemaphore(2)


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[FONTS])


def set_pdf(template: str, data: Mapping[str, Any], made_at: datetime, *, tagged: bool = True) -> bytes:
    """A PDF/A-2b, ``tagged`` for readers of screens unless it is a part of another document.

    The data never becomes source text, so nothing in it is a command to Typst.

    The same data and moment give the same bytes. Raises ``document-not-set`` (broken invariant).
    """
    (document,) = _compile(template, data, made_at, "pdf", tagged=tagged)
    return document


def set_png(
    template: str, data: Mapping[str, Any], made_at: datetime, pixels_per_inch: float = 110
) -> list[bytes]:
    """The same pages as pictures."""
    return _compile(template, data, made_at, "png", pixels_per_inch)


def _shown(data: Any) -> Any:
    """The data with every text in letters that can be set."""
    if isinstance(data, str):
        return shown(data)
    if isinstance(data, Mapping):
        return {name: _shown(value) for name, value in data.items()}
    return [_shown(value) for value in data] if isinstance(data, (list, tuple)) else data


def _compile(
    template: str,
    data: Mapping[str, Any],
    made_at: datetime,
    kind: Literal["pdf", "png"],
    pixels_per_inch: float | None = None,
    *,
    tagged: bool = True,
) -> list[bytes]:
    with _AT_ONCE:
        compiler = typst.Compiler(
            input=TEMPLATES / f"{template}.typ",
            root=TEMPLATES,
            font_paths=_fonts(),
            ignore_system_fonts=True,
            sys_inputs={"data": json.dumps(_shown(data), ensure_ascii=False)},
        )
        try:
            made, warnings = compiler.compile_with_warnings(
                format=kind,
                ppi=pixels_per_inch,
                pdf_standards="a-2b" if kind == "pdf" else [],
                timestamp=int(made_at.timestamp()),
                pdf_tags=tagged,
            )
        except typst.TypstError as error:
            raise broken_invariant("document-not-set", f"{template}: {error.message}") from error
    if warnings:
        raise broken_invariant("document-not-set", f"{template}: {warnings[0].message}")
    assert made is not None
    return list(made) if isinstance(made, list) else [made]
