"""The running stack of tests/conftest.py as the story and the browser tests address it."""

from __future__ import annotations

import json

import pytest

from deploy.local.stack import LocalStack
from tests.e2e.stack import Stack


@pytest.fixture(scope="session")
def stack(running_stack: LocalStack) -> Stack:
    """Addresses and credentials of the running stack, as ``make demo`` gets them."""
    logins = json.loads(running_stack.state.demo_logins.read_text())
    return Stack(running_stack.urls(), running_stack.operator_tokens(), logins)
