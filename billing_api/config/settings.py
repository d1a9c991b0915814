"""Django's settings of BillingAPI: one database alias, no sessions, no users, problems for every failure."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote, urlsplit

from billing_api.settings import settings as read_settings

_own = read_settings()


def database(url: str) -> dict[str, Any]:
    """A ``postgresql://`` address as an entry of DATABASES."""
    parts = urlsplit(url)
    return {
        "ENGINE": "billing_api.config.postgres",
        "NAME": parts.path.removeprefix("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "127.0.0.1",
        "PORT": str(parts.port or 5432),
        "CONN_MAX_AGE": 300,
        "CONN_HEALTH_CHECKS": True,
        # The limits the service's roles have in the database too; the owner of the schema has none.
        "OPTIONS": {"connect_timeout": 2, "application_name": _own.service_name},
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "ATOMIC_REQUESTS": False,  # the transaction belongs to the command
    }


DEBUG = False
VAT_RATES = _own.vat_rates
SECRET_KEY = _own.django_secret_key.get_secret_value()
ALLOWED_HOSTS = ["*"]  # no answer is built from the Host header; the gateway decides what reaches us
ROOT_URLCONF = "billing_api.config.urls"
WSGI_APPLICATION = "billing_api.config.wsgi.application"
APPEND_SLASH = False

INSTALLED_APPS = [
    "rest_framework",
    "drf_spectacular",
    "billing_api.billing_service",
]
MIDDLEWARE = [
    "billing_api.api.edge.Edge",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

# `default` stays empty on purpose: whatever forgets the alias fails loudly (here and in AdminPanel).
DATABASES: dict[str, dict[str, Any]] = {
    "default": {},
    "billing": database(_own.database_url.get_secret_value()),
}
DATABASE_ROUTERS = ["billing_api.config.databases.BillingRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
LANGUAGE_CODE = "en"

DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024
LOGGING_CONFIG = None  # shared.logs configures everything

REST_FRAMEWORK: Final[dict[str, Any]] = {
    # A view that forgets to say who may call it is closed to everybody.
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["billing_api.api.permissions.IsVerified"],
    "DEFAULT_PARSER_CLASSES": ["billing_api.api.formats.StrictJsonParser"],
    "DEFAULT_RENDERER_CLASSES": ["billing_api.api.formats.PlainJsonRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "billing_api.api.formats.FirstFormat",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "billing_api.api.problems.handle",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
    "URL_FORMAT_OVERRIDE": None,
    "FORMAT_SUFFIX_KWARG": None,
    "COERCE_DECIMAL_TO_STRING": False,
}
SPECTACULAR_SETTINGS: Final[dict[str, Any]] = {
    "TITLE": "BillingAPI",
    "DESCRIPTION": "Personal accounts, subscriptions, invoices, payments as billing sees them, billing runs.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    # Relative to /openapi.json, so that the page's trials go through the gateway's prefix too.
    "SERVERS": [{"url": "."}],
    "COMPONENT_SPLIT_REQUEST": True,
    "SORT_OPERATIONS": False,
    "PATH_CONVERTER_OVERRIDES": {"id": {"type": "string", "format": "uuid"}},
    "POSTPROCESSING_HOOKS": ["billing_api.api.documents.add_problems"],
}
