"""The Django apps of the panel itself: its templates and its admin site."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig


class PanelConfig(AppConfig):
    """Templates, translations and static files of the panel; no models."""

    name = "admin_panel"
    label = "admin_panel"


class SiteConfig(SimpleAdminConfig):
    """Django's admin on our own site; the pages are registered by ``admin_panel.sections``."""

    default_site = "admin_panel.site.PanelSite"

    def ready(self) -> None:
        super().ready()
        import admin_panel.sections.register  # noqa: F401 - registering is its work
