"""What each group of staff may do: the permission matrix."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.contrib.auth.models import Group, Permission

from admin_panel.actions.models import ACTIONS
from admin_panel.databases import ADMIN

_MONEY: Final = {
    "adjust_charge",
    "grant_goodwill",
    "write_off",
    "void_invoice",
    "refund_payment",
    "confirm_transfer",
    "confirm_refund",
    "settle_review",
    "extend_subscription",
    "release_subscription",
    "resolve_review_item",
}
_SUPPORT: Final = {"grant_goodwill", "extend_subscription", "block_user", "end_sessions"}
_MARKETING: Final = {
    "assign_discount",
    "end_discount",
    "create_promo_codes",
    "create_promotion",
    "end_promotion",
    "publish_catalogue",
}
GROUP_ACTIONS: Final[dict[str, set[str]]] = {
    "viewer": set(),
    "support": _SUPPORT,
    "finance": _MONEY,
    "marketing": _MARKETING,
    "admin": set(ACTIONS),
}
VIEWED: Final = {"billing_service", "catalog", "users"}
# The catalogue's own rows; its history is never edited.
_EDITED: Final = ("movie", "collection", "product", "price")
_STAFF: Final = ("user", "group")


def codenames(group: str) -> set[tuple[str, str]]:
    """(app label, codename) of every permission of a group beyond viewing."""
    granted = {("staff_actions", action) for action in GROUP_ACTIONS[group]}
    if group in ("marketing", "admin"):
        granted |= {("catalog", f"{verb}_{name}") for name in _EDITED for verb in ("add", "change")}
        granted |= {("catalog", "delete_price")}
    if group == "admin":
        granted |= {("auth", f"{verb}_{name}") for name in _STAFF for verb in ("add", "change", "view")}
    return granted


def ensure_groups() -> None:
    """Makes the groups and gives each exactly its permissions; safe to repeat."""
    permissions = list(Permission.objects.using(ADMIN).select_related("content_type"))
    for name in GROUP_ACTIONS:
        group, _ = Group.objects.using(ADMIN).get_or_create(name=name)
        group.permissions.set(_chosen(permissions, name))


def _chosen(permissions: Iterable[Permission], group: str) -> list[Permission]:
    wanted = codenames(group)
    return [
        permission
        for permission in permissions
        if (permission.content_type.app_label, permission.codename) in wanted
        or (permission.content_type.app_label in VIEWED and permission.codename.startswith("view_"))
    ]
