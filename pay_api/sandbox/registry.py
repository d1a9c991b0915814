"""Finds the method of a path: every file of ``methods`` registers its own, so adding one is adding a file."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pay_api.sandbox.terminal import Method

_METHODS: Final[dict[str, Method]] = {}
_OPEN: Final[dict[str, OpenBy]] = {}


@dataclass(frozen=True, slots=True)
class OpenBy:
    """A method of apps and browsers, which hold no secret: the terminal's Public ID alone opens it."""

    name: str
    in_query: bool = False  # else it is a parameter


def answers(*paths: str, open_by: OpenBy | None = None) -> Callable[[Method], Method]:
    """Makes the function the method of these paths (without the leading slash)."""

    def register(function: Method) -> Method:
        for path in paths:
            _METHODS[path.lower()] = function
            if open_by is not None:
                _OPEN[path.lower()] = open_by
        return function

    return register


def load_methods() -> None:
    """Imports every file of the package ``methods``."""
    package = importlib.import_module("pay_api.sandbox.methods")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


def method_of(path: str) -> tuple[str, Method] | None:
    """The method's name and function; paths are matched without regard to case."""
    name = path.strip("/").lower()
    function = _METHODS.get(name)
    return (name, function) if function is not None else None


def open_by(name: str) -> OpenBy | None:
    """By what the method opens without the secret; None: only with it."""
    return _OPEN.get(name)


def registered() -> dict[str, Method]:
    """Every method by its path without the leading slash."""
    return dict(_METHODS)
