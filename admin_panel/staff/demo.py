"""The demo's staff: one login per group."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction

from admin_panel.databases import ADMIN
from admin_panel.settings import settings
from admin_panel.staff.roles import GROUP_ACTIONS, ensure_groups

LOGINS_FILE: Final = "DEMO_LOGINS_FILE"
Logins = dict[str, dict[str, str]]


def ensure_demo_staff() -> Logins:
    """Makes a login per group and gives them, by group; none in production.

    With DEMO_LOGINS_FILE passwords are drawn once and kept in that file, else ``dev-<name>-password``.
    """
    with transaction.atomic(using=ADMIN):
        ensure_groups()
        if settings().is_production:
            return {}
        path = os.environ.get(LOGINS_FILE)
        logins = _known(Path(path)) if path else {}
        for name in GROUP_ACTIONS:
            password = f"dev-{name}-password" if path is None else secrets.token_urlsafe(15)
            logins.setdefault(name, {"username": name, "password": password})
            _ensure_login(name, logins[name]["password"])
    if path:
        _write(Path(path), logins)
    return logins


def _ensure_login(name: str, password: str) -> None:
    user, made = (
        get_user_model()
        .objects.using(ADMIN)
        .get_or_create(username=name, defaults={"is_staff": True, "first_name": name.capitalize()})
    )
    if made or not user.check_password(password):
        user.set_password(password)
        user.save(using=ADMIN)
    user.groups.set([Group.objects.using(ADMIN).get(name=name)])


def _known(path: Path) -> Logins:
    if not path.exists() or not (text := path.read_text()).strip():
        return {}
    return {name: login for name, login in json.loads(text).items() if name in GROUP_ACTIONS}


def _write(path: Path, logins: Logins) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(logins, indent=2) + "\n")
    part.replace(path)
