"""Gives the pages of login and second factor the look of the rest."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

ENTRANCE = "/admin/account/"


def entrance_theme(request: HttpRequest) -> dict[str, Any]:
    """The site's colours and title, for pages that the admin site does not serve itself."""
    return admin.site.each_context(request) if request.path.startswith(ENTRANCE) else {}
