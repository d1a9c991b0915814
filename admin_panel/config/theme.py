"""How the panel looks: colours, navigation, languages (settings of django-unfold)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.http import HttpRequest
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _


def _viewer(permission: str) -> Callable[[HttpRequest], bool]:
    def may(request: HttpRequest) -> bool:
        return request.user.has_perm(permission)

    return may


def _item(title: Any, icon: str, app: str, model: str) -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{model}_changelist"),
        "permission": _viewer(f"{app}.view_{model}"),
    }


def _billing(title: Any, icon: str, model: str) -> dict[str, Any]:
    return _item(title, icon, "billing_service", model)


NAVIGATION: Final[list[dict[str, Any]]] = [
    {
        "items": [{"title": _("Overview"), "icon": "dashboard", "link": reverse_lazy("admin:index")}],
    },
    {
        "title": _("Customers"),
        "separator": True,
        "items": [
            _billing(_("Personal accounts"), "account_balance_wallet", "account"),
            _item(_("Users"), "group", "users", "user"),
            _billing(_("Subscriptions"), "autorenew", "subscription"),
        ],
    },
    {
        "title": _("Documents"),
        "separator": True,
        "items": [
            _billing(_("Charges"), "receipt_long", "invoiceline"),
            _billing(_("Invoices"), "description", "invoice"),
            _billing(_("Payments"), "credit_card", "payment"),
            _billing(_("Credit notes"), "assignment_return", "creditnote"),
        ],
    },
    {
        "title": _("Discounts"),
        "separator": True,
        "items": [
            _billing(_("Personal discounts"), "percent", "personaldiscount"),
            _billing(_("Promo codes"), "confirmation_number", "promocode"),
            _billing(_("Promotions"), "campaign", "promotion"),
        ],
    },
    {
        "title": _("Catalogue"),
        "separator": True,
        "items": [
            _item(_("Products"), "sell", "catalog", "product"),
            _item(_("Collections"), "video_library", "catalog", "collection"),
            _item(_("Films"), "movie", "catalog", "movie"),
        ],
    },
    {
        "title": _("Bookkeeping"),
        "separator": True,
        "items": [
            _billing(_("Ledger"), "menu_book", "ledgertransaction"),
            _billing(_("Billing runs"), "event_repeat", "billingrun"),
            _billing(_("Findings"), "flag", "reviewitem"),
            _billing(_("Audit"), "policy", "auditrecord"),
        ],
    },
    {
        "title": _("Staff"),
        "separator": True,
        "items": [
            _item(_("Logins"), "badge", "auth", "user"),
            _item(_("Groups"), "shield_person", "auth", "group"),
        ],
    },
]

UNFOLD: Final[dict[str, Any]] = {
    "SITE_TITLE": _("Cinema billing"),
    "SITE_HEADER": _("Cinema billing"),
    "SITE_SUBHEADER": _("Staff"),
    "SITE_SYMBOL": "theaters",
    "SITE_URL": "/admin/",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": True,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 254.604)",
            "100": "oklch(93.2% .032 255.585)",
            "200": "oklch(88.2% .059 254.128)",
            "300": "oklch(80.9% .105 251.813)",
            "400": "oklch(70.7% .165 254.624)",
            "500": "oklch(62.3% .214 259.815)",
            "600": "oklch(54.6% .245 262.881)",
            "700": "oklch(48.8% .243 264.376)",
            "800": "oklch(42.4% .199 265.638)",
            "900": "oklch(37.9% .146 265.522)",
            "950": "oklch(28.2% .091 267.935)",
        }
    },
    "SIDEBAR": {"show_search": False, "show_all_applications": False, "navigation": NAVIGATION},
    "ACCOUNT": {
        "navigation": [{"title": _("Second factor"), "link": reverse_lazy("mfa_index")}],
    },
}
