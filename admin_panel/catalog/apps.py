"""The Django app of the Movies database: films, collections, products, prices."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CatalogConfig(AppConfig):
    name = "admin_panel.catalog"
    label = "catalog"
    verbose_name = _("Catalogue")
