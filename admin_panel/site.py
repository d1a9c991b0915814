"""The admin site: login through allauth, a dashboard with key figures, navigation by permission."""

from __future__ import annotations

from typing import Any

from allauth.account.decorators import secure_admin_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.sites import UnfoldAdminSite

from admin_panel.sections.dashboard import figures


class PanelSite(UnfoldAdminSite):
    """One site for all staff."""

    index_template = "admin_panel/dashboard.html"
    enable_nav_sidebar = True

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response: HttpResponse = secure_admin_login(super().login)(request, extra_context)
        return response

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return redirect("account_logout")

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {**figures(request), **(extra_context or {})}
        response: HttpResponse = super().index(request, context)
        return response
