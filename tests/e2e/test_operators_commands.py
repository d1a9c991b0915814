"""What docs/operations.md tells an operator to type works on the local stack as it is written."""

from __future__ import annotations

import pytest

from deploy.local.stack import LocalStack
from tests.documented_commands import COMMANDS, EXPECTED, IDS

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(120)]


@pytest.mark.parametrize(("service", "command"), COMMANDS, ids=IDS)
def test_a_documented_command_works(running_stack: LocalStack, service: str, command: str) -> None:
    assert len(COMMANDS) >= EXPECTED
    assert running_stack.run_in(service, command.split()) == 0


def test_a_service_that_is_not_there_is_named(running_stack: LocalStack) -> None:
    with pytest.raises(SystemExit, match=r"no service pay here; one of: .*pay-worker"):
        running_stack.run_in("pay", ["true"])
    assert running_stack.run_in("pay-worker", ["python", "-c", "raise SystemExit(7)"]) == 7
