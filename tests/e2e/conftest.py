"""A whole stack of its own for the end-to-end tests, from a copy of the tree, dropped afterwards."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.stack import LocalStack
from deploy.progress import Progress, ServiceFailed
from deploy.stack import wait_for_catalogue
from tests.e2e.stack import Stack

ROOT = Path(__file__).resolve().parents[2]


def _copy_of_the_tree(target: Path) -> Path:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


@pytest.fixture(scope="session")
def local_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The running stack; what it stored is gone at the end, whatever happened."""
    stack = LocalStack(_copy_of_the_tree(tmp_path_factory.mktemp("suite")))
    progress = Progress()
    try:
        try:
            stack.up(progress)
            wait_for_catalogue(stack, progress)
        except ServiceFailed as failure:
            pytest.fail(f"{failure.name} failed: {failure.what}\n{failure.log}", pytrace=False)
        yield stack
    finally:
        stack.reset()


@pytest.fixture(scope="session")
def stack(local_stack: LocalStack) -> Stack:
    """Addresses and credentials of the running stack, as ``make demo`` gets them."""
    logins = json.loads(local_stack.state.demo_logins.read_text())
    return Stack(local_stack.urls(), local_stack.operator_tokens(), logins)
