"""/healthz, /readyz and /metrics of admin-panel, outside /admin/."""

from __future__ import annotations

import asyncio

from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from admin_panel.databases import ADMIN, BILLING_PAGES, MOVIES, USERS
from shared import metrics
from shared.health import Check, Health

_OWN = (ADMIN, MOVIES)
_migrated: set[str] = set()


def check_database(alias: str) -> None:
    """Raises when the database does not answer or, being our own, lacks a migration."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    if alias in _OWN and alias not in _migrated:  # migrations are never undone under a running service
        executor = MigrationExecutor(connection)
        targets = [
            node for node in executor.loader.graph.leaf_nodes() if (node[0] == "catalog") == (alias == MOVIES)
        ]
        if executor.migration_plan(targets):
            raise RuntimeError("migrations are pending")
        _migrated.add(alias)


def _outcome(alias: str) -> Check:
    """A check already made (Django's connections belong to this thread) as an answer for Health."""
    failure: Exception | None = None
    try:
        check_database(alias)
    except Exception as error:
        failure = error

    async def told() -> None:
        if failure is not None:
            raise failure

    return told


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "alive"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    health = Health(
        required={"admin": _outcome(ADMIN), "movies": _outcome(MOVIES)},
        others={"billing": _outcome(BILLING_PAGES), "users": _outcome(USERS)},
    )
    ready, body = asyncio.run(health.report())
    return JsonResponse(body, status=200 if ready else 503)


@require_safe
def show_metrics(request: HttpRequest) -> HttpResponse:
    body, content_type = metrics.exposition()
    return HttpResponse(body, content_type=content_type)
