"""Chooses TCP ports on loopback: the documented one when it is free, else one that is."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """True when nothing listens on the port, neither on loopback nor on every address."""
    for address in (LOOPBACK, "0.0.0.0"):  # noqa: S104 - bound for a moment to ask, never listened on
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def accepts(port: int, timeout_seconds: float = 0.5) -> bool:
    """True when something answers a connection on loopback."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_seconds):
            return True
    except OSError:
        return False


def free_port(taken: Iterable[int] = ()) -> int:
    """A port the kernel gives out, other than those in ``taken``."""
    avoid = set(taken)
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((LOOPBACK, 0))
            port = int(probe.getsockname()[1])
        if port not in avoid:
            return port


def choose_ports(preferred: Mapping[str, int], remembered: Mapping[str, int]) -> dict[str, int]:
    """One port per name: the remembered one, else the preferred one, else any; each only when free.

    Names keep their remembered port for as long as nobody else took it, so printed addresses stay true.
    """
    chosen: dict[str, int] = {}
    reserved = set(preferred.values())
    for name, wanted in preferred.items():
        for candidate in (remembered.get(name), wanted):
            if candidate is not None and candidate not in chosen.values() and is_free(candidate):
                chosen[name] = candidate
                break
        else:
            chosen[name] = free_port(reserved | set(chosen.values()) | set(remembered.values()))
    return chosen
