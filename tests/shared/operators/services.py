"""Environments in which every service agrees to start in production, for the tests to spoil one by one."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from shared import keys

STRONG = "Vq8xT2mLw0pZ5rKd"
_COMMON = {
    "APP_ENV": "production",
    "AMQP_URL": f"amqp://service:{STRONG}@rabbitmq:5672/",
    "ACCEPTED_CREDENTIALS": '{"operator": ["kT4nB7yXc2Wq9sHf"], "peer": ["zP6vM3rJd8Lg1uEa"]}',
}
_OWN: Mapping[str, Mapping[str, str]] = {
    "user-api": {
        "DATABASE_URL": f"postgresql://user_api:{STRONG}@users-db/users",
        "CACHE_REDIS_URL": f"redis://:{STRONG}@redis:6379/0",
        "SESSION_REDIS_URL": f"redis://:{STRONG}@redis:6379/1",
        "PAY_API_TOKEN": "uR5wN8tYb1Qz4xKc",
        "BILLING_API_TOKEN": "hG7jF2dSa9Lp3oIu",
        "PUBLIC_URL": "https://cinema.tv",
        "RETURN_URL_ORIGINS": "https://cinema.tv,https://app.cinema.tv",
    },
    "pay-api": {
        "DATABASE_URL": f"postgresql://pay_api:{STRONG}@pay-db/pay",
        "PUBLIC_URL": "https://cinema.tv",
        "CLOUDPAYMENTS_API_URL": "https://api.cloudpayments.ru",
        "CLOUDPAYMENTS_PUBLIC_URL": "https://api.cloudpayments.ru",
        "CLOUDPAYMENTS_PUBLIC_ID": "pk_live_1234",
        "CLOUDPAYMENTS_API_SECRET": "e3c5a1f7b9d24680ace1",
        "TOKEN_ENCRYPTION_KEY": Fernet.generate_key().decode(),
        "LINK_SIGNING_KEY": "nM2bV5cX8zLk1jHg",
    },
    "billing-api": {
        "DATABASE_URL": f"postgresql://billing_api:{STRONG}@billing-db/billing",
        "USER_API_TOKEN": "qW3eR6tY9uI2oP5a",
        "DJANGO_SECRET_KEY": "aZ4sX7dC1fV8gB2hN5jM9kL3qW6eR0tYuIoPaSdFgHjKlZxCvB1",
        "SELLER_INN": "7743013901",
    },
    "admin-panel": {
        "ADMIN_DATABASE_URL": f"postgresql://admin_panel:{STRONG}@admin-db/admin",
        "MOVIES_DATABASE_URL": f"postgresql://movies_admin:{STRONG}@movies-db/movies",
        "USERS_DATABASE_URL": f"postgresql://users_ro:{STRONG}@users-db/users",
        "BILLING_DATABASE_URL": f"postgresql://billing_commands:{STRONG}@billing-db/billing",
        "BILLING_RO_DATABASE_URL": f"postgresql://billing_ro:{STRONG}@billing-db/billing",
        "USER_API_TOKEN": "xC8vB1nM4aS7dF0g",
        "DJANGO_SECRET_KEY": "pL9oK2iJ5uH8yG1tF4rD7eS0wA3qZ6xC9vB2nM5aSdFgHjKlQwEr",
        "PUBLIC_URL": "https://cinema.tv",
    },
    "scheduler": {
        "CELERY_BROKER_URL": f"amqp://scheduler:{STRONG}@rabbitmq:5672/",
        "REDBEAT_REDIS_URL": f"redis://:{STRONG}@redis:6379/3",
        "BILLING_API_TOKEN": "tG6yH9uJ2iK5oL8p",
    },
}
_CLASSES: Mapping[str, str] = {
    "user-api": "user_api.settings:Settings",
    "pay-api": "pay_api.settings:Settings",
    "billing-api": "billing_api.settings:BillingSettings",
    "admin-panel": "admin_panel.settings:AdminSettings",
    "scheduler": "scheduler.settings:SchedulerSettings",
}
SERVICES = tuple(_CLASSES)


def settings_class(service: str) -> type[Any]:
    """The settings of a service's processes."""
    module, name = _CLASSES[service].split(":")
    return getattr(importlib.import_module(module), name)


def safe_environment(service: str, folder: Path) -> dict[str, str]:
    """What a service accepts in production; signing keys are made in ``folder``."""
    given = {**_COMMON, **_OWN[service]}
    if service == "user-api":
        if not list(folder.glob("*.pem")):
            keys.create(folder)
        given["JWT_KEYS_DIR"] = str(folder)
    return given


def secrets_of(service: str) -> list[str]:
    """Names of the settings that hold a secret."""
    fields = settings_class(service).model_fields.items()
    return [name.upper() for name, field in fields if "SecretStr" in str(field.annotation)]
