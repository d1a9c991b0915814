"""The OpenAPI document's own touches: problems every operation may answer, headers of writes."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from drf_spectacular.renderers import OpenApiJsonRenderer2
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from drf_spectacular.views import SpectacularJSONAPIView
from rest_framework import serializers

from billing_api.api import problems
from billing_api.api.permissions import METHODS
from shared import docs_pages, problem

_REFERENCE: Final = {"$ref": "#/components/schemas/Problem"}
_EVERYWHERE: Final = (400, 401, 403, 413, 500, 503)
_OF_WRITES: Final = (409, 415, 422)

IDEMPOTENCY_KEY: Final = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    required=True,
    description="The same key and body gives the same answer; it is kept at least 7 days.",
)


@cache
def page_of(body: type[serializers.Serializer[Any]]) -> serializers.Serializer[Any]:
    """The documented form of a list of ``body``."""
    fields: dict[str, Any] = {
        "items": body(many=True),
        "next_cursor": serializers.CharField(allow_null=True),
    }
    return inline_serializer(f"{body.__name__}Page", fields)


def add_problems(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A postprocessing hook of drf-spectacular: documents problem details on every operation."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = problem.SCHEMA
    for path, operations in result.get("paths", {}).items():
        for method, operation in operations.items():
            if method not in ("get", "post", "put", "patch", "delete"):
                continue
            statuses = set(_EVERYWHERE)
            if method != "get":
                statuses.update(_OF_WRITES)
            if "{" in path:
                statuses.add(404)
            if operation.get("parameters"):
                statuses.add(422)
            for status in sorted(statuses):
                operation["responses"].setdefault(str(status), _problem_response(status))
    return result


def _problem_response(status: int) -> dict[str, Any]:
    words = problem.CODE_OF_STATUS.get(status, "problem").replace("-", " ").capitalize()
    return {"description": words, "content": {problem.CONTENT_TYPE: {"schema": _REFERENCE}}}


class OpenApiDocument(SpectacularJSONAPIView):
    """/openapi.json, as plain JSON."""

    renderer_classes = [OpenApiJsonRenderer2]  # noqa: RUF012 - as its base declares it
    http_method_names = METHODS


def show_docs(request: HttpRequest) -> HttpResponse:
    """/docs: the reference page every service has."""
    if request.method not in ("GET", "HEAD"):
        return problems.of_status(405, "Method Not Allowed", {"Allow": "GET, HEAD"})
    served = docs_pages.page("BillingAPI")
    return HttpResponse(served.body, headers=dict(served.headers))


def show_docs_asset(request: HttpRequest, name: str) -> HttpResponse:
    """/docs/assets/<name>: its scripts and styles."""
    if request.method not in ("GET", "HEAD"):
        return problems.of_status(405, "Method Not Allowed", {"Allow": "GET, HEAD"})
    served = docs_pages.asset(name, request.headers.get("Accept-Encoding", ""))
    if served is None:
        return problems.of_status(404)
    return HttpResponse(served.body, headers=dict(served.headers))
