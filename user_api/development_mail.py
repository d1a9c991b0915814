"""Stands in for a mailer in development: prints links of messages to user-worker's log, nowhere else."""

from __future__ import annotations

import asyncio
from typing import Final

from shared import logs
from shared.errors import AppError
from shared.settings import AppEnv
from user_api.resources import Resources
from user_api.user_service.database import DATABASE_AWAY
from user_api.user_service.messages import collect_message, list_waiting

EVENT: Final = "development-mail"
_EVERY_SECONDS: Final = 0.5
_AT_ONCE: Final = 20

log = logs.logger(__name__)


async def print_letters(resources: Resources, stop: asyncio.Event) -> None:
    """Collects what waits, as a mailer would, until ``stop``. Raises RuntimeError outside development."""
    if resources.settings.app_env is not AppEnv.DEVELOPMENT:
        raise RuntimeError("links are printed in development only")
    while not stop.is_set():
        try:
            await _print_waiting(resources)
        except DATABASE_AWAY as error:
            log.warning("development-mail-waits", error=type(error).__name__)
        try:
            async with asyncio.timeout(_EVERY_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue


async def _print_waiting(resources: Resources) -> None:
    async with resources.sessions() as session:
        waiting = await list_waiting(session, resources.clock.now(), _AT_ONCE)
    for message in waiting:
        try:
            letter = await collect_message(
                resources.sessions, message.id, resources.settings.public_url, resources.clock.now()
            )
        except AppError as error:  # overtaken by a newer message, an erasure, a real mailer
            log.info("development-mail-not-printed", message_id=str(message.id), code=error.code)
            continue
        log.info(EVENT, message_id=str(letter.message_id), kind=letter.kind.value, link=letter.link)
