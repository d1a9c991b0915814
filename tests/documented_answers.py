"""What every answer of a service must be by its own OpenAPI, for requests that Schemathesis generates."""

from __future__ import annotations

import os
from typing import Final

from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

AS_DOCUMENTED: Final = [status_code_conformance, content_type_conformance, response_schema_conformance]
BOTH: Final = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
ROUNDS: Final = int(os.environ.get("TEST_ROUNDS", "1"))
