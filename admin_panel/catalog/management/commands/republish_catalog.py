"""``republish_catalog``: the full state of every collection and product again, to refill consumers."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from admin_panel.catalog.commands.publish import republish
from admin_panel.settings import clock


class Command(BaseCommand):
    help = "Emits the full state of all collections and products."

    def handle(self, *args: Any, **options: Any) -> None:
        collections, products = republish(clock().now())
        self.stdout.write(f"published again: {collections} collections, {products} products")
