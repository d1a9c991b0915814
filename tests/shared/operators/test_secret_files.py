"""Secrets that no settings class holds come from files too: the owners' addresses, those of the commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from deploy.local.databases import SETTINGS
from deploy.processes import BROKER_TOPOLOGY, BROKER_USERS, MIGRATIONS
from deploy.rabbitmq.users import PERMISSIONS
from deploy.redis.users import USERS
from shared.settings import ConfigurationRefused, secret_or_file, setting_or_file
from tests import servers

ROOT = Path(__file__).resolve().parents[3]
OWNERS = {
    "users-migrate": {"users": "MIGRATION_DATABASE_URL"},
    "pay-migrate": {"pay": "MIGRATION_DATABASE_URL"},
    "billing-migrate": {"billing": "MIGRATION_DATABASE_URL"},
    "admin-migrate": {"admin": "ADMIN_MIGRATION_DATABASE_URL", "movies": "MOVIES_MIGRATION_DATABASE_URL"},
}


def run(command: tuple[str, ...], given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a one-shot of the stacks with these settings and no others."""
    program, *rest = command
    return subprocess.run(
        [str(Path(sys.executable).with_name(program)), *rest],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "APP_ENV": "test"} | given,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


# One of each framework always, their longer like at length.
LONGER = {"users-migrate", "billing-migrate"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long if name in LONGER else ()) for name in OWNERS]
)
async def test_migrations_take_the_owner_s_address_from_a_file(name: str, tmp_path: Path) -> None:
    given, owners = {}, {}
    for database, setting in OWNERS[name].items():
        made = servers.create_database(database)
        file = tmp_path / setting
        file.write_text(f"{made.owner}\n")
        given[f"{setting}_FILE"] = str(file)
        # the service's own role is at hand as well, and must not be what migrates
        given |= {other: made[role] for other, role in SETTINGS[database].items() if "MIGRATION" not in other}
        owners[database] = made.owner
    refused = run(
        COMMANDS[name], {other: value for other, value in given.items() if not other.endswith("_FILE")}
    )
    assert refused.returncode != 0
    assert f"refusing to start: {next(iter(OWNERS[name].values()))}: " in refused.stderr
    done = run(COMMANDS[name], given)
    assert done.returncode == 0, done.stderr[-3000:]
    for owner in owners.values():
        connection = await asyncpg.connect(owner)
        tables = await connection.fetch("SELECT tableowner FROM pg_tables WHERE schemaname = 'public'")
        await connection.close()
        assert {row["tableowner"] for row in tables} == {owner.split("//")[1].split(":")[0]}


ONE_SHOTS = {
    "users-migrate": (
        {},
        "MIGRATION_DATABASE_URL",
        "postgresql://users_owner:dev-users-owner@users-db/users",
    ),
    "pay-migrate": ({}, "MIGRATION_DATABASE_URL", "postgresql://pay_owner:dev-pay-owner@pay-db/pay"),
    "billing-migrate": ({}, "MIGRATION_DATABASE_URL", "postgresql://billing_owner:dev-b@billing-db/billing"),
    "admin-migrate": (
        {"MOVIES_MIGRATION_DATABASE_URL": "postgresql://movies_owner:Vq8xT2mLw0pZ5rKd@movies-db/movies"},
        "ADMIN_MIGRATION_DATABASE_URL",
        "postgresql://admin_owner:dev-admin-owner@admin-db/admin",
    ),
    "rabbitmq users": ({}, "RABBITMQ_MANAGEMENT_URL", "http://owner:dev-owner@rabbitmq:15672"),
    "topology": ({}, "AMQP_URL", "amqp://owner:dev-owner@rabbitmq:5672/"),
}
COMMANDS = {job.name: job.argv for job in MIGRATIONS} | {
    "rabbitmq users": BROKER_USERS,
    "topology": BROKER_TOPOLOGY,
}


@pytest.mark.parametrize("name", ONE_SHOTS)
def test_one_shots_refuse_a_development_default_in_production(name: str) -> None:
    given, setting, value = ONE_SHOTS[name]
    done = run(COMMANDS[name], {**given, "APP_ENV": "production", setting: value})
    assert done.returncode != 0
    assert f"refusing to start: {setting}: " in done.stderr, done.stderr[-1500:]
    assert value not in done.stdout + done.stderr


def test_no_user_of_the_broker_keeps_a_development_default(monkeypatch: pytest.MonkeyPatch) -> None:
    strong = {user: f"kT4nB7yXc2Wq9sHf{number}" for number, user in enumerate(PERMISSIONS)}
    monkeypatch.setenv("APP_ENV", "production")
    monkeypatch.setenv("RABBITMQ_PASSWORDS", json.dumps(strong))
    assert secret_or_file("RABBITMQ_PASSWORDS") == json.dumps(strong)
    weak = strong | {"data-bus-reader": "dev-data-bus-reader"}
    monkeypatch.setenv("RABBITMQ_PASSWORDS", json.dumps(weak))
    with pytest.raises(ConfigurationRefused, match="RABBITMQ_PASSWORDS: a development default"):
        secret_or_file("RABBITMQ_PASSWORDS")
    monkeypatch.setenv("APP_ENV", "development")
    assert secret_or_file("RABBITMQ_PASSWORDS") == json.dumps(weak)


SERVERS = {
    "redis": (
        ["sh", "deploy/redis/start.sh"],
        {f"REDIS_{u.upper().replace('-', '_')}_PASSWORD" for u in USERS},
    ),
    "postgres": (["bash", "deploy/postgres/initialise.sh"], {"USERS_OWNER_PASSWORD", "USER_API_PASSWORD"}),
}


@pytest.mark.parametrize("server", SERVERS)
def test_servers_refuse_a_development_default_in_production(server: str) -> None:
    """Their own passwords are in no setting of a service: the containers' scripts look themselves."""
    command, names = SERVERS[server]
    names = names | {f"{server.upper()}_PASSWORD"}
    strong = {name: f"kT4nB7yXc2Wq9sHf{number}" for number, name in enumerate(names)}
    for name in names:
        for weak in ("dev-something-long", "short"):
            given = {"PATH": os.environ["PATH"], "APP_ENV": "production", "POSTGRES_DB": "users"}
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=given | strong | {name: weak},
                capture_output=True,
                text=True,
                check=False,
                timeout=20,
            )
            assert done.returncode == 1
            assert f"refusing to start: {name}: " in done.stderr
            assert weak not in done.stderr


def test_a_file_that_cannot_be_read_is_named_and_its_content_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "amqp"
    monkeypatch.setenv("AMQP_URL", "amqp://environment")
    monkeypatch.setenv("AMQP_URL_FILE", str(file))
    with pytest.raises(
        ConfigurationRefused, match="refusing to start: AMQP_URL_FILE: the file cannot be read"
    ):
        setting_or_file("AMQP_URL")
    file.write_text("amqp://file\n")
    assert setting_or_file("AMQP_URL") == "amqp://file"
    file.write_text("\n")
    assert setting_or_file("AMQP_URL") is None
    monkeypatch.delenv("AMQP_URL_FILE")
    assert setting_or_file("AMQP_URL") == "amqp://environment"
