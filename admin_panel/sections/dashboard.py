"""The key figures of the first page, for those who may see them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from admin_panel.databases import BILLING_PAGES
from admin_panel.sections import documents
from admin_panel.sections.base import Table
from admin_panel.sections.formats import money_text
from admin_panel.settings import clock
from billing_api.billing_service.models import Invoice, Payment, ReviewItem, Subscription

PERIOD_DAYS = 30


def figures(request: HttpRequest) -> dict[str, Any]:
    """The context of the dashboard: cards and tables; empty for staff without the permission."""
    if not request.user.has_perm("billing_service.view_invoice"):
        return {"cards": [], "tables": []}
    since = clock().now() - timedelta(days=PERIOD_DAYS)
    return {"cards": _cards(since), "tables": list(_tables()), "figures_days": PERIOD_DAYS}


def _list(model: str, query: str = "") -> str:
    return reverse(f"admin:billing_service_{model}_changelist") + query


def _cards(since: datetime) -> list[dict[str, Any]]:
    subscriptions = dict(
        Subscription.objects.using(BILLING_PAGES)
        .filter(kind="recurring")
        .values_list("status")
        .annotate(Count("pk"))
    )
    payments = Payment.objects.using(BILLING_PAGES)
    received = payments.filter(posted_at__gte=since).aggregate(sum=Sum("captured_minor"))["sum"] or 0
    attempts = dict(payments.filter(created_at__gte=since).values_list("status").annotate(Count("pk")))
    unpaid = Invoice.objects.using(BILLING_PAGES).filter(status="open")
    due = unpaid.aggregate(sum=Sum("amount_due_minor"), count=Count("pk"))
    reviews = ReviewItem.objects.using(BILLING_PAGES).filter(resolved_at=None).count()
    return [
        {
            "title": _("Active subscriptions"),
            "value": subscriptions.get("active", 0) + subscriptions.get("trialing", 0),
            "note": _("past due: %(count)s") % {"count": subscriptions.get("past_due", 0)},
            "url": _list("subscription", "?status=active"),
        },
        {
            "title": _("Received in 30 days"),
            "value": money_text(received),
            "note": _("declined payments: %(count)s") % {"count": attempts.get("failed", 0)},
            "url": _list("payment", "?status=succeeded"),
        },
        {
            "title": _("Unpaid invoices"),
            "value": money_text(due["sum"] or 0),
            "note": _("invoices: %(count)s") % {"count": due["count"]},
            "url": _list("invoice", "?status=open"),
        },
        {
            "title": _("Needs a look"),
            "value": reviews,
            "note": _("late money, overpayments, set aside"),
            "url": _list("reviewitem", "?state=open"),
        },
        {
            "title": _("Payments to clear up"),
            "value": payments.filter(status="needs_review").count(),
            "note": _("the provider's word contradicts what was asked"),
            "url": _list("payment", "?status=needs_review"),
        },
    ]


def _tables() -> list[Table]:
    return [
        documents.payments(Payment.objects.all()),
        documents.invoices(Invoice.objects.all()),
    ]
