"""``seed_catalog``: films, collections, products, demo staff and a promo code; safe to run again."""

from __future__ import annotations

import time
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from admin_panel.catalog.commands.demo_promo_code import CODE, ensure_promo_code
from admin_panel.catalog.commands.publish import publish_collection, publish_product
from admin_panel.catalog.commands.seed import seed_catalog
from admin_panel.catalog.models import Collection, Product
from admin_panel.databases import BILLING_PAGES, MOVIES
from admin_panel.settings import clock
from admin_panel.staff.demo import LOGINS_FILE, ensure_demo_staff
from billing_api.billing_service.models import Product as BillingProduct

WAIT_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.5


class Command(BaseCommand):
    help = "Fills the Movies database, publishes it, makes demo staff and the promo code CINEMA20."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--without-promo-code", action="store_true", help="do not wait for BillingAPI")

    def handle(self, *args: Any, **options: Any) -> None:
        now = clock().now()
        seeded = seed_catalog(now)
        self.stdout.write(
            f"films {seeded.films}, collections {seeded.collections}, products {seeded.products} made"
        )
        logins = ensure_demo_staff()
        self.stdout.write(
            f"demo staff: {', '.join(logins) or 'none in production'} (passwords: {LOGINS_FILE})"
        )
        collections, products = _publish_new(now)
        self.stdout.write(f"published: {collections} collections, {products} products")
        if options["without_promo_code"]:
            return
        _wait_for_billing()
        made = ensure_promo_code(clock().now())
        self.stdout.write(f"promo code {CODE} {'made' if made else 'is there'}")


def _publish_new(now: Any) -> tuple[int, int]:
    """Publishes what never was; a second run publishes nothing."""
    collections = list(
        Collection.objects.using(MOVIES).filter(published_at=None).values_list("pk", flat=True)
    )
    for pk in collections:
        publish_collection(pk, now)
    products = list(
        Product.objects.using(MOVIES)
        .filter(published_at=None, status=Product.Status.DRAFT)
        .order_by("rank")
        .values_list("pk", flat=True)
    )
    for pk in products:
        publish_product(pk, now)
    return len(collections), len(products)


def _wait_for_billing() -> None:
    """Until BillingAPI has the subscriptions; raises CommandError after WAIT_SECONDS."""
    wanted = set(
        Product.objects.using(MOVIES)
        .filter(kind=Product.Kind.RECURRING, status=Product.Status.PUBLISHED)
        .values_list("pk", flat=True)
    )
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        known = set(BillingProduct.objects.using(BILLING_PAGES).values_list("pk", flat=True))
        if wanted <= known:
            return
        if time.monotonic() > deadline:
            raise CommandError(f"BillingAPI has {len(wanted & known)} of {len(wanted)} products after 60 s")
        time.sleep(_POLL_SECONDS)
