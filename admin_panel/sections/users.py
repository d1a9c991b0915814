"""Pages of users, read from UserAPI's database; what is done to them goes through UserAPI."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from admin_panel.actions.user import BlockUser, EndSessions, UnblockUser
from admin_panel.databases import BILLING_PAGES, USERS
from admin_panel.sections.base import (
    ReadOnlyAdmin,
    Table,
    badge,
    moment_column,
    parse_id,
    status_column,
    text_column,
)
from admin_panel.sections.filters import word_filter
from admin_panel.sections.formats import link, moment_text
from admin_panel.sections.words import word
from admin_panel.users.models import AccessRight, AccountAction, RecurringPayment
from billing_api.billing_service.models import Account


def account_link(user: Any) -> Any:
    """The personal account of a user, once there is one."""
    account = Account.objects.using(BILLING_PAGES).filter(user_id=user.pk).first()
    return link("billing_service_account", account.pk, _("To the personal account")) if account else "—"


class UserAdmin(ReadOnlyAdmin):
    """Search by id, e-mail, name or phone."""

    alias: ClassVar[str] = USERS
    ordering = ("-created_at",)
    list_display = ("email", "full_name", "status_word", "locale", "created")
    list_filter = (word_filter("status", _("status"), "active", "blocked", "erased"),)
    fields = (
        "email",
        "full_name",
        "phone",
        "status_word",
        "language",
        "zone",
        "ident",
        "account",
        "created",
    )
    staff_actions = (BlockUser, UnblockUser, EndSessions)
    search_help_text = _("Id, e-mail, name, phone")

    status_word = status_column("status", _("Status"))
    language = text_column(_("Language"), lambda row: row.locale)
    zone = text_column(_("Time zone"), lambda row: row.time_zone)
    ident = text_column(_("User id"), lambda row: str(row.pk))
    account = text_column(_("Personal account"), account_link)
    created = moment_column("created_at", _("Registered"))

    def found(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        if identifier := parse_id(term):
            return rows.filter(pk=identifier)
        return rows.filter(Q(email__icontains=term) | Q(full_name__icontains=term) | Q(phone__icontains=term))

    def tables(self, row: Any) -> Iterable[Table]:
        rights = AccessRight.objects.using(USERS).filter(user=row.pk).order_by("resource")
        yield Table(
            _("Access rights"),
            [_("Resource"), _("Until"), _("Source"), _("Granted")],
            [
                [
                    right.resource,
                    moment_text(right.until) if right.until else _("for ever"),
                    right.source,
                    moment_text(right.granted_at),
                ]
                for right in rights
            ],
        )
        consents = RecurringPayment.objects.using(USERS).filter(user=row.pk).order_by("-accepted_at")
        yield Table(
            _("Consents to automatic payments"),
            [_("Subscription"), _("State"), _("Accepted"), _("Text")],
            [
                [
                    link("billing_service_subscription", each.subscription_id),
                    badge(each.status),
                    moment_text(each.accepted_at),
                    each.text_version,
                ]
                for each in consents
            ],
        )
        acts = AccountAction.objects.using(USERS).filter(user=row.pk).order_by("-acted_at")[:20]
        yield Table(
            _("What staff did"),
            [_("When"), _("What"), _("Reason")],
            [[moment_text(act.acted_at), word(act.action), act.reason] for act in acts],
        )
