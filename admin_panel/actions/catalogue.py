"""Publishing and retiring: what goes out is shown before it goes.

``/admin/catalog/product/<id>/publish/``, ``…/retire/`` and ``/admin/catalog/collection/<id>/publish/``:
``reason``, ``token``; then ``confirm=1``. The reason is kept in the row's history.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from simple_history.utils import update_change_reason

from admin_panel.actions.base import Order, StaffAction
from admin_panel.actions.effects import Row
from admin_panel.actions.forms import ActionForm
from admin_panel.actions.subjects import load
from admin_panel.catalog.commands.publish import publish_collection, publish_product, retire_product
from admin_panel.catalog.models import Collection, Product
from admin_panel.databases import MOVIES
from admin_panel.sections.formats import money_text, page_url
from admin_panel.sections.words import word

HISTORY_REASON_LENGTH = 100  # of simple-history's column


class CatalogueAction(StaffAction):
    """Its command works in the Movies database; publishing the same state twice changes nothing."""

    form = ActionForm
    permission = "publish_catalogue"

    def previewed(self, order: Order) -> Any:
        return None

    def done(self, order: Order) -> bool:
        update_change_reason(self.command(order, preview=False), order.reason[:HISTORY_REASON_LENGTH])
        return True


class ProductAction(CatalogueAction):
    def subject(self, subject_id: Any) -> Product:
        return load(Product, subject_id, alias=MOVIES)

    def subject_url(self, subject: Product) -> str:
        return page_url("catalog_product", subject.pk)


class PublishProduct(ProductAction):
    slug = "publish"
    title = _("Publish")
    icon = "publish"

    def command(self, order: Order, *, preview: bool) -> Any:
        assert order.subject_id is not None
        return publish_product(order.subject_id, order.now)

    def rows(self, order: Order, result: Any) -> list[Row]:
        prices = ", ".join(
            money_text(price.amount_minor, price.currency)
            + (f" / {price.get_interval_unit_display()}" if price.interval_unit else "")
            for price in order.subject.prices.using(MOVIES).filter(is_active=True)
        )
        return [
            Row(_now("Status"), word("published"), word(order.subject.status)),
            Row(_now("Prices"), prices or "—"),
            Row(_now("Grants"), ", ".join(order.subject.grants)),
        ]


class RetireProduct(ProductAction):
    slug = "retire"
    title = _("Take off sale")
    icon = "visibility_off"

    def command(self, order: Order, *, preview: bool) -> Any:
        assert order.subject_id is not None
        return retire_product(order.subject_id, order.now)

    def rows(self, order: Order, result: Any) -> list[Row]:
        return [
            Row(_now("Status"), word("retired"), word(order.subject.status)),
            Row(_now("Customers"), _now("whoever has it keeps it")),
        ]


class PublishCollection(CatalogueAction):
    slug = "publish"
    title = _("Publish")
    icon = "publish"

    def subject(self, subject_id: Any) -> Collection:
        return load(Collection, subject_id, alias=MOVIES)

    def subject_url(self, subject: Collection) -> str:
        return page_url("catalog_collection", subject.pk)

    def command(self, order: Order, *, preview: bool) -> Any:
        assert order.subject_id is not None
        return publish_collection(order.subject_id, order.now)

    def rows(self, order: Order, result: Any) -> list[Row]:
        return [Row(_now("Films"), str(order.subject.movies.using(MOVIES).count()))]
