"""A process that serves PayAPI, or reconciles once, and dies where a fail point says; one fork per life.

Reads ``<serve|reconcile> <port> <FAILPOINTS>`` lines; answers ``<return code>`` when the life is over.
"""

from __future__ import annotations

import asyncio
import os
import sys

import uvicorn

from deploy.processes import KEEP_ALIVE_SECONDS
from pay_api.main import create_app
from pay_api.pay_service.context import open_context
from pay_api.pay_service.reconcile import reconcile
from pay_api.settings import Settings


async def _reconcile() -> None:
    context = open_context(Settings())
    await reconcile(context)
    await context.aclose()


def live(role: str, port: int) -> None:
    if role == "reconcile":
        asyncio.run(_reconcile())
    else:
        uvicorn.run(
            create_app(),
            host="127.0.0.1",
            port=port,
            log_config=None,
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )


def main() -> None:
    for line in sys.stdin:
        role, port, setting = line.split()
        child = os.fork()
        if child == 0:
            os.environ["FAILPOINTS"] = setting
            live(role, int(port))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
