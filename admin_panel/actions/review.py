"""Resolves what a person was asked to look at.

``/admin/billing_service/reviewitem/<review_item_id>/resolve/``: ``reason``, ``token``; then ``confirm=1``.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from admin_panel.actions.base import Order, StaffAction, actor
from admin_panel.actions.effects import Row
from admin_panel.actions.forms import ActionForm
from admin_panel.actions.subjects import load
from admin_panel.databases import BILLING_PAGES
from admin_panel.sections.formats import page_url
from admin_panel.sections.words import word
from billing_api.billing_service.commands.resolve_review_item import resolve_review_item
from billing_api.billing_service.models import ReviewItem


class ResolveReviewItem(StaffAction):
    slug = "resolve"
    permission = "resolve_review_item"
    title = _("Resolve")
    icon = "task_alt"
    form = ActionForm
    warning = _("Nothing else changes: what the finding asks for is done by its own action first.")

    @classmethod
    def is_offered(cls, subject_id: UUID | None) -> bool:
        if subject_id is None:
            return False
        return ReviewItem.objects.using(BILLING_PAGES).filter(pk=subject_id, resolved_at=None).exists()

    def subject(self, subject_id: Any) -> ReviewItem:
        return load(ReviewItem, subject_id)

    def subject_text(self, subject: Any) -> str:
        return word(subject.kind)

    def subject_url(self, subject: ReviewItem) -> str:
        return page_url("billing_service_reviewitem", subject.pk)

    def command(self, order: Order, *, preview: bool) -> Any:
        return resolve_review_item(
            order.subject.pk, actor=actor(order), reason=order.reason, preview=preview, now=order.now
        )

    def rows(self, order: Order, result: Any) -> list[Row]:
        return [
            Row(_now("Finding"), word(order.subject.kind)),
            Row(_now("State"), word("resolved"), word("open")),
        ]
