"""Writes the SQL of every migration to files, for linting: ``python -m tests.migration_sql DIRECTORY``.

Alembic tells UserAPI's without a database. PayAPI's are SQL files already (the shared tables in them are
UserAPI's too). Django needs a database that is migrated, made on a private Postgres.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests import servers

ROOT = Path(__file__).resolve().parents[1]
BILLING_APP, CATALOGUE_APP = "billing_service", "catalog"


def output_of(*command: str, environment: dict[str, str]) -> str:
    """The output of a module of this checkout; raises SystemExit with its errors."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return done.stdout


def migrations(app: str) -> list[str]:
    """Names of a Django application's migrations, in order."""
    (folder,) = ROOT.glob(f"*/{app}/migrations")
    return sorted(path.stem for path in folder.glob("[0-9]*.py"))


def write_alembic(directory: Path) -> None:
    """UserAPI's whole history in one file, PayAPI's files as they are."""
    command = ("alembic", "-c", "user_api/alembic.ini", "upgrade", "head", "--sql")
    sql = output_of(*command, environment={"MIGRATION_DATABASE_URL": "postgresql://nobody@127.0.0.1/none"})
    (directory / "user_api.sql").write_text(sql)
    for path in (ROOT / "pay_api/migrations/versions").glob("*.sql"):
        (directory / f"pay_api-{path.name}").write_text(path.read_text())


def write_django(directory: Path) -> None:
    """One file per migration of BillingService and of the catalogue."""
    made = {name: servers.create_database(name) for name in ("billing", "users", "movies", "admin")}
    environment = {"APP_ENV": "test"}
    for urls in (made["users"], made["movies"], made["admin"], made["billing"]):
        environment |= urls.environment()  # billing last: DATABASE_URL is its own
    jobs = [
        ("billing_api.manage", ("migrate", "--skip-checks", "-v", "0"), BILLING_APP, "billing"),
        ("admin_panel.manage", ("migrate_all", "-v", "0"), CATALOGUE_APP, "movies"),
    ]
    for manage, migrate, app, database in jobs:
        output_of(manage, *migrate, environment=environment)
        for name in migrations(app):
            sql = output_of(manage, "sqlmigrate", app, name, "--database", database, environment=environment)
            (directory / f"{app}-{name}.sql").write_text(sql)


def main() -> int:
    directory = Path(sys.argv[1])
    write_alembic(directory)
    run = servers.open_run()
    try:
        write_django(directory)
    finally:
        servers.close_run(run)
    return 0


if __name__ == "__main__":
    sys.exit(main())
