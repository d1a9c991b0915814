"""Creates promo codes: one by name, or a batch of generated ones."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing_api.billing_service.actors import Actor, record, require_reason
from billing_api.billing_service.commands.assign_discount import DiscountTerms
from billing_api.billing_service.database import atomic
from billing_api.billing_service.domain import promo_codes as rules
from billing_api.billing_service.models import PromoCode
from shared.errors import conflict, invalid
from shared.ids import new_id

MAX_BATCH: Final = 10_000
_ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # nothing that looks like something else
_LENGTH: Final = 10


@dataclass(frozen=True, slots=True)
class PromoCodeRules:
    """None: no limit. ``minimum_minor`` of the list price."""

    redemption_limit: int | None = None
    limit_per_user: int = 1
    first_purchase_only: bool = False
    minimum_minor: int = 0

    def check(self) -> None:
        limited = self.redemption_limit is None or self.redemption_limit > 0
        if not limited or self.limit_per_user < 1 or self.minimum_minor < 0:
            raise invalid("discount-invalid", "Limits are positive, the minimum is not negative.")


@dataclass(frozen=True, slots=True)
class PromoCodesCreated:
    """``codes`` are empty in a preview of a generated batch."""

    batch_id: UUID
    codes: tuple[str, ...]


def create_promo_codes(
    terms: DiscountTerms,
    code_rules: PromoCodeRules = PromoCodeRules(),
    *,
    code: str | None = None,
    count: int = 1,
    actor: Actor,
    reason: str,
    preview: bool = False,
    now: datetime,
) -> PromoCodesCreated:
    """``code`` names one; otherwise ``count`` are generated.

    Raises ``discount-invalid``, ``promo-code-unknown`` (an impossible text), ``promo-code-taken``,
    ``reason-missing``.
    """
    reason = require_reason(reason)
    columns = terms.columns()
    code_rules.check()
    if not 1 <= count <= MAX_BATCH or (code is not None and count != 1):
        raise invalid("discount-invalid", f"A batch has 1 to {MAX_BATCH} codes, a named one stands alone.")
    named = rules.normalise(code) if code is not None else None
    batch_id = new_id()
    with atomic():
        if named is not None and PromoCode.objects.filter(code=named).exists():
            raise conflict("promo-code-taken", "There is such a promo code already.")
        if preview:
            return PromoCodesCreated(batch_id, (named,) if named else ())
        codes = (named,) if named else _generate(count)
        _store(codes, batch_id, columns, code_rules, actor, reason, now)
        record(
            "create_promo_codes",
            actor,
            reason,
            account=None,
            subject=("promo_code_batch", batch_id),
            before={},
            after={"count": len(codes), "kind": terms.kind, "value": terms.value},
            now=now,
        )
        return PromoCodesCreated(batch_id, codes)


def _store(
    codes: tuple[str, ...],
    batch_id: UUID,
    columns: dict[str, Any],
    code_rules: PromoCodeRules,
    actor: Actor,
    reason: str,
    now: datetime,
) -> None:
    PromoCode.objects.bulk_create(
        [
            PromoCode(
                id=new_id(),
                code=code,
                batch_id=batch_id,
                redemption_limit=code_rules.redemption_limit,
                limit_per_user=code_rules.limit_per_user,
                first_purchase_only=code_rules.first_purchase_only,
                minimum_minor=code_rules.minimum_minor,
                created_by=actor.id,
                reason=reason,
                created_at=now,
                **columns,
            )
            for code in codes
        ],
        batch_size=1000,
    )


def _generate(count: int) -> tuple[str, ...]:
    """Fresh codes: 50 random bits each; a clash with an old one is drawn again."""
    fresh: set[str] = set()
    while len(fresh) < count:
        drawn = {
            "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)) for _ in range(count - len(fresh))
        }
        drawn -= set(PromoCode.objects.filter(code__in=drawn).values_list("code", flat=True))
        fresh |= drawn
    return tuple(sorted(fresh))
