"""Writes access rights: one purchase's rights replaced, the version raised, the change told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.queue import outbox
from shared.queue.messages.users import AccessRight, AccessState
from user_api.user_service.access import Change, Right, compare
from user_api.user_service.commerce_models import AccessRightRow, AccessVersion

SOURCE = "user-api"


async def lock_product(session: AsyncSession, product_id: UUID, *, exclusive: bool) -> None:
    """Keeps a product's grants and the rights derived from them in step, the product known or not yet.

    Taken before any user's row: shared by whoever reads the grants, exclusive by whoever changes them.
    """
    function = "pg_advisory_xact_lock" if exclusive else "pg_advisory_xact_lock_shared"
    await session.execute(text(f"SELECT {function}(:key)"), {"key": product_id.int & (2**63 - 1)})


async def lock_version(session: AsyncSession, user_id: UUID, now: datetime) -> AccessVersion:
    """The user's version row, made when missing and locked until the transaction ends."""
    await session.execute(
        insert(AccessVersion).values(user_id=user_id, version=0, updated_at=now).on_conflict_do_nothing()
    )
    return (
        await session.scalars(
            select(AccessVersion)
            .where(AccessVersion.user_id == user_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).one()


async def replace_rights(
    session: AsyncSession, version: AccessVersion, by_source: Mapping[str, frozenset[Right]], now: datetime
) -> Change:
    """Sets the rights of these sources, under the user's locked version; other sources stay.

    ``access.granted`` names resources that hold after the change (new, or with another end),
    ``access.revoked`` those that no longer do; both carry all rights.
    """
    user_id = version.user_id
    rows = (await session.scalars(select(AccessRightRow).where(AccessRightRow.user_id == user_id))).all()
    before = {Right(row.resource, row.until, row.source) for row in rows}
    kept = {right for right in before if right.source not in by_source}
    after = kept.union(*by_source.values())
    if after == before:
        return Change((), ())
    for right in before - after:
        await session.execute(
            delete(AccessRightRow).where(
                AccessRightRow.user_id == user_id,
                AccessRightRow.source == right.source,
                AccessRightRow.resource == right.resource,
            )
        )
    for right in sorted(after - before, key=lambda right: (right.source, right.resource)):
        session.add(
            AccessRightRow(
                user_id=user_id,
                source=right.source,
                resource=right.resource,
                until=right.until,
                granted_at=now,
            )
        )
    version.version += 1
    version.updated_at = now
    await session.flush()
    change = compare(before, after, now)
    await _tell(session, version, after, change, now)
    return change


async def _tell(
    session: AsyncSession, version: AccessVersion, rights: set[Right], change: Change, now: datetime
) -> None:
    held = sorted(
        (right for right in rights if right.until is None or now < right.until),
        key=lambda right: (right.resource, right.source),
    )
    for event_type, changed in (("access.revoked", change.revoked), ("access.granted", change.granted)):
        if changed:
            state = AccessState(
                user_id=version.user_id,
                version=version.version,
                rights=[AccessRight(resource=r.resource, until=r.until, source=r.source) for r in held],
                changed=list(changed),
                updated_at=now,
            )
            await outbox.add_async(session, SOURCE, event_type, version.user_id, state, now)
