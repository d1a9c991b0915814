"""What every answer of a service must be by its own OpenAPI, for requests that Schemathesis generates."""

from __future__ import annotations

import os
from typing import Final
from unittest import SkipTest

from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.control import SkipTest as SkippedBySchemathesis
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

AS_DOCUMENTED: Final = [status_code_conformance, content_type_conformance, response_schema_conformance]
BOTH: Final = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
# What says that nothing can be wrong with an operation's parameters; a skip would end the whole test.
NOTHING_CAN_BE_WRONG: Final = (Unsatisfiable, SkipTest, SkippedBySchemathesis)
ROUNDS: Final = int(os.environ.get("TEST_ROUNDS", "1"))
