"""The world that the command tests live in."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.servers import DatabaseUrls


@pytest.fixture
def world(billing: DatabaseUrls, now: datetime):
    """A catalogue in an empty billing database."""
    from tests.billing_api.commands.world import World

    return World(now)
