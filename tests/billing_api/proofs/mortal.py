"""A process that works in the Billing database and dies where a fail point says; one fork per life.

Reads ``<what> <ISO moment> <FAILPOINTS or -> [argument]`` lines and begins each at once; ``wait`` answers the
return codes of all lives begun so far, in order.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from pathlib import Path

ANSWER = "lives: "  # whatever else stands on the output is a log of a life


def bill(now: datetime, _argument: str) -> None:
    """A whole billing run, as the scheduler's worker would ask for it."""
    from billing_api.billing_service.commands.issue_periodic_invoices import (
        run_billing_shard,
        start_billing_run,
    )

    started = start_billing_run(now=now)
    for shard in range(started.shards):
        assert started.run_id is not None
        run_billing_shard(started.run_id, shard, now=now)


def hear(now: datetime, argument: str) -> None:
    """An event of PayAPI: ``argument`` is a file with the state and its sequence."""
    from billing_api.billing_service.commands.apply_payment_event import apply_payment_event
    from shared.queue.messages.payments import PaymentState

    given = json.loads(Path(argument).read_text(encoding="utf-8"))
    apply_payment_event(PaymentState.model_validate(given["state"]), sequence=given["sequence"], now=now)


def send(now: datetime, argument: str) -> None:
    """Sends what is due to a UserAPI that writes each call's key into the file ``argument``."""
    import httpx

    from billing_api.billing_service.clients.user_api import UserApi
    from billing_api.billing_service.sending import send_due_orders
    from shared.clock import ManualClock
    from shared.service_client import SyncServiceClient

    def answer(request: httpx.Request) -> httpx.Response:
        with Path(argument).open("a", encoding="utf-8") as called:
            called.write(request.headers["Idempotency-Key"] + "\n")
        return httpx.Response(202, json={"payment": {}})

    client = SyncServiceClient(
        "user-api", "http://user-api", "t", timeout_seconds=2, transport=httpx.MockTransport(answer)
    )
    send_due_orders(UserApi(client), ManualClock(now))


DEEDS = {"bill": bill, "hear": hear, "send": send}


def main() -> None:
    import django

    django.setup()
    lives: list[int] = []
    print(f"{ANSWER}{json.dumps('ready')}", flush=True)
    for line in sys.stdin:
        if line.strip() == "wait":
            codes = [os.waitstatus_to_exitcode(os.waitpid(life, 0)[1]) for life in lives]
            lives.clear()
            print(f"{ANSWER}{json.dumps(codes)}", flush=True)
            continue
        what, now, setting, argument = (*line.split(), "", "")[:4]
        life = os.fork()
        if life == 0:
            os.environ["FAILPOINTS"] = "" if setting == "-" else setting
            DEEDS[what](datetime.fromisoformat(now), argument)
            os._exit(0)
        lives.append(life)


if __name__ == "__main__":
    main()
