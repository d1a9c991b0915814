"""What tests ask of AdminPanel's Django; ``python -m tests.admin_panel.inside <function>`` prints JSON."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "admin_panel.config.settings")


def router() -> dict[str, Any]:
    """Where models are read and written, inside a command's transaction and outside."""
    from django.contrib.auth.models import User as Staff
    from django.db import router as routing
    from django.db import transaction

    from admin_panel.catalog.models import Movie
    from admin_panel.users.models import User
    from billing_api.billing_service.models import Invoice

    where = {
        model.__name__: [routing.db_for_read(model), routing.db_for_write(model)] for model in (Movie, User)
    }
    where["Staff"] = [routing.db_for_read(Staff), routing.db_for_write(Staff)]
    where["Invoice"] = [routing.db_for_read(Invoice), routing.db_for_write(Invoice)]
    with transaction.atomic(using="billing"):
        where["Invoice in a command"] = [routing.db_for_read(Invoice), routing.db_for_write(Invoice)]
    migrates = {
        alias: [
            app
            for app in ("auth", "sessions", "catalog", "users", "billing_service")
            if routing.allow_migrate(alias, app)
        ]
        for alias in ("default", "movies", "users", "billing", "billing_ro")
    }
    return {"where": where, "migrates": migrates, "relation": routing.allow_relation(Movie(), Staff())}


def read_only() -> dict[str, str]:
    """What the server answers to a write through each read-only alias."""
    from django.db import DatabaseError, connections

    answers = {}
    for alias, table in (("billing_ro", "invoice"), ("users", "users")):
        try:
            with connections[alias].cursor() as cursor:
                cursor.execute(f"UPDATE {table} SET updated_at = updated_at")
            answers[alias] = "written"
        except DatabaseError as error:
            answers[alias] = type(error.__cause__).__name__
    return answers


def commands_role() -> dict[str, str]:
    """What the role of commands may not do."""
    from django.db import DatabaseError, connections

    answers = {}
    for name, sql in (
        ("delete an invoice", "DELETE FROM invoice"),
        ("change a ledger entry", "UPDATE ledger_entry SET amount_minor = 1"),
        ("delete a ledger entry", "DELETE FROM ledger_entry"),
    ):
        try:
            with connections["billing"].cursor() as cursor:
                cursor.execute(sql)
            answers[name] = "done"
        except DatabaseError as error:
            answers[name] = type(error.__cause__).__name__
    return answers


def matrix() -> dict[str, dict[str, str]]:
    """group -> model -> which of v(iew) a(dd) c(hange) d(elete) it may, by every page of the site."""
    from django.contrib import admin
    from django.contrib.auth import get_user_model
    from django.test import RequestFactory

    found: dict[str, dict[str, str]] = {}
    for group in ("viewer", "support", "finance", "marketing", "admin"):
        request = RequestFactory().get("/admin/")
        request.user = get_user_model().objects.get(username=group)
        found[group] = {}
        for model, page in admin.site._registry.items():
            allowed = {
                "v": page.has_view_permission(request),
                "a": page.has_add_permission(request),
                "c": page.has_change_permission(request),
                "d": page.has_delete_permission(request),
            }
            letters = "".join(letter for letter, may in allowed.items() if may)
            found[group][model._meta.label_lower] = letters
    return found


def addresses() -> list[str]:
    """Every address of the site, as its templates with the parts still to be filled in: ``admin/x/<id>/``."""
    from django.urls import URLPattern, get_resolver

    found: list[str] = []

    def walk(patterns: Any, prefix: str) -> None:
        for pattern in patterns:
            route = prefix + str(pattern.pattern)
            if isinstance(pattern, URLPattern):
                found.append(route)
            else:
                walk(pattern.url_patterns, route)

    walk(get_resolver().url_patterns, "")
    return sorted(set(found))


def queries_of_lists() -> dict[str, list[int]]:
    """Page -> statements its list takes with one row on it, and with all: [1 row, all rows, rows]."""
    from contextlib import ExitStack

    from django.conf import settings
    from django.contrib import admin
    from django.contrib.auth import get_user_model
    from django.db import connections
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.urls import reverse

    from admin_panel.sections.base import ReadOnlyAdmin

    settings.ALLOWED_HOSTS = ["*"]
    client = Client()
    client.force_login(get_user_model().objects.get(username="admin"))
    told: dict[str, list[int]] = {}
    for model, page in admin.site._registry.items():
        if not isinstance(page, ReadOnlyAdmin):
            continue
        rows = model._default_manager.using(page.alias).count()
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        counts = []
        for shown in (1, 50):
            page.list_per_page = shown
            client.get(address)
            with ExitStack() as stack:
                caught = [stack.enter_context(CaptureQueriesContext(one)) for one in connections.all()]
                answer = client.get(address)
            assert answer.status_code == 200, (address, answer.status_code)
            counts.append(sum(len(one) for one in caught))
        told[model._meta.label_lower] = [*counts, rows]
    return told


def given_up() -> dict[str, Any]:
    """An action whose transaction the database gives up at first: how often it ran, and what came of it."""
    from datetime import UTC, datetime
    from uuid import UUID

    from django.db import connections

    from admin_panel.actions.account import GrantGoodwill
    from admin_panel.actions.base import Order
    from billing_api.billing_service.models import AuditRecord
    from shared.ids import new_id
    from tests.admin_panel.world import build

    told: dict[str, Any] = {}
    runs = 0

    class Unlucky(GrantGoodwill):
        def command(self, order: Order, *, preview: bool) -> Any:
            nonlocal runs
            runs += 1
            result = super().command(order, preview=preview)
            if runs == 1:
                with connections["billing"].cursor() as cursor:
                    cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$")
            return result

    subject_id = UUID(build()["account_id"])
    action = Unlucky()
    order = Order(
        subject=action.subject(subject_id),
        subject_id=subject_id,
        values={"amount": 100},
        sent={"amount": "1.00"},
        reason="asked",
        staff_id=1,
        staff_name="olga",
        key=new_id(),
        now=datetime(2026, 3, 15, tzinfo=UTC),
    )
    for step in ("previewed", "done"):
        runs = 0
        answer = getattr(action, step)(order)
        told[step] = [runs, answer if isinstance(answer, bool) else True]
    told["written"] = AuditRecord.objects.filter(actor_id="olga").count()
    return told


class _Stopped(RuntimeError):
    pass


def _without_reason(recording: Any, *given: Any) -> Any:
    query, said = recording(*given)
    return query, said | {"reason": None}


def failures() -> dict[str, Any]:
    """Runs every command of the actions with a failure at its end; gives how each ended and what was left."""
    import importlib
    from dataclasses import replace
    from functools import partial
    from uuid import UUID

    from django.db import IntegrityError

    from admin_panel.settings import clock
    from billing_api.billing_service.actors import Actor
    from billing_api.billing_service.commands.assign_discount import DiscountTerms
    from shared.money import Money
    from tests.admin_panel.world import build

    world = build()
    user, paid = UUID(world["user_id"]), UUID(world["paid_invoice_id"])
    terms = DiscountTerms(kind="percentage", value=1000)
    calls: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
        "adjust_charge": ((paid, Money(-100)), {}),
        "grant_goodwill": ((user, Money(100)), {}),
        "write_off": ((UUID(world["open_invoice_id"]),), {}),
        "void_invoice": ((UUID(world["open_invoice_id"]),), {}),
        "refund_payment": ((UUID(world["payment_id"]), Money(100)), {}),
        "assign_discount": ((user, terms), {}),
        "create_promo_codes": ((terms,), {"count": 3}),
        "create_promotion": ((replace(terms, label="Failing"),), {}),
        "end_promotion": ((UUID(world["promotion_id"]),), {}),
        "resolve_review_item": ((UUID(world["review_item_id"]),), {}),
        "extend_subscription": ((UUID(world["subscription_id"]),), {"days": 3}),
    }

    def stop(*_: Any, **__: Any) -> None:
        raise _Stopped

    ended = {}
    before = _counts()
    for name, (arguments, options) in calls.items():
        module = importlib.import_module(f"billing_api.billing_service.commands.{name}")
        # its audit is the last thing a command writes; within one statement the database refuses it
        audit = "recording_posting" if hasattr(module, "recording_posting") else "record"
        keeping = getattr(module, audit)
        setattr(module, audit, partial(_without_reason, keeping) if audit == "recording_posting" else stop)
        try:
            getattr(module, name)(
                *arguments, **options, actor=Actor("staff", "test"), reason="a test", now=clock().now()
            )
            ended[name] = "done"
        except (_Stopped, IntegrityError):
            ended[name] = "stopped"
        finally:
            setattr(module, audit, keeping)
    return {"ended": ended, "before": before, "after": _counts()}


def published_in_another_currency() -> str:
    """The code with which publishing a product is refused whose price has another currency since."""
    from django.utils import timezone

    from admin_panel.catalog.commands.publish import publish_product
    from admin_panel.catalog.models import Price, Product
    from shared.errors import AppError

    product = Product.objects.using("movies").get(slug="basic")
    price: Price = product.prices.using("movies").get(is_default=True)
    price.currency = "USD"
    price.save(using="movies")
    try:
        publish_product(product.pk, timezone.now())
    except AppError as refusal:
        return refusal.code
    finally:
        price.currency = "RUB"
        price.save(using="movies")
    return ""


def _counts() -> dict[str, int]:
    """How many rows each billing table has."""
    from django.apps import apps

    models = apps.get_app_config("billing_service").get_models()
    return {model.__name__: model._default_manager.using("billing_ro").count() for model in models}


if __name__ == "__main__":
    import django

    django.setup()
    sys.stdout.write(json.dumps(globals()[sys.argv[1]]()) + "\n")
