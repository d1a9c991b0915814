"""The rebuild finds every broken row, puts it right by BillingAPI's state and leaves the rest alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from shared.clock import ManualClock
from shared.ids import new_id
from tests.servers import DatabaseUrls
from tests.user_api.commerce.conftest import Catalogue, Person, SignUp
from tests.user_api.commerce.fakes import FakeBillingApi
from tests.user_api.commerce.test_access import MONTH, subscribe
from user_api.cache import RightsKeys
from user_api.rebuild_access import rebuild
from user_api.resources import Resources
from user_api.user_service import rebuild_access
from user_api.user_service.rebuild_access import Difference

GRANTS = ["collection:basic", "feature:uhd"]


@pytest.fixture
def bases(billing: FakeBillingApi) -> dict[UUID, dict[str, Any]]:
    """What BillingAPI would list as bases of access, two a page."""
    found: dict[UUID, dict[str, Any]] = {}

    @billing.app.get("/internal/v1/access-bases")
    async def listed(limit: int, user_id: UUID | None = None, cursor: int = 0) -> Any:
        items = [basis for basis in found.values() if user_id in (None, UUID(basis["user_id"]))]
        more = cursor + 2 < len(items)
        return {"items": items[cursor : cursor + 2], "next_cursor": str(cursor + 2) if more else None}

    return found


@pytest.fixture
async def break_row(database: DatabaseUrls) -> Any:
    connection = await asyncpg.connect(database.owner)
    yield connection.execute
    await connection.close()


async def run(resources: Resources, *, dry_run: bool = False) -> tuple[list[Difference], Any]:
    told: list[Difference] = []
    return told, await rebuild(resources, dry_run=dry_run, report=told.append)


@pytest.fixture
async def people(
    sign_up: SignUp,
    catalogue: Catalogue,
    billing: FakeBillingApi,
    bases: dict[UUID, dict[str, Any]],
    deliver: Any,
    clock: ManualClock,
) -> list[Person]:
    """Five with a live subscription each, told to BillingAPI's list."""
    product = await catalogue.product(*GRANTS)
    found = []
    for number in range(5):
        person = await sign_up(f"p{number}@example.com")
        subscription_id = await subscribe(person, product, billing, deliver)
        billing.subscriptions[subscription_id]["access_until"] = (clock.now() + MONTH).isoformat()
        bases[subscription_id] = {
            "subscription_id": str(subscription_id),
            "user_id": str(person.id),
            "product_id": str(product),
            "status": "active",
            "grants": GRANTS,
            "until": (clock.now() + MONTH).isoformat(),
            "reduced_grants": [],
            "reduced_until": None,
        }
        found.append(person)
    return found


async def snapshot(rows: Callable[..., Any]) -> Any:
    rights = await rows(
        "SELECT user_id, source, resource, until FROM access_rights ORDER BY source, resource"
    )
    held = await rows("SELECT id, grants_access, access_until, price_id FROM user_products ORDER BY id")
    return [tuple(row) for row in rights], [tuple(row) for row in held]


async def test_nothing_differs_and_nothing_is_written(
    people: list[Person], resources: Resources, rows: Callable[..., Any]
) -> None:
    before = await snapshot(rows), await rows("SELECT count(*) FROM outbox")
    told, summary = await run(resources)
    assert (told, summary.users, summary.differing) == ([], 5, 0)
    assert (await snapshot(rows), await rows("SELECT count(*) FROM outbox")) == before


async def test_what_is_left_after_the_grace_is_rebuilt_too(
    people: list[Person],
    bases: dict[UUID, dict[str, Any]],
    catalogue: Catalogue,
    resources: Resources,
    rows: Callable[..., Any],
    clock: ManualClock,
) -> None:
    """BillingAPI's word on the moment, the published product's on what is left."""
    anna = people[0]
    (basis,) = (one for one in bases.values() if one["user_id"] == str(anna.id))
    until = clock.now() + MONTH + timedelta(days=18)
    await catalogue.product(*GRANTS, product_id=UUID(basis["product_id"]), reduced=GRANTS[:1])
    basis["reduced_until"] = until.isoformat()
    told, summary = await run(resources)
    assert ([found.user_id for found in told], summary.repaired) == ([anna.id], 1)
    held = await rows("SELECT resource, until FROM access_rights WHERE user_id = $1", anna.id)
    ends = {row["resource"]: row["until"] for row in held}
    assert ends == dict.fromkeys(GRANTS, clock.now() + MONTH) | {GRANTS[0]: until}
    assert (await run(resources))[0] == []


async def test_broken_rows_are_found_and_repaired(
    people: list[Person], resources: Resources, rows: Callable[..., Any], break_row: Any, clock: ManualClock
) -> None:
    good = await snapshot(rows)
    a, b, c, d, _ = people
    later = clock.now() + timedelta(days=400)
    stranger = new_id()
    await break_row("DELETE FROM access_rights WHERE user_id = $1 AND resource = 'feature:uhd'", a.id)
    await break_row("UPDATE access_rights SET until = $2 WHERE user_id = $1", b.id, later)
    await break_row("DELETE FROM user_products WHERE user_id = $1", c.id)
    await break_row("DELETE FROM access_rights WHERE user_id = $1", c.id)
    await break_row(
        "INSERT INTO access_rights VALUES ($1, 'gift:1', 'feature:everything', NULL, $2)", d.id, clock.now()
    )
    await break_row(
        "UPDATE user_products SET grants_access = false, access_until = NULL WHERE user_id = $1", d.id
    )
    await break_row(
        "INSERT INTO access_rights VALUES ($1, 'gift:2', 'feature:uhd', NULL, $2)", stranger, clock.now()
    )
    broken = await snapshot(rows)
    told, summary = await run(resources, dry_run=True)
    assert {found.user_id for found in told} == {a.id, b.id, c.id, d.id, stranger}
    assert (summary.differing, summary.repaired) == (5, 0)
    assert await snapshot(rows) == broken
    of = {found.user_id: found for found in told}
    assert [right.resource for right in of[a.id].lacking] == ["feature:uhd"]
    assert len(of[b.id].lacking) == len(of[b.id].surplus) == 2
    assert len(of[c.id].purchases) == len(of[d.id].purchases) == 1
    assert [right.source for right in of[d.id].surplus] == ["gift:1"]

    await resources.cache_redis.delete(RightsKeys.of_user(d.id))  # as its minute's end would
    assert await d.may("feature:everything")
    told, summary = await run(resources)
    assert (summary.differing, summary.repaired) == (5, 5)
    assert await snapshot(rows) == good
    assert not await d.may("feature:everything")  # Redis knows too
    assert await c.may("feature:uhd")
    changes = await rows(
        "SELECT event_type FROM outbox WHERE aggregate_type = 'access' AND aggregate_id = $1 ORDER BY id",
        d.id,
    )
    assert [row["event_type"] for row in changes] == ["access.granted", "access.revoked"]
    assert (await run(resources))[1].differing == 0


async def test_what_billing_no_longer_grants_goes(
    people: list[Person],
    resources: Resources,
    bases: dict[UUID, dict[str, Any]],
    billing: FakeBillingApi,
) -> None:
    gone = next(iter(bases))
    del bases[gone]
    billing.subscriptions[gone]["status"] = "cancelled"
    told, summary = await run(resources)
    assert (len(told), summary.repaired) == (1, 1)
    assert not await people[0].may("feature:uhd")
    assert await people[1].may("feature:uhd")


async def test_an_event_during_the_repair_is_not_undone(
    people: list[Person],
    resources: Resources,
    bases: dict[UUID, dict[str, Any]],
    billing: FakeBillingApi,
    deliver: Any,
    break_row: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The answer asked for before the event is not written after it."""
    subscription_id = next(iter(bases))
    user_id = people[0].id
    await break_row("DELETE FROM access_rights WHERE user_id = $1 AND resource = 'feature:uhd'", user_id)
    write, tries = rebuild_access._write, 0

    async def late(*arguments: Any) -> bool:
        nonlocal tries
        tries += 1
        if tries == 1:
            bases.pop(subscription_id)
            billing.tell(subscription_id, "subscription.cancelled", timedelta(), status="cancelled")
            await deliver()
        return await write(*arguments)

    monkeypatch.setattr(rebuild_access, "_write", late)
    await rebuild_access.rebuild_user(resources.commerce, user_id)
    assert not await people[0].may("collection:basic")
    assert not await people[0].may("feature:uhd")
