"""UserAPI against its own OpenAPI: generated requests, good and bad, of a user and of a service: no 5xx."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from tests import servers
from tests.documented_answers import AS_DOCUMENTED, BOTH, NOTHING_CAN_BE_WRONG, ROUNDS
from tests.pay_api.conftest import ThreadedServer
from user_api.main import create_app
from user_api.settings import Settings

MIGRATE = ["alembic", "-c", "user_api/alembic.ini", "upgrade", "head"]
# PayAPI and BillingAPI are away here: 503 is the documented answer where they are asked.
AWAY = {"/problems/pay-api-unavailable", "/problems/billing-api-unavailable"}
OPERATOR = "operator-credential"


@pytest.fixture(scope="module")
def served(jwt_keys_dir: Path) -> Iterator[str]:
    nowhere = f"http://127.0.0.1:{servers.free_port()}"
    redis_url = servers.redis_database()
    settings = Settings(
        app_env="test",
        log_level="CRITICAL",
        database_url=servers.create_database("users", migrate=MIGRATE).service,
        cache_redis_url=redis_url,
        session_redis_url=redis_url,
        clock_redis_url=redis_url,
        jwt_keys_dir=jwt_keys_dir,
        pay_api_url=nowhere,
        billing_api_url=nowhere,
        register_limit="100000/hour",
        reset_limit="100000/hour",
        login_failures_per_ip="100000/hour",
        accepted_credentials={"operator": [OPERATOR]},
    )
    server = ThreadedServer(create_app(settings), servers.free_port())
    server.start()
    yield server.url
    server.stop()


class Attack:
    """Sends ``rounds`` generated requests per operation and mode; keeps what was not as documented."""

    def __init__(self, url: str, rounds: int) -> None:
        self.url = url
        self.rounds = rounds
        self.schema = schemathesis.openapi.from_url(f"{url}/openapi.json", wait_for_schema=10)
        self.access_token = "none"
        self.answered: Counter[tuple[str, int]] = Counter()

    def run(self) -> list[str]:
        failures: list[str] = []
        operations = [found.ok() for found in self.schema.get_all_operations()]
        for operation in operations:
            for mode in BOTH:
                try:
                    self._send(operation, mode, self._credential(operation.path))
                except NOTHING_CAN_BE_WRONG:
                    continue
                except (AssertionError, BaseExceptionGroup) as error:
                    failures.append(f"{operation.label}: {error!r} {getattr(error, 'exceptions', '')}"[:1500])
        assert {label for label, _ in self.answered} == {operation.label for operation in operations}
        assert {200, 202, 404, 422} <= {status for _, status in self.answered}, self.answered
        return failures

    def _credential(self, path: str) -> str:
        """The operator's for internal routes, else the access token of a user who is still signed in."""
        if path.startswith("/internal/"):
            return OPERATOR
        with httpx.Client(base_url=self.url, trust_env=False, timeout=20) as client:
            present = {"Authorization": f"Bearer {self.access_token}"}
            if client.get("/v1/me", headers=present).status_code != 200:
                body = {"email": f"u{uuid4().hex}@example.com", "password": "correct horse battery"}
                self.access_token = client.post("/v1/auth/register", json=body).json()["access_token"]
        return self.access_token

    def _send(self, operation: Any, mode: GenerationMode, credential: str) -> None:
        @hypothesis_settings(
            max_examples=self.rounds,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def send(case: Any) -> None:
            headers = {"Authorization": f"Bearer {credential}", "Idempotency-Key": str(uuid4())}
            answer = case.call(headers=headers, timeout=30)
            self.answered[case.operation.label, answer.status_code] += 1
            # 503 is a neighbour's absence, no failure of our own; it, too, must be documented.
            away = answer.status_code == 503 and answer.json()["type"] in AWAY
            case.validate_response(
                answer, checks=AS_DOCUMENTED if away else [not_a_server_error, *AS_DOCUMENTED]
            )

        send()


def test_answers_as_documented(served: str) -> None:
    assert Attack(served, 2).run() == []


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_answers_as_documented_at_length(served: str) -> None:
    assert Attack(served, 40 * ROUNDS).run() == []
