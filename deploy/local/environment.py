"""The environment of every process of the local stack, in the names compose uses too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.databases import DATABASES, MIGRATION_SETTINGS, DatabaseUrls
from deploy.local.ports import LOOPBACK
from deploy.local.state import EDGES
from deploy.processes import Group

# what .env.example leaves out by a comment: services have defaults of their own for these
OPTIONAL = (
    "ADMIN_REQUIRE_MFA",
    "BANK_TRANSFER_ACCOUNT",
    "BANK_TRANSFER_BANK",
    "BANK_TRANSFER_BIC",
    "BANK_TRANSFER_CORRESPONDENT_ACCOUNT",
    "BANK_TRANSFER_INN",
    "BANK_TRANSFER_RECIPIENT",
    "BILLING_API_TIMEOUT_SECONDS",
    "CLOUDPAYMENTS_CONCURRENT_CALLS",
    "CLOUDPAYMENTS_TAXATION_SYSTEM",
    "DATABASE_POOL_SIZE",
    "LOGIN_FAILURES_PER_IP",
    "PROVIDER_BREAKER_FAILURES",
    "REGISTER_LIMIT",
    "RESET_LIMIT",
    "CACHE_BUDGET_SECONDS",
    "SESSION_REDIS_SECONDS",
    "SANDBOX_CHECK_ENABLED",
    "SANDBOX_CONCURRENT_CALLS",
    "SANDBOX_FORCE_SAVE_CARD",
    "SANDBOX_MERCHANT_NAME",
    "SANDBOX_NOTIFICATION_TIMEOUT_SECONDS",
    "SANDBOX_REQUIRE_INITIATOR",
    "SELLER_ACCOUNTANT",
    "SELLER_ACCOUNTANT_EN",
    "SELLER_ADDRESS",
    "SELLER_ADDRESS_EN",
    "SELLER_BANK",
    "SELLER_BANK_EN",
    "SELLER_DIRECTOR",
    "SELLER_DIRECTOR_EN",
    "SELLER_EMAIL",
    "SELLER_INN",
    "SELLER_KPP",
    "SELLER_NAME",
    "SELLER_NAME_EN",
    "SELLER_OGRN",
    "USER_API_TIMEOUT_SECONDS",
    "VAT_RATES",
)
# taken over from the caller's environment or a .env file when set there
PASSED_ON = ("LOG_LEVEL", "BEAT_TICK_SECONDS", "OTEL_EXPORTER_OTLP_ENDPOINT", *OPTIONAL)
SANDBOX_ACCOUNT = ("pk_cinema_sandbox", "cinema-sandbox-secret")
# the name of each group's user in RabbitMQ and Redis
ACCOUNTS: dict[Group, str] = {
    "user": "user-api",
    "pay": "pay-api",
    "sandbox": "cloudpayments-sandbox",
    "billing": "billing-api",
    "admin": "admin-panel",
    "scheduler": "scheduler",
}
# Redis logical databases by purpose
REDIS = {"cache": 0, "session": 1, "clock": 2, "redbeat": 3}


@dataclass(frozen=True)
class Addresses:
    """Where everything listens, as the processes of this machine reach it."""

    ports: Mapping[str, int]
    secrets: Mapping[str, str]
    databases: Mapping[str, DatabaseUrls]
    keys: Path
    demo_logins: Path

    def http(self, name: str) -> str:
        return f"http://{LOOPBACK}:{self.ports[name]}"

    def redis(self, purpose: str, user: str = "") -> str:
        """Redis for one purpose, as a service's user; as the operator's when none is named."""
        password = self.secrets[f"redis:{user}"] if user else self.secrets["redis"]
        return f"redis://{user}:{password}@{LOOPBACK}:{self.ports['redis']}/{REDIS[purpose]}"

    def amqp(self, user: str) -> str:
        return f"amqp://{user}:{self.secrets[f'rabbitmq:{user}']}@{LOOPBACK}:{self.ports['rabbitmq']}/"

    @property
    def management(self) -> str:
        """The management API with the owner's credentials."""
        return f"http://owner:{self.secrets['rabbitmq:owner']}@{LOOPBACK}:{self.ports['rabbitmq-management']}"

    def token(self, caller: str, callee: str) -> str:
        return self.secrets[f"token:{caller}>{callee}"]

    def accepted(self, callee: str) -> str:
        """ACCEPTED_CREDENTIALS of the callee."""
        return json.dumps(
            {caller: [self.token(caller, callee)] for caller in EDGES if callee in EDGES[caller]}
        )


def common(at: Addresses, group: Group) -> dict[str, str]:
    """What every process reads."""
    account = ACCOUNTS[group]
    values = {"APP_ENV": "development", "LOG_LEVEL": "INFO", "CLOCK_REDIS_URL": at.redis("clock", account)}
    if group != "sandbox":
        values["AMQP_URL"] = at.amqp(account)
    return values


def environment(at: Addresses, group: Group) -> dict[str, str]:
    """Settings of one group of processes; a worker gets its HEALTH_PORT besides."""
    build = {"user": _user, "pay": _pay, "sandbox": _sandbox, "billing": _billing, "admin": _admin}
    return common(at, group) | build.get(group, _scheduler)(at)


def _user(at: Addresses) -> dict[str, str]:
    own = at.databases["users"]
    return {
        "DATABASE_URL": own.service,
        "CACHE_REDIS_URL": at.redis("cache", "user-api"),
        "SESSION_REDIS_URL": at.redis("session", "user-api"),
        "JWT_KEYS_DIR": str(at.keys),
        "PAY_API_URL": at.http("pay-api"),
        "PAY_API_TOKEN": at.token("user-api", "pay-api"),
        "BILLING_API_URL": at.http("billing-api"),
        "BILLING_API_TOKEN": at.token("user-api", "billing-api"),
        "ACCEPTED_CREDENTIALS": at.accepted("user-api"),
        "PUBLIC_URL": at.http("gateway"),
        "RETURN_URL_ORIGINS": f"{at.http('gateway')},http://localhost:{at.ports['gateway']}",
    }


def _pay(at: Addresses) -> dict[str, str]:
    own = at.databases["pay"]
    return {
        "DATABASE_URL": own.service,
        "JWKS_URL": at.http("user-api") + "/.well-known/jwks.json",
        "ACCEPTED_CREDENTIALS": at.accepted("pay-api"),
        "PUBLIC_URL": at.http("gateway"),
        "CLOUDPAYMENTS_API_URL": at.http("cloudpayments-sandbox"),
        "CLOUDPAYMENTS_PUBLIC_URL": at.http("cloudpayments-sandbox"),
        "CLOUDPAYMENTS_PUBLIC_ID": SANDBOX_ACCOUNT[0],
        "CLOUDPAYMENTS_API_SECRET": SANDBOX_ACCOUNT[1],
        "TOKEN_ENCRYPTION_KEY": at.secrets["token-encryption"],
        "LINK_SIGNING_KEY": at.secrets["link-signing"],
    }


def _sandbox(at: Addresses) -> dict[str, str]:
    return {
        "SANDBOX_PUBLIC_ID": SANDBOX_ACCOUNT[0],
        "SANDBOX_API_SECRET": SANDBOX_ACCOUNT[1],
        "SANDBOX_PUBLIC_URL": at.http("cloudpayments-sandbox"),
        "SANDBOX_NOTIFICATIONS_URL": at.http("pay-api") + "/v1/webhooks/cloudpayments",
        # cards saved before `make down` stay chargeable after `make up`
        "SANDBOX_STATE_FILE": str(at.keys.parent / "sandbox-state.jsonl"),
        "SANDBOX_KEY_FILE": str(at.keys.parent / "sandbox-key.pem"),
    }


def _billing(at: Addresses) -> dict[str, str]:
    own = at.databases["billing"]
    return {
        "DATABASE_URL": own.service,
        "JWKS_URL": at.http("user-api") + "/.well-known/jwks.json",
        "ACCEPTED_CREDENTIALS": at.accepted("billing-api"),
        "USER_API_URL": at.http("user-api"),
        "USER_API_TOKEN": at.token("billing-api", "user-api"),
        "DJANGO_SECRET_KEY": at.secrets["django:billing"],
    }


def _admin(at: Addresses) -> dict[str, str]:
    values: dict[str, str] = {}
    for database in DATABASES:
        named = at.databases[database].environment()
        values |= {
            key: url for key, url in named.items() if key != "DATABASE_URL" and key not in MIGRATION_SETTINGS
        }
    return values | {
        "USER_API_URL": at.http("user-api"),
        "USER_API_TOKEN": at.token("admin-panel", "user-api"),
        "DJANGO_SECRET_KEY": at.secrets["django:admin"],
        "PUBLIC_URL": at.http("gateway"),
        "DEMO_LOGINS_FILE": str(at.demo_logins),
    }


def _scheduler(at: Addresses) -> dict[str, str]:
    return {
        "CELERY_BROKER_URL": at.amqp("scheduler"),
        "REDBEAT_REDIS_URL": at.redis("redbeat", "scheduler"),
        "BILLING_API_URL": at.http("billing-api"),
        "BILLING_API_TOKEN": at.token("scheduler", "billing-api"),
        "BEAT_TICK_SECONDS": "10",
    }


def owners(at: Addresses, group: Group) -> dict[str, str]:
    """Addresses of the databases a group migrates, as their owners: for its one-shot and nobody else."""
    own: dict[Group, tuple[str, ...]] = {
        "user": ("users",),
        "pay": ("pay",),
        "billing": ("billing",),
        "admin": ("admin", "movies"),
    }
    return {
        key: url
        for database in own[group]
        for key, url in at.databases[database].environment().items()
        if key in MIGRATION_SETTINGS
    }


def urls(at: Addresses) -> dict[str, object]:
    """What ``make urls`` prints; databases by their owning role, AMQP as other systems attach."""
    return {
        "gateway": at.http("gateway"),
        "user_api": at.http("user-api"),
        "pay_api": at.http("pay-api"),
        "billing_api": at.http("billing-api"),
        "admin_panel": at.http("admin-panel"),
        "cloudpayments_sandbox": at.http("cloudpayments-sandbox"),
        "amqp": at.amqp("data-bus-reader"),
        "rabbitmq_management": at.http("rabbitmq-management"),
        "redis": at.redis("cache"),
        "databases": {name: made.owner for name, made in at.databases.items()},
    }
