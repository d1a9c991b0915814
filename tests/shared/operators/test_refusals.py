"""APP_ENV=production starts nothing that is configured for development, and never tells the value."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr, create_model

from shared.settings import ConfigurationRefused, SuiteSettings
from tests.shared.operators.services import (
    SERVICES,
    STRONG,
    safe_environment,
    secrets_of,
    settings_class,
)

ROOT = Path(__file__).resolve().parents[3]
GUEST = "amqp://guest:guest@rabbitmq:5672/"
EVERYWHERE = [
    ("AMQP_URL", GUEST),
    ("AMQP_URL", "amqp://service:rabbitmq@rabbitmq:5672/"),
    ("AMQP_URL", "amqp://service@rabbitmq:5672/"),
    ("AMQP_URL", f"amqp://service:{STRONG}@rabbitmq:port/"),
    ("CLOCK_REDIS_URL", f"redis://:{STRONG}@redis:6379/2"),
    ("FAILPOINTS", "relay.after_claim_before_publish=kill"),
    ("DEBUG", "1"),
    ("DJANGO_DEBUG", "yes"),
    ("LOG_LEVEL", "DEBUG"),
    ("ACCEPTED_CREDENTIALS", '{"operator": ["dev-operator-to-everything"]}'),
    ("ACCEPTED_CREDENTIALS", '{"operator": ["short"]}'),
    ("ACCEPTED_CREDENTIALS", '{"operator": [""]}'),
    ("ACCEPTED_CREDENTIALS", '{"a": ["kT4nB7yXc2Wq9sHf"], "b": ["kT4nB7yXc2Wq9sHf"]}'),
    ("ACCEPTED_CREDENTIALS", "{not json kT4nB7yXc2Wq9sHf"),
]
UNCALLED = ("admin-panel", "scheduler")  # they have no internal routes
POSTGRES = f"postgresql://postgres:{STRONG}@db/x"
OWN = [
    ("user-api", "PUBLIC_URL", "http://cinema.tv"),
    ("user-api", "PUBLIC_URL", "https://*"),
    ("user-api", "RETURN_URL_ORIGINS", "https://cinema.tv,http://other.tv"),
    ("user-api", "RETURN_URL_ORIGINS", "https://*.cinema.tv"),
    ("user-api", "ACCEPTED_CREDENTIALS", "{}"),
    ("user-api", "JWT_KEYS_DIR", "/nowhere"),
    ("user-api", "DATABASE_URL", POSTGRES),
    ("user-api", "SESSION_REDIS_URL", "redis://redis:6379/1"),
    ("user-api", "PAY_API_URL", "http://user:password@pay-api:8002"),
    ("pay-api", "PUBLIC_URL", "http://cinema.tv"),
    ("pay-api", "CLOUDPAYMENTS_API_URL", "http://api.cloudpayments.ru"),
    ("pay-api", "CLOUDPAYMENTS_API_URL", "https://cloudpayments-sandbox:8005"),
    ("pay-api", "CLOUDPAYMENTS_PUBLIC_URL", "http://api.cloudpayments.ru"),
    ("pay-api", "CLOUDPAYMENTS_PUBLIC_ID", "pk_cinema_sandbox"),
    ("pay-api", "CLOUDPAYMENTS_PUBLIC_ID", "test_api_00000000000000000000001"),
    ("pay-api", "CLOUDPAYMENTS_API_SECRET", "cinema-sandbox-secret"),
    ("pay-api", "CLOUDPAYMENTS_API_SECRET", "test"),
    ("pay-api", "TOKEN_ENCRYPTION_KEY", "kT4nB7yXc2Wq9sHfkT4nB7yXc2Wq9sHf"),
    ("pay-api", "LINK_SIGNING_KEY", "aaaaaaaaaaaaaaaaaaaaaaaa"),
    ("pay-api", "ACCEPTED_CREDENTIALS", "{}"),
    ("billing-api", "ACCEPTED_CREDENTIALS", "{}"),
    ("billing-api", "DJANGO_SECRET_KEY", "aZ4sX7dC1fV8gB2hN5jM9"),
    ("billing-api", "DJANGO_SECRET_KEY", "ab" * 40),
    ("billing-api", "DATABASE_URL", "postgresql://billing_api:qwerty123@billing-db/billing"),
    ("billing-api", "SELLER_INN", "7700000000"),
    ("billing-api", "SELLER_INN", ""),
    ("admin-panel", "PUBLIC_URL", "http://cinema.tv"),
    ("admin-panel", "PUBLIC_URL", "https://*"),
    ("admin-panel", "ADMIN_REQUIRE_MFA", "false"),
    ("admin-panel", "DJANGO_SECRET_KEY", "django-insecure-" + "pL9oK2iJ5uH8yG1tF4rD7eS0wA3qZ6xC9vB2nM5"),
    *(
        (service, "VAT_RATES", rates)
        for service in ("billing-api", "admin-panel")
        for rates in (
            "",
            "2026-01-01",
            "2026-02-30=2200",
            "2026-01-01=22.5",
            "2026-01-01=10001",
            "2026-01-01=-1",
            "2026-01-01=2200,2019-01-01=2000",
            "2026-01-01=2200,2026-01-01=2000",
        )
    ),
    ("scheduler", "CELERY_BROKER_URL", GUEST),
    ("scheduler", "REDBEAT_REDIS_URL", "redis://:redis@redis:6379/3"),
]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in SERVICES:
        for name in settings_class(service).model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
            monkeypatch.delenv(f"{name.upper()}_FILE", raising=False)
    for name in ("FAILPOINTS", "DEBUG", "DJANGO_DEBUG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def keys_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return tmp_path_factory.mktemp("keys")


def _set(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)


def _refused(service: str, setting: str, value: str | None) -> None:
    with pytest.raises(ConfigurationRefused) as refused:
        settings_class(service)().refuse_unsafe()
    words = str(refused.value)
    assert words.startswith(f"refusing to start: {setting}: "), words
    for piece in (value, STRONG, "kT4nB7yXc2Wq9sHf"):
        assert not piece or len(piece) < 6 or piece not in words


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_safe_starts(service: str, monkeypatch: pytest.MonkeyPatch, keys_folder: Path) -> None:
    _set(monkeypatch, safe_environment(service, keys_folder))
    settings_class(service)().refuse_unsafe()


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(("setting", "value"), EVERYWHERE)
def test_every_service_refuses(
    service: str, setting: str, value: str, monkeypatch: pytest.MonkeyPatch, keys_folder: Path
) -> None:
    _set(monkeypatch, safe_environment(service, keys_folder) | {setting: value})
    _refused(service, setting, value)


@pytest.mark.parametrize(("service", "setting", "value"), OWN)
def test_a_service_refuses(
    service: str, setting: str, value: str, monkeypatch: pytest.MonkeyPatch, keys_folder: Path
) -> None:
    _set(monkeypatch, safe_environment(service, keys_folder) | {setting: value})
    _refused(service, setting, value)


@pytest.mark.parametrize(
    ("service", "setting"), [(service, name) for service in SERVICES for name in secrets_of(service)]
)
def test_a_secret_left_out_empty_or_default_is_refused_and_a_file_will_do(
    service: str, setting: str, monkeypatch: pytest.MonkeyPatch, keys_folder: Path, tmp_path: Path
) -> None:
    given = safe_environment(service, keys_folder)
    good = given.pop(setting)
    _set(monkeypatch, given)
    if setting != "ACCEPTED_CREDENTIALS" or service not in UNCALLED:
        _refused(service, setting, None)
    bad = '{"operator": ["changeme-please"]}' if setting == "ACCEPTED_CREDENTIALS" else "changeme-please"
    for value in (bad, " " if setting != "ACCEPTED_CREDENTIALS" else '{"operator": [" "]}'):
        monkeypatch.setenv(setting, value)
        _refused(service, setting, value)
    monkeypatch.delenv(setting)
    file = tmp_path / "secret"
    monkeypatch.setenv(f"{setting}_FILE", str(file))
    with pytest.raises(ConfigurationRefused, match=f"{setting}_FILE: the file cannot be read"):
        settings_class(service)()
    file.write_text(good + "\n")
    settings_class(service)().refuse_unsafe()


def test_what_may_be_left_out_may_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    optional = create_model("Optional", __base__=SuiteSettings, partner_token=(SecretStr | None, None))
    _set(monkeypatch, safe_environment("scheduler", Path()))
    optional().refuse_unsafe()
    monkeypatch.setenv("PARTNER_TOKEN", "dev-token-of-a-partner")
    with pytest.raises(ConfigurationRefused, match="PARTNER_TOKEN: a development default"):
        optional().refuse_unsafe()


def test_cookies_and_hosts_of_the_admin_are_strict_in_production(tmp_path: Path) -> None:
    code = (
        "from admin_panel.config import settings as s; "
        "assert s.SESSION_COOKIE_SECURE and s.CSRF_COOKIE_SECURE;"
        "assert s.SESSION_COOKIE_NAME.startswith('__Host-');"
        "assert s.DEBUG is False and '*' not in s.ALLOWED_HOSTS, s.ALLOWED_HOSTS"
    )
    done = _run([sys.executable, "-c", code], safe_environment("admin-panel", tmp_path))
    assert done.returncode == 0, done.stderr


PROCESSES = {
    "user-api": ("user-api", ["uvicorn", "--factory", "user_api.main:create_app", "--port", "0"]),
    "user-worker": ("user-api", ["python", "-m", "user_api.worker"]),
    "pay-api": ("pay-api", ["uvicorn", "--factory", "pay_api.main:create_app", "--port", "0"]),
    "pay-worker": ("pay-api", ["python", "-m", "pay_api.worker"]),
    "billing-api": ("billing-api", ["gunicorn", "billing_api.config.wsgi:application", "-b", "127.0.0.1:0"]),
    "billing-worker": ("billing-api", ["python", "-m", "billing_api.worker"]),
    "admin-panel": ("admin-panel", ["gunicorn", "admin_panel.config.wsgi:application", "-b", "127.0.0.1:0"]),
    "admin-worker": ("admin-panel", ["python", "-m", "admin_panel.worker"]),
    "scheduler-worker": ("scheduler", ["celery", "-A", "scheduler.app", "worker", "--without-mingle"]),
    "scheduler-beat": ("scheduler", ["celery", "-A", "scheduler.app", "beat"]),
}


def _run(command: list[str], given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    folder = Path(sys.executable).parent
    clean = {"PATH": os.environ["PATH"], "HOME": "/tmp", "PYTHONPATH": str(ROOT)}
    program = command[0] if "/" in command[0] else str(folder / command[0])
    return subprocess.run(
        [program, *command[1:]],
        cwd=ROOT,
        env=clean | given,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


_LONG = {"user-worker", "pay-api", "billing-worker", "admin-panel", "admin-worker"}  # alike to another's


@pytest.mark.parametrize(
    "process", [pytest.param(name, marks=[pytest.mark.long] if name in _LONG else []) for name in PROCESSES]
)
def test_the_process_itself_ends_at_once(process: str, keys_folder: Path) -> None:
    service, command = PROCESSES[process]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    marker = "canary-Vq8x"
    leaked = f"amqp://guest:{marker}@127.0.0.1:1/"
    done = _run(command, safe_environment(service, keys_folder) | {"AMQP_URL": leaked})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode not in (0, None), done.stdout
    assert "refusing to start: AMQP_URL: " in done.stderr, done.stderr[-2000:]
    assert marker not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    # CPU time: on a machine that does much else the wall clock says nothing.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 5
