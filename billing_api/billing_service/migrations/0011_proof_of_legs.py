# ruff: noqa: RUF012
"""What each leg must be is proven with its posting, no longer by constraints of each row."""

from pathlib import Path

from django.db import migrations

PROOF = Path(__file__).with_name("proof.sql").read_text(encoding="utf-8")
_LINKS = Path(__file__).with_name("links.sql").read_text(encoding="utf-8")
# The function as migration 0010 made it.
PROOF_BEFORE = _LINKS[
    _LINKS.index("CREATE OR REPLACE FUNCTION billing_check_posting") : _LINKS.index("-- Called by")
]


class Migration(migrations.Migration):
    dependencies = [("billing_service", "0010_links")]

    operations = [
        migrations.RunSQL([PROOF], [PROOF_BEFORE]),
        migrations.RemoveConstraint(model_name="ledgertransaction", name="ledger_transaction_two_legs"),
        migrations.RemoveConstraint(model_name="ledgerentry", name="ledger_entry_not_zero"),
        migrations.RemoveConstraint(model_name="ledgerentry", name="ledger_entry_chained"),
    ]
