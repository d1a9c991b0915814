"""Secrets that no settings class holds come from files too: the owners' addresses, those of the commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from deploy.local.databases import SETTINGS
from deploy.processes import MIGRATIONS
from shared.settings import ConfigurationRefused, setting_or_file
from tests import servers

ROOT = Path(__file__).resolve().parents[3]
OWNERS = {
    "users-migrate": {"users": "MIGRATION_DATABASE_URL"},
    "pay-migrate": {"pay": "MIGRATION_DATABASE_URL"},
    "billing-migrate": {"billing": "MIGRATION_DATABASE_URL"},
    "admin-migrate": {"admin": "ADMIN_MIGRATION_DATABASE_URL", "movies": "MOVIES_MIGRATION_DATABASE_URL"},
}


def migrate(name: str, given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs the one-shot of the stacks with these settings and no others."""
    program, *rest = next(job.argv for job in MIGRATIONS if job.name == name)
    return subprocess.run(
        [str(Path(sys.executable).with_name(program)), *rest],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "APP_ENV": "test"} | given,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.mark.parametrize("name", OWNERS)
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
    refused = migrate(name, {other: value for other, value in given.items() if not other.endswith("_FILE")})
    assert refused.returncode != 0
    assert f"refusing to start: {next(iter(OWNERS[name].values()))}: " in refused.stderr
    done = migrate(name, given)
    assert done.returncode == 0, done.stderr[-3000:]
    for owner in owners.values():
        connection = await asyncpg.connect(owner)
        tables = await connection.fetch("SELECT tableowner FROM pg_tables WHERE schemaname = 'public'")
        await connection.close()
        assert {row["tableowner"] for row in tables} == {owner.split("//")[1].split(":")[0]}


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
