"""/healthz, /readyz and /metrics of billing-api, outside the documented API."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from billing_api.api import problems
from billing_api.probes import broker_answers, redis_answers
from shared import metrics
from shared.health import Check, Health

_migrated = False


def _only_get(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def guarded(request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return problems.of_status(405, "Method Not Allowed", {"Allow": "GET, HEAD"})
        return view(request)

    return guarded


def check_database() -> None:
    """Raises when the Billing database does not answer or lacks a migration."""
    global _migrated
    connection = connections["billing"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    if not _migrated:  # migrations are never undone under a running service
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise RuntimeError("migrations are pending")
        _migrated = True


def _outcome(check: Callable[[], None]) -> Check:
    """A check already made (Django's connections belong to this thread) as an answer for Health."""
    failure: Exception | None = None
    try:
        check()
    except Exception as error:
        failure = error

    async def told() -> None:
        if failure is not None:
            raise failure

    return told


@_only_get
def healthz(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "alive"})


@_only_get
def readyz(request: HttpRequest) -> HttpResponse:
    health = Health(
        required={"database": _outcome(check_database)},
        others={"redis": redis_answers, "rabbitmq": broker_answers},
    )
    ready, body = asyncio.run(health.report())
    return JsonResponse(body, status=200 if ready else 503)


@_only_get
def show_metrics(request: HttpRequest) -> HttpResponse:
    """This process's figures, or those of all of gunicorn's workers where PROMETHEUS_MULTIPROC_DIR is set."""
    body, content_type = metrics.exposition()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        body = generate_latest(registry)
    return HttpResponse(body, content_type=content_type)
