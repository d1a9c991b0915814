"""The Django app of staff actions: it only names their permissions."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ActionsConfig(AppConfig):
    name = "admin_panel.actions"
    label = "staff_actions"
    verbose_name = _("Staff actions")
