"""After whatever happened: everything is quiet, and every book says the same of everybody's money."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.stack import LocalStack
from deploy.progress import Progress
from deploy.time_travel import travel, wait_until_quiet
from tests.e2e.shopper import Shopper
from tests.servers import ROOT

_SOURCED = 'set -a; . "$0"; set +a; exec env "$@"'


def command_in(stack: LocalStack, service: str, *argv: str) -> list[str]:
    """A command line that runs with the settings of one of the stack's processes."""
    file = stack.state.directory / "env" / f"{service}.env"
    return ["/bin/sh", "-c", _SOURCED, str(file), *argv]


async def days_pass(stack: LocalStack, days: float) -> None:
    """Time travel, and whatever is due by then done."""
    await asyncio.to_thread(travel, stack.urls(), stack.operator_tokens(), days, Progress())


async def balance_the_books(stack: LocalStack, shoppers: Sequence[Shopper]) -> None:
    """Provider, PayAPI and the ledger agree on each of them; invariants hold; rights follow from billing."""
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    await asyncio.to_thread(wait_until_quiet, stack.urls(), stack.operator_tokens(), long_ago, Progress(), 90)
    for shopper in shoppers:
        listed = await shopper.stack.operator_get("pay-api", "/v1/payments", user_id=shopper.id, limit="100")
        ours = sum(one["captured"]["amount"] - one["refunded"]["amount"] for one in listed["items"])
        account = await shopper.stack.operator_get("billing-api", f"/internal/v1/accounts/{shopper.id}")
        billed = account["received"]["amount"] - account["refunded"]["amount"]
        provider = await shopper.net()
        assert provider == ours == billed, (shopper.id, provider, ours, billed)
    invariants = await shoppers[0].stack.operator_get("billing-api", "/internal/v1/invariants")
    assert invariants["holds"], [one for one in invariants["items"] if not one["holds"]]
    await rights_are_right(stack)


async def rights_are_right(stack: LocalStack) -> None:
    """The rebuild command, against the real BillingAPI, finds no difference in anybody's rights."""
    rebuild = [sys.executable, "-m", "user_api.rebuild_access", "--dry-run"]
    argv = command_in(stack, "user-worker", *rebuild)
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=ROOT, env=dict(os.environ), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


def log_of(stack: LocalStack, service: str) -> Path:
    """Where a process of the stack writes."""
    return stack.log_files(service)[0]
