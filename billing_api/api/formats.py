"""Reads and writes JSON: UTF-8 only, no NaN, nothing guessed from headers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import IO, Any, Final, NoReturn

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.utils.encoders import JSONEncoder

_OTHERS: Final = JSONEncoder()  # moments, ids and the rest look as REST framework writes them


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


class StrictJsonParser(BaseParser):
    """``application/json`` in UTF-8; an empty body is an empty object."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            text = stream.read().decode("utf-8")
            return json.loads(text, parse_constant=_refuse) if text.strip() else {}
        except (ValueError, RecursionError) as error:
            raise ParseError("The body is not valid JSON.") from error


class PlainJsonRenderer(BaseRenderer):
    """JSON as the other services write it. Whatever a client says it accepts, it gets JSON."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None:
            return b""
        return orjson.dumps(data, _OTHERS.default, orjson.OPT_PASSTHROUGH_DATETIME)


class FirstFormat(BaseContentNegotiation):
    """A view answers in its first format; an unusual Accept header is no reason to refuse."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        wanted = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == wanted), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, str(first.media_type)
