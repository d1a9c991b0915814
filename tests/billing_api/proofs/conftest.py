"""The world that the proofs live in: the same as that of the commands."""

from __future__ import annotations

from tests.billing_api.commands.conftest import world

__all__ = ["world"]
