"""The Django app over UserAPI's tables; read-only and never migrated here."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class UsersConfig(AppConfig):
    name = "admin_panel.users"
    label = "users"
    verbose_name = _("Users")
