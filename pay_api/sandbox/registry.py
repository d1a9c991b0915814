"""Finds the method of a path: every file of ``methods`` registers its own, so adding one is adding a file."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Final

from pay_api.sandbox.terminal import Method

_METHODS: Final[dict[str, Method]] = {}


def answers(*paths: str) -> Callable[[Method], Method]:
    """Makes the function the method of these paths (without the leading slash)."""

    def register(function: Method) -> Method:
        for path in paths:
            _METHODS[path.lower()] = function
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


def registered() -> dict[str, Method]:
    """Every method by its path without the leading slash."""
    return dict(_METHODS)
