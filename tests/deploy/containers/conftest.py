"""The compose stack that runs on this machine; `.ci/run` starts it before these tests."""

from __future__ import annotations

import pytest

from tests.deploy.containers.engine import Container, containers


@pytest.fixture(scope="module")
def running() -> dict[str, Container]:
    """Every container of the running stack by its service."""
    return containers()
