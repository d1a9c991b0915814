"""The two-step page of every staff action: form, preview of the effect, confirmation, once per form token."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.admin.sites import AdminSite
from django.core.exceptions import PermissionDenied
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from admin_panel.actions.effects import Row
from admin_panel.actions.forms import ActionForm
from admin_panel.actions.refusals import words_for
from admin_panel.databases import BILLING
from admin_panel.settings import clock
from billing_api.billing_service.actors import Actor
from billing_api.billing_service.database import rerun
from shared import idempotency, logs
from shared.errors import AppError
from shared.ids import new_id

log = logs.logger(__name__)


def actor(order: Order) -> Actor:
    """The member of staff, as BillingService's audit names them."""
    return Actor("staff", order.staff_name)


@dataclass(frozen=True, slots=True)
class Order:
    """What a member of staff asks for: on which row, with which values, why; ``key`` is the form's token."""

    subject: Any
    subject_id: UUID | None
    values: Mapping[str, Any]
    sent: Mapping[str, str]  # the form's fields as the browser sent them
    reason: str
    staff_id: int
    staff_name: str
    key: UUID
    now: datetime


class StaffAction(ABC):
    """One action. Subclasses translate an order into one command and nothing else."""

    slug: ClassVar[str]
    permission: ClassVar[str]
    title: ClassVar[Any]
    icon: ClassVar[str] = "edit"
    warning: ClassVar[Any] = ""
    form: ClassVar[type[ActionForm]]

    def subject(self, subject_id: UUID | None) -> Any:
        """The row the action is about, for its form and heading; raises Http404."""
        return None

    def subject_text(self, subject: Any) -> str:
        """What the page calls it."""
        return str(subject)

    @abstractmethod
    def subject_url(self, subject: Any) -> str:
        """Where its page is: the way back."""

    def form_for(self, subject: Any, data: Any, initial: Mapping[str, Any]) -> ActionForm:
        return self.form(data, initial=dict(initial))

    @abstractmethod
    def command(self, order: Order, *, preview: bool) -> Any:
        """Runs the BillingService command and gives its result."""

    @abstractmethod
    def rows(self, order: Order, result: Any) -> list[Row]:
        """The effect as a person reads it, from the preview's result."""

    @classmethod
    def is_offered(cls, subject_id: UUID | None) -> bool:
        """Whether the row of this id is one the action can be about; else its page has no such button."""
        return True

    def may(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"staff_actions.{self.permission}")

    def view(self, site: AdminSite, request: HttpRequest, subject_id: UUID | None) -> HttpResponse:
        """Answers GET (form) and POST (preview; with ``confirm=1`` the deed)."""
        if not self.may(request):
            raise PermissionDenied
        subject = self.subject(subject_id)
        if request.method != "POST":
            initial = {**request.GET.dict(), "token": new_id()}
            return self._page(site, request, subject, self.form_for(subject, None, initial))
        form = self.form_for(subject, request.POST, {})
        if not form.is_valid() or "back" in request.POST:
            return self._page(site, request, subject, form)
        order = self._order(request, subject, subject_id, form)
        try:
            if request.POST.get("confirm") == "1":
                return self._confirmed(request, subject, order)
            rows = self.rows(order, self.previewed(order))
        except AppError as refusal:
            form.add_error(None, words_for(refusal))
            return self._page(site, request, subject, form)
        return self._page(site, request, subject, form, rows)

    def previewed(self, order: Order) -> Any:
        """The command's decision, nothing written: whatever it did by mistake is rolled back too."""

        def decide() -> Any:
            with transaction.atomic(using=BILLING):
                result = self.command(order, preview=True)
                transaction.set_rollback(True, using=BILLING)
            return result

        return rerun(decide)

    def done(self, order: Order) -> bool:
        """Runs the command once per token, both in one transaction; False: it was done before.

        A transaction that the database gave up for another's sake is done again, as BillingAPI does.
        """
        scope = idempotency.Scope(
            caller=f"staff:{order.staff_id}",
            method="POST",
            path_template=f"/admin/actions/{self.slug}",
            key=str(order.key),
            request_hash=idempotency.hash_request(
                {
                    "sent": dict(order.sent)
                },  # as typed: a default may mean another row once the action is done
                {"subject_id": order.subject_id},
            ),
        )
        return rerun(partial(self._once, order, scope))

    def _once(self, order: Order, scope: idempotency.Scope) -> bool:
        with transaction.atomic(using=BILLING), connections[BILLING].cursor() as cursor:
            claim = idempotency.claim_sync(cursor, scope, order.now)
            if isinstance(claim, idempotency.Replay):
                return False
            self.command(order, preview=False)
            idempotency.complete_sync(cursor, claim.row_id, 200, {}, order.now)
        return True

    def _confirmed(self, request: HttpRequest, subject: Any, order: Order) -> HttpResponse:
        if self.done(order):
            log.info(
                "staff-action", action=self.slug, staff_id=order.staff_id, subject_id=str(order.subject_id)
            )
            messages.success(request, _("Done: %(action)s.") % {"action": self.title})
        else:
            messages.info(request, _("This form was already confirmed; nothing was done twice."))
        return redirect(self.subject_url(subject))

    def _order(self, request: HttpRequest, subject: Any, subject_id: UUID | None, form: ActionForm) -> Order:
        values = {n: v for n, v in form.cleaned_data.items() if n not in ("token", "reason")}
        return Order(
            subject=subject,
            subject_id=subject_id,
            values=values,
            sent={n: form.data[n] for n in form.fields if n != "token" and n in form.data},
            reason=form.cleaned_data["reason"],
            staff_id=int(request.user.pk or 0),
            staff_name=request.user.get_username(),
            key=form.cleaned_data["token"],
            now=clock().now(),
        )

    def _page(
        self,
        site: AdminSite,
        request: HttpRequest,
        subject: Any,
        form: forms.Form,
        rows: list[Row] | None = None,
    ) -> HttpResponse:
        context = {
            **site.each_context(request),
            "title": self.title,
            "action": self,
            "subject": self.subject_text(subject) if subject is not None else "",
            "back_url": self.subject_url(subject),
            "form": form,
            "rows": rows,
            "summary": form.summary() if rows is not None and isinstance(form, ActionForm) else [],
        }
        status = 422 if form.errors else 200
        return TemplateResponse(request, "admin_panel/action.html", context, status=status)
