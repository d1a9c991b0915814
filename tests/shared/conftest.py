"""Fixtures of the tests of shared."""

from tests.shared.queue_world import world

__all__ = ["world"]
