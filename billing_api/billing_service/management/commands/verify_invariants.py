"""``manage verify_invariants``: what must be true of the billing tables, each with the rows that break it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing_api.billing_service.invariants import check_invariants


class Command(BaseCommand):
    help = "Checks every invariant over one snapshot; ends with 1 and the offending rows if one is broken."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        found = check_invariants()
        broken = [one for one in found if not one.holds]
        for one in found:
            self.stdout.write(f"{'ok    ' if one.holds else 'BROKEN'} {one.name}: {one.description}")
            for row in one.offending:
                self.stdout.write(f"         {row}")
        if broken:
            raise CommandError(f"{len(broken)} of {len(found)} invariants are broken.")
