"""The commerce fixtures serve the access tests too."""

from __future__ import annotations

from tests.user_api.commerce.conftest import (  # noqa: F401
    anna,
    app,
    billing,
    catalogue,
    deliver,
    handlers,
    pay,
    resources,
    sign_up,
)
