"""Ends a personal discount.

``/admin/billing_service/personaldiscount/<discount_id>/end/``: ``reason``, ``token``; then ``confirm=1``.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from admin_panel.actions.base import Order, StaffAction, actor
from admin_panel.actions.effects import Row, moment
from admin_panel.actions.forms import ActionForm
from admin_panel.actions.subjects import load
from admin_panel.sections.formats import page_url, terms_text
from billing_api.billing_service.commands.end_discount import end_discount
from billing_api.billing_service.models import PersonalDiscount


class EndDiscount(StaffAction):
    slug = "end"
    permission = "end_discount"
    title = _("End the discount")
    icon = "event_busy"
    form = ActionForm

    def subject(self, subject_id: Any) -> PersonalDiscount:
        return load(PersonalDiscount, subject_id)

    def subject_text(self, subject: Any) -> str:
        return str(terms_text(subject))

    def subject_url(self, subject: PersonalDiscount) -> str:
        return page_url("billing_service_personaldiscount", subject.pk)

    def command(self, order: Order, *, preview: bool) -> Any:
        return end_discount(
            order.subject.pk, actor=actor(order), reason=order.reason, preview=preview, now=order.now
        )

    def rows(self, order: Order, result: Any) -> list[Row]:
        return [
            Row(_now("Discount"), terms_text(order.subject)),
            Row(_now("Ends"), moment(result.ended_at)),
            Row(_now("Invoices"), _now("those issued keep it, later ones do not get it")),
        ]
