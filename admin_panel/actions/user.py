"""What staff do to a user, through UserAPI: block, unblock, end sessions.

``/admin/users/user/<user_id>/block/``, ``…/unblock/``, ``…/end-sessions/``: ``reason``, ``token``; then
``confirm=1``.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from admin_panel.actions.base import Order, StaffAction
from admin_panel.actions.effects import Row
from admin_panel.actions.forms import ActionForm
from admin_panel.actions.subjects import load
from admin_panel.clients.user_api import Order as UserOrder
from admin_panel.clients.user_api import user_api
from admin_panel.databases import USERS
from admin_panel.sections.formats import page_url
from admin_panel.sections.words import word
from admin_panel.users.models import User


class UserAction(StaffAction):
    """Translates to one call of UserAPI; the form's token is its key: confirming twice changes nothing."""

    form = ActionForm
    order: ClassVar[UserOrder]
    effect: ClassVar[Any]
    status_after: ClassVar[str | None] = None

    def subject(self, subject_id: Any) -> User:
        return load(User, subject_id, alias=USERS)

    def subject_url(self, subject: User) -> str:
        return page_url("users_user", subject.pk)

    def command(self, order: Order, *, preview: bool) -> Any:
        assert order.subject_id is not None
        reason = f"{order.reason} ({order.staff_name})"
        return user_api().act(order.subject_id, self.order, reason, order.key)

    def previewed(self, order: Order) -> Any:
        return None  # UserAPI has no preview; the effect is known

    def done(self, order: Order) -> bool:
        self.command(order, preview=False)
        return True

    def rows(self, order: Order, result: Any) -> list[Row]:
        rows = [Row(_now("Sessions"), str(self.effect))]
        if self.status_after:
            rows.insert(0, Row(_now("Status"), word(self.status_after), word(order.subject.status)))
        return rows


class BlockUser(UserAction):
    slug = "block"
    permission = "block_user"
    title = _("Block the user")
    icon = "person_off"
    order = "block"
    effect = _("all of them end at once; nobody can log in")
    status_after = "blocked"


class UnblockUser(UserAction):
    slug = "unblock"
    permission = "block_user"
    title = _("Unblock the user")
    icon = "person_check"
    order = "unblock"
    effect = _("the user can log in again")
    status_after = "active"


class EndSessions(UserAction):
    slug = "end-sessions"
    permission = "end_sessions"
    title = _("End all sessions")
    icon = "logout"
    order = "end-sessions"
    effect = _("all of them end at once; the user logs in again")
