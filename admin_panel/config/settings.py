"""Django's settings of AdminPanel: five databases, one role each, everything under /admin/."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE

from admin_panel.config.theme import UNFOLD  # noqa: F401 - a setting of django-unfold
from admin_panel.databases import ADMIN, BILLING, BILLING_PAGES, MOVIES, USERS, database
from admin_panel.settings import settings as read_settings

_own = read_settings()
BASE_DIR = Path(__file__).resolve().parents[1]

DEBUG = False
VAT_RATES = _own.vat_rates
SECRET_KEY = _own.django_secret_key.get_secret_value()
_public_host = _own.public_origin.split("://")[1].rsplit(":", 1)[0]
ALLOWED_HOSTS = [_public_host, "127.0.0.1", "localhost", "admin-panel"] if _own.is_production else ["*"]
ROOT_URLCONF = "admin_panel.config.urls"
WSGI_APPLICATION = "admin_panel.config.wsgi.application"

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # before admin: its templates win
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.simple_history",
    "admin_panel.apps.PanelConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "admin_panel.apps.SiteConfig",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "simple_history",
    "admin_panel.actions.apps.ActionsConfig",
    "admin_panel.catalog.apps.CatalogConfig",
    "admin_panel.users.apps.UsersConfig",
    "billing_api.billing_service",
]
MIDDLEWARE = [
    "admin_panel.edge.Edge",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "admin_panel.staff.middleware.StaffSession",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "admin_panel.staff.context.entrance_theme",
            ],
        },
    }
]

DATABASES: dict[str, dict[str, Any]] = {
    alias: database(url.get_secret_value(), alias)
    for alias, url in {
        ADMIN: _own.admin_database_url,
        MOVIES: _own.movies_database_url,
        USERS: _own.users_database_url,
        BILLING: _own.billing_database_url,
        BILLING_PAGES: _own.billing_ro_database_url,
    }.items()
}
DATABASE_ROUTERS = ["admin_panel.databases.Router"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# BillingAPI alone migrates the billing tables; here they only have pages and commands.
MIGRATION_MODULES = {"billing_service": None, "users": None, "staff_actions": None}
# Counted in one place for every process, so that login limits hold with many workers.
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "admin_cache"},
}

USE_TZ = True
TIME_ZONE = "Europe/Moscow"
USE_I18N = True
LANGUAGE_CODE = "ru"
LANGUAGES = [("ru", "Русский"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_PATH = "/admin/"
LANGUAGE_COOKIE_NAME = "admin_language"

STATIC_URL = "/admin/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
WHITENOISE_USE_FINDERS = True  # works without collectstatic too
WHITENOISE_AUTOREFRESH = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000
LOGGING_CONFIG = None  # shared.logs configures everything

# --- the way in ---
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "/admin/account/login/"
LOGIN_REDIRECT_URL = "/admin/"
ACCOUNT_ADAPTER = "admin_panel.staff.adapter.StaffAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900
ACCOUNT_RATE_LIMITS = {"login": "60/m/ip", "login_failed": "20/m/ip,5/5m/key", "reauthenticate": "10/m/user"}
ALLAUTH_TRUSTED_PROXY_COUNT = 1  # the gateway, which overwrites X-Forwarded-For
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_ADAPTER = "admin_panel.staff.adapter.SecondFactorAdapter"
MFA_TOTP_ISSUER = "Cinema AdminPanel"

_secure = _own.public_url.startswith("https://")
SESSION_COOKIE_NAME = "__Host-admin_session" if _secure else "admin_session"
SESSION_COOKIE_PATH = "/" if _secure else "/admin/"  # __Host- asks for /
SESSION_COOKIE_SECURE = _secure
SESSION_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_AGE = 30 * 60  # idle
SESSION_SAVE_EVERY_REQUEST = True
SESSION_LIFETIME_SECONDS: Final = 8 * 3600  # whatever happens; see staff.middleware
CSRF_COOKIE_NAME = "__Host-admin_csrf" if _secure else "admin_csrf"
CSRF_COOKIE_PATH = "/" if _secure else "/admin/"
CSRF_COOKIE_SECURE = _secure
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_TRUSTED_ORIGINS = [_own.public_origin]
CSRF_FAILURE_VIEW = "admin_panel.edge.csrf_failure"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY: Final = {
    "DIRECTIVES": {
        "default-src": [NONE],
        # Alpine, on which django-unfold stands, evaluates its attributes; only this service allows it.
        "script-src": [SELF, UNSAFE_EVAL],
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
SIMPLE_HISTORY_REVERT_DISABLED = True
# Tables of one name in different databases: the router keeps them apart (tests prove it).
SILENCED_SYSTEM_CHECKS = ["models.W035"]
