"""Extends a subscription by days; has one billed again that the billing run set aside.

``/admin/billing_service/subscription/<subscription_id>/extend/``: ``days``, ``reason``, ``token``; then
``confirm=1``. ``…/bill-again/``: ``reason``, ``token``; then ``confirm=1``.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from admin_panel.actions.base import Order, StaffAction, actor
from admin_panel.actions.effects import Row, moment
from admin_panel.actions.forms import ActionForm, number_field
from admin_panel.actions.subjects import load
from admin_panel.sections.formats import localized, page_url
from billing_api.billing_service.commands.extend_subscription import MAX_DAYS, extend_subscription
from billing_api.billing_service.commands.release_subscription import release_subscription
from billing_api.billing_service.models import Subscription


class ExtendForm(ActionForm):
    days = number_field(label=_("Days"), min_value=1, max_value=MAX_DAYS)


class SubscriptionAction(StaffAction):
    """An action on one subscription."""

    def subject(self, subject_id: Any) -> Subscription:
        return load(Subscription, subject_id, "product")

    def subject_text(self, subject: Any) -> str:
        return str(localized(subject.product.title))

    def subject_url(self, subject: Subscription) -> str:
        return page_url("billing_service_subscription", subject.pk)


class ExtendSubscription(SubscriptionAction):
    slug = "extend"
    permission = "extend_subscription"
    title = _("Extend the subscription")
    icon = "more_time"
    form = ExtendForm

    def command(self, order: Order, *, preview: bool) -> Any:
        return extend_subscription(
            order.subject.pk,
            days=order.values["days"],
            actor=actor(order),
            reason=order.reason,
            preview=preview,
            now=order.now,
        )

    def rows(self, order: Order, result: Any) -> list[Row]:
        return [
            Row(_now("Access until"), moment(result.access_until_after), moment(result.access_until_before)),
            Row(_now("Next invoice"), _now("moves by %(days)s days") % {"days": order.values["days"]}),
        ]


class BillAgain(SubscriptionAction):
    slug = "bill-again"
    permission = "release_subscription"
    title = _("Bill again")
    icon = "restart_alt"
    form = ActionForm

    def command(self, order: Order, *, preview: bool) -> Any:
        return release_subscription(
            order.subject.pk, actor=actor(order), reason=order.reason, preview=preview, now=order.now
        )

    def rows(self, order: Order, result: Any) -> list[Row]:
        return [
            Row(_now("Failures in a row"), "0", str(result.failures)),
            Row(_now("Last error"), result.last_error or "—"),
            Row(
                _now("Next invoice"),
                _now("with the next billing run, from %(moment)s")
                % {"moment": moment(result.next_invoice_at)},
            ),
        ]
