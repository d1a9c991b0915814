"""``manage verify_ledger``: recomputes every hash chain and names the first broken row of each."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing_api.billing_service.ledger_chain_proof import prove_ledger
from billing_api.billing_service.models import Account


class Command(BaseCommand):
    help = "Recomputes the ledger's hash chains, sums and stored balances; ends with 1 if a row is broken."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user-id", help="only the personal account of this user")

    def handle(self, *args: Any, user_id: str | None = None, **options: Any) -> None:
        account_id = None
        if user_id is not None:
            account_id = Account.objects.filter(user_id=user_id).values_list("id", flat=True).first()
            if account_id is None:
                raise CommandError("This user has no personal account.")
        proof = prove_ledger(account_id)
        for row in proof.broken:
            self.stderr.write(f"BROKEN {row}")
        if not proof.holds:
            raise CommandError(f"{len(proof.broken)} of {proof.chains} chains are broken.")
        self.stdout.write(f"{proof.entries} entries in {proof.chains} chains: every hash follows.")
