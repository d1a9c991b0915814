"""Tells the application that its server was asked to stop, before the server waits for open answers."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_stop(act: Callable[[], None]) -> Iterator[None]:
    """Calls ``act`` in the running loop at SIGTERM or SIGINT; the server's own handler goes on as ever.

    A server waits for the answers it has begun, and only then tells the application's lifespan: whoever
    answers without an end must know earlier. Outside the main thread (no signals there) nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    earlier: dict[int, Callable[[int, FrameType | None], object]] = {}

    def heard(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(act)
        earlier[number](number, frame)

    for number in _SIGNALS:
        handler = signal.getsignal(number)
        if callable(handler):  # where nobody handles it the process just ends
            earlier[number] = handler
            signal.signal(number, heard)
    try:
        yield
    finally:
        for caught, handler in earlier.items():
            if signal.getsignal(caught) is heard:
                signal.signal(caught, handler)
