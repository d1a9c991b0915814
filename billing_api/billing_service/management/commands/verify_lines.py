"""``manage verify_lines``: recomputes every invoice line from its stored inputs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing_api.billing_service.database import atomic
from billing_api.billing_service.line_proof import LineProof


class Command(BaseCommand):
    help = "Recomputes every invoice line and amount due from the stored steps; ends with 1 if one differs."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        proof, broken = LineProof(), 0
        with atomic():
            for one in proof.broken():
                broken += 1
                self.stderr.write(f"BROKEN {one}")
        if broken:
            raise CommandError(f"{broken} figures of {proof.invoices} invoices do not follow.")
        self.stdout.write(f"{proof.lines} lines of {proof.invoices} invoices: every figure follows.")
