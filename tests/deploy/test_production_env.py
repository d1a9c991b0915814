"""The .env that is made for production: filled in, every service starts with it; left out, it is refused."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.state import ROOT
from deploy.production_env import YOURS, production_env
from shared import keys
from shared.settings import ConfigurationRefused
from tests.shared.operators.services import settings_class

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
PROCESSES = {
    "user-api": "user-api",
    "pay-api": "pay-api",
    "billing-api": "billing-api",
    "admin-panel": "admin-panel",
    "scheduler-beat": "scheduler",
}
FILLED_IN = {
    "PUBLIC_URL": "https://cinema.tv",
    "RETURN_URL_ORIGINS": "https://cinema.tv",
    "CLOUDPAYMENTS_PUBLIC_ID": "pk_live_1234",
    "CLOUDPAYMENTS_API_SECRET": "e3c5a1f7b9d24680ace1",
    "SELLER_INN": "7743013901",
}


def parsed(text: str) -> dict[str, str]:
    """The variables of an .env."""
    return dict(line.split("=", 1) for line in text.splitlines() if re.match(r"[A-Z0-9_]+=", line))


def expanded(value: object, given: dict[str, str]) -> str:
    """What compose makes of ``${NAME:-default}`` and ``${NAME-default}``."""
    text = str(value)
    pattern = re.compile(r"\$\{([A-Z0-9_]+)(:?)-([^${}]*)\}")

    def chosen(found: re.Match[str]) -> str:
        name, empty_counts_as_unset, default = found.groups()
        return given.get(name, default) or (default if empty_counts_as_unset else "")

    while pattern.search(text):
        text = pattern.sub(chosen, text)
    return text


def environment(service: str, given: dict[str, str], keys_folder: Path) -> dict[str, str]:
    """The environment of a service's container with this .env."""
    named = SERVICES[service]["environment"].items()
    made = {k: expanded(v, given) if v is not None else given.get(k) for k, v in named}
    if "JWT_KEYS_DIR" in made:
        made["JWT_KEYS_DIR"] = str(keys_folder)
    return {key: value for key, value in made.items() if value is not None}


def start(service: str, given: dict[str, str], monkeypatch: pytest.MonkeyPatch, keys_folder: Path) -> None:
    """Reads and judges the settings as the process does; raises ConfigurationRefused."""
    cls = settings_class(PROCESSES[service])
    with monkeypatch.context() as alone:
        for name in cls.model_fields:
            alone.delenv(name.upper(), raising=False)
        for name, value in environment(service, given, keys_folder).items():
            alone.setenv(name, value)
        cls().refuse_unsafe()


@pytest.fixture(scope="module")
def keys_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    keys.create(folder)
    return folder


def test_every_service_starts_with_it_once_it_is_filled_in(
    monkeypatch: pytest.MonkeyPatch, keys_folder: Path
) -> None:
    given = parsed(production_env()) | FILLED_IN
    assert set(FILLED_IN) == set(YOURS)
    for service in PROCESSES:
        start(service, given, monkeypatch, keys_folder)


@pytest.mark.parametrize("left_out", YOURS)
def test_what_is_not_filled_in_is_refused_by_its_name(
    left_out: str, monkeypatch: pytest.MonkeyPatch, keys_folder: Path
) -> None:
    given = parsed(production_env()) | FILLED_IN | {left_out: ""}
    refusals = []
    for service in PROCESSES:
        try:
            start(service, given, monkeypatch, keys_folder)
        except ConfigurationRefused as refused:
            refusals.append(str(refused))
    assert refusals
    assert all(words.startswith(f"refusing to start: {left_out}: ") for words in refusals), refusals


def test_no_secret_is_the_example_s_and_none_is_made_twice() -> None:
    example = parsed((ROOT / ".env.example").read_text(encoding="utf-8"))
    first, second = parsed(production_env()), parsed(production_env())
    secret = [name for name, value in example.items() if "dev-" in value]
    assert len(secret) > 40
    made = [given[name] for given in (first, second) for name in secret]
    assert len(set(made)) == len(made)
    assert not [name for name, value in first.items() if "dev-" in value or "sandbox" in value]


def test_it_is_made_without_an_environment_of_ours() -> None:
    command = [sys.executable, "-S", "-m", "deploy.production_env"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    assert parsed(done.stdout)["APP_ENV"] == "production"
