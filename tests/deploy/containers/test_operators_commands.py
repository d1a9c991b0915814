"""What docs/operations.md tells an operator to type works on the running containers; a backup restores."""

from __future__ import annotations

import subprocess

import pytest

from deploy.local.databases import DATABASES
from deploy.local.state import ROOT
from tests.deploy.containers.engine import Container, docker
from tests.documented_commands import COMMANDS, EXPECTED, IDS

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]


@pytest.mark.parametrize(("service", "command"), COMMANDS, ids=IDS)
def test_a_documented_command_works(service: str, command: str) -> None:
    assert len(COMMANDS) >= EXPECTED
    words = ["make", "-s", "in", "MODE=docker", f"S={service}", f"DO={command}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_bill_of_materials_is_in_every_image_of_ours(running: dict[str, Container]) -> None:
    for service in ("user-api", "pay-api", "billing-api", "admin-panel", "scheduler-beat"):
        listed = running[service].execute("cat", "/app/sbom.cdx.json").stdout
        assert '"bomFormat": "CycloneDX"' in listed, service
        assert "pkg:pypi/" in listed, service
        assert "pkg:deb/" in listed, service


def rows(server: str, database: str) -> dict[str, int]:
    """Table -> number of rows."""
    question = "SELECT format('SELECT %L, count(*) FROM %I', tablename, tablename) FROM pg_tables"
    psql = "psql -U postgres -qAt -v ON_ERROR_STOP=1 -d"
    script = (
        f'{psql} {database} -c "{question} WHERE schemaname = \'public\'" | sed "s/$/;/" | {psql} {database}'
    )
    done = docker("exec", server, "bash", "-c", f"set -o pipefail; {script}", check=True)
    return {name: int(count) for name, count in (line.split("|") for line in done.stdout.splitlines())}


@pytest.mark.parametrize("database", DATABASES)
def test_a_dump_of_a_database_restores_all_of_it(running: dict[str, Container], database: str) -> None:
    """The commands of "Backup and restore", into a database beside the one in use."""
    server = running[f"{database}-db"].facts["Id"]
    script = f"""
        set -euo pipefail
        dropdb -U postgres --if-exists restored
        createdb -U postgres restored
        pg_dump -U postgres -Fc {database} |
          pg_restore -U postgres --exit-on-error --clean --if-exists -d restored
    """
    before = rows(server, database)
    try:
        done = docker("exec", server, "bash", "-c", script)
        assert done.returncode == 0, done.stderr
        after, restored = rows(server, database), rows(server, "restored")
    finally:
        docker("exec", server, "dropdb", "-U", "postgres", "--if-exists", "restored")
    assert set(restored) == set(before)
    assert sum(before.values()) > 0
    for table, count in restored.items():  # the services go on meanwhile
        low, high = sorted((before[table], after[table]))
        assert low <= count <= high, table
