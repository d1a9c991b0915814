"""The API reference page of every service with its assets, served by the service under a strict policy."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).with_name("docs_assets")
_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
ASSETS: Final = frozenset(
    {"swagger-ui-bundle.js", "swagger-ui.css", "reference.js", "reference.css", "favicon.svg"}
)

# Nothing inline and nothing from elsewhere; `data:` are the icons inside the style sheet.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# Every address is relative to /docs: the page works directly and behind the gateway's prefix.
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="docs/assets/favicon.svg">
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
<link rel="stylesheet" href="docs/assets/reference.css">
</head>
<body>
<div id="reference" data-schema="openapi.json"></div>
<noscript>This page needs JavaScript; the description itself is at openapi.json.</noscript>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/assets/reference.js"></script>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Served:
    """A body with its headers, for whatever framework answers."""

    body: bytes
    headers: Mapping[str, str]


def page(title: str) -> Served:
    """The reference at ``/docs``; it reads ``openapi.json`` beside it."""
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": POLICY}
    return Served(_PAGE.format(title=escape(title)).encode(), headers)


def asset(name: str, accept_encoding: str = "") -> Served | None:
    """A file at ``/docs/assets/<name>``, compressed when the caller can read it; None for any other name."""
    if name not in ASSETS:
        return None
    headers = {
        "Content-Type": _TYPES[Path(name).suffix],
        "Cache-Control": "public, max-age=3600",
        "Vary": "Accept-Encoding",
    }
    if "gzip" in accept_encoding.lower():
        return Served(_compressed(name), {**headers, "Content-Encoding": "gzip"})
    return Served((_FOLDER / name).read_bytes(), headers)


@cache
def _compressed(name: str) -> bytes:
    return gzip.compress((_FOLDER / name).read_bytes(), 6, mtime=0)
