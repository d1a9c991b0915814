"""Every page after login: the second factor where it is asked for, and the end of a long session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings as django_settings
from django.contrib.auth import logout
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from admin_panel.settings import settings
from shared.clock import SystemClock

_STARTED: Final = "started_at_seconds"
# What staff without a second factor may reach: enrolling, and the way out.
_OPEN: Final = ("/admin/account/", "/admin/static/", "/admin/i18n/")
# The host's clock on purpose: moving the suite's clock must not log staff out.
_clock = SystemClock()


class StaffSession:
    """Redirects to the second factor; ends a session SESSION_LIFETIME_SECONDS after it began."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith("/admin/") and request.user.is_authenticated:
            now = int(_clock.now().timestamp())
            started = request.session.setdefault(_STARTED, now)
            if now - started > django_settings.SESSION_LIFETIME_SECONDS:
                logout(request)
                return redirect(django_settings.LOGIN_URL)
            if not request.path.startswith(_OPEN) and (where := missing_factor(request)):
                return redirect(where)
        return self._get_response(request)


def missing_factor(request: HttpRequest) -> str | None:
    """The name of the page to go to first, or None when this session may go on."""
    if not settings().requires_second_factor or not request.user.is_authenticated:
        return None
    if not is_mfa_enabled(request.user):
        return "mfa_activate_totp"
    methods = {record.get("method") for record in get_authentication_records(request, request.user)}
    return None if "mfa" in methods else "mfa_reauthenticate"
