"""The tables of commerce are as their models say."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.servers import ROOT, DatabaseUrls


def test_models_and_migrations_agree(database: DatabaseUrls) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "-c", "user_api/alembic.ini", "check"],
        cwd=ROOT,
        env=os.environ | database.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
