"""Fixtures of the tests of the data bus."""

from tests.shared.queue_world import world

__all__ = ["world"]
