"""Every route of BillingAPI, by noun."""

from __future__ import annotations

from django.urls import path, register_converter
from django.urls.converters import UUIDConverter

from billing_api.api import (
    accounts,
    adjustments,
    credit_notes,
    documents,
    health,
    invoices,
    me,
    payments,
    problems,
    quiescence,
    runs,
    subscriptions,
)


class IdConverter(UUIDConverter):
    """An id in either case: RFC 9562 takes both, and some clients write capitals."""

    regex = UUIDConverter.regex.replace("a-f", "a-fA-F")


register_converter(IdConverter, "id")

urlpatterns = [
    # What is asked most stands first: patterns are tried in turn.
    path("internal/v1/invoices/<id:invoice_id>", invoices.Invoice.as_view()),
    path("internal/v1/invoices/<id:invoice_id>/proof", invoices.InvoiceProof.as_view()),
    path("internal/v1/invoices", invoices.Invoices.as_view()),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", health.show_metrics),
    path("openapi.json", documents.OpenApiDocument.as_view(), name="schema"),
    path("docs", documents.show_docs),
    path("docs/assets/<str:name>", documents.show_docs_asset),
    path("v1/me/account", me.MyAccount.as_view()),
    path("v1/me/invoices", me.MyInvoices.as_view()),
    path("v1/me/invoices/<id:invoice_id>", me.MyInvoice.as_view()),
    path("v1/me/invoices/<id:invoice_id>.pdf", me.MyInvoiceDocument.as_view()),
    path("v1/me/invoices/<id:invoice_id>/proof", me.MyInvoiceProof.as_view()),
    path("v1/me/credit-notes", credit_notes.MyCreditNotes.as_view()),
    path("v1/me/credit-notes/<id:credit_note_id>", credit_notes.MyCreditNote.as_view()),
    path("v1/me/credit-notes/<id:credit_note_id>.pdf", credit_notes.MyCreditNoteDocument.as_view()),
    path("v1/me/charges", me.MyCharges.as_view()),
    path("v1/me/payments", me.MyPayments.as_view()),
    path("v1/me/statement", me.MyStatement.as_view()),
    path("internal/v1/quotes", subscriptions.Quotes.as_view()),
    path("internal/v1/subscriptions", subscriptions.Subscriptions.as_view()),
    path("internal/v1/subscriptions/<id:subscription_id>", subscriptions.Subscription.as_view()),
    path(
        "internal/v1/subscriptions/<id:subscription_id>/abandon",
        subscriptions.AbandonSubscription.as_view(),
    ),
    path("internal/v1/subscriptions/<id:subscription_id>/cancel", subscriptions.CancelSubscription.as_view()),
    path(
        "internal/v1/subscriptions/<id:subscription_id>/reactivate",
        subscriptions.ReactivateSubscription.as_view(),
    ),
    path("internal/v1/subscriptions/<id:subscription_id>/pause", subscriptions.PauseSubscription.as_view()),
    path("internal/v1/subscriptions/<id:subscription_id>/resume", subscriptions.ResumeSubscription.as_view()),
    path(
        "internal/v1/subscriptions/<id:subscription_id>/change-product",
        subscriptions.ChangeProduct.as_view(),
    ),
    path(
        "internal/v1/subscriptions/<id:subscription_id>/abandon-change",
        subscriptions.AbandonChange.as_view(),
    ),
    path("internal/v1/payments", payments.Payments.as_view()),
    path("internal/v1/payments/<id:payment_id>/cancellations", payments.Cancellations.as_view()),
    path("internal/v1/accounts/<id:user_id>", accounts.AccountView.as_view()),
    path("internal/v1/access-bases", accounts.AccessBases.as_view()),
    path("internal/v1/invoices/<id:invoice_id>/adjustments", adjustments.AdjustCharge.as_view()),
    path("internal/v1/invoices/<id:invoice_id>/write-off", adjustments.WriteOff.as_view()),
    path("internal/v1/invoices/<id:invoice_id>/void", adjustments.VoidInvoice.as_view()),
    path("internal/v1/payments/<id:payment_id>/refunds", adjustments.RefundPayment.as_view()),
    path("internal/v1/accounts/<id:user_id>/goodwill", adjustments.GrantGoodwill.as_view()),
    path("internal/v1/subscriptions/<id:subscription_id>/extend", adjustments.ExtendSubscription.as_view()),
    path(
        "internal/v1/subscriptions/<id:subscription_id>/bill-again",
        adjustments.ReleaseSubscription.as_view(),
    ),
    path("internal/v1/billing-runs", runs.BillingRuns.as_view()),
    path("internal/v1/billing-runs/<id:run_id>", runs.BillingRunView.as_view()),
    path("internal/v1/billing-runs/<id:run_id>/shards/<int:shard>", runs.BillingShard.as_view()),
    path("internal/v1/collection-runs", runs.CollectionRuns.as_view()),
    path("internal/v1/maintenance-runs", runs.MaintenanceRuns.as_view()),
    path("internal/v1/invariants", runs.Invariants.as_view()),
    path("internal/v1/quiescence", quiescence.Quiescence.as_view()),
]

handler400 = problems.on_bad_request
handler404 = problems.on_not_found
handler500 = problems.on_error
