"""Command ``python -m user_api.rebuild_access [--dry-run]``: all rights again, by BillingAPI's state."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from shared import logs
from user_api.clients.billing_api import AccessBasis
from user_api.resources import Resources, open_resources
from user_api.settings import Settings
from user_api.user_service.rebuild_access import Difference, compare_user, find_users, rebuild_user


@dataclass(frozen=True, slots=True)
class Summary:
    """``users`` were looked at, ``differing`` had other rights than due, ``repaired`` have not now."""

    users: int
    differing: int
    repaired: int


async def rebuild(resources: Resources, *, dry_run: bool, report: Callable[[Difference], None]) -> Summary:
    """Compares everybody and, but for a dry run, repairs and brings Redis up to date."""
    commerce = resources.commerce
    known = await find_users(commerce)
    bases: dict[UUID, list[AccessBasis]] = {}
    for basis in await commerce.billing_api.access_bases():
        bases.setdefault(basis.user_id, []).append(basis)
    users = sorted({*known, *bases})
    differing = repaired = 0
    for user_id in users:
        if await compare_user(commerce, user_id, bases.get(user_id, [])) is None:
            continue
        # Events may have come since the list was read: what counts is what BillingAPI says of this user now.
        if dry_run:
            found = await compare_user(commerce, user_id, await commerce.billing_api.access_bases(user_id))
        else:
            found = await rebuild_user(commerce, user_id)
        if found is None:
            continue
        differing += 1
        report(found)
        if not dry_run:
            repaired += 1
            await resources.rights.refresh([user_id])
    return Summary(len(users), differing, repaired)


def _print(line: object) -> None:
    sys.stdout.write(json.dumps(line, default=str, ensure_ascii=False) + "\n")


async def main(arguments: list[str]) -> int:
    """0 when all rights are right now."""
    parser = argparse.ArgumentParser(prog="python -m user_api.rebuild_access", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="tell the differences, change nothing")
    options = parser.parse_args(arguments)
    settings = Settings(service_name="user-rebuild-access")
    settings.refuse_unsafe()
    logs.configure(settings.service_name, "WARNING")
    resources = open_resources(settings)
    try:
        done = await rebuild(resources, dry_run=options.dry_run, report=lambda found: _print(found.as_json()))
    finally:
        await resources.close()
    _print({"users": done.users, "differing": done.differing, "repaired": done.repaired})
    return 0 if done.repaired == done.differing else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
