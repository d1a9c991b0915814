"""Reads resource names that products grant: ``collection:<slug>``, ``movie:<id>``, ``feature:<slug>``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from admin_panel.catalog.models import Collection, Movie
from admin_panel.databases import MOVIES

_FORM: Final = re.compile(r"(collection|movie|feature):([A-Za-z0-9][A-Za-z0-9-]{0,99})")


@dataclass(frozen=True, slots=True)
class Grant:
    """A resource; ``kind`` is empty when the name is not one."""

    kind: str
    name: str

    def exists(self) -> bool:
        """Whether the Movies database has what is granted; a feature only needs a proper name."""
        match self.kind:
            case "collection":
                return Collection.objects.using(MOVIES).filter(slug=self.name).exists()
            case "movie":
                try:
                    return Movie.objects.using(MOVIES).filter(pk=UUID(self.name)).exists()
                except ValueError:
                    return False
            case "feature":
                return True
            case _:
                return False


def parse(resource: str) -> Grant:
    """The parts of a resource name."""
    found = _FORM.fullmatch(resource.strip())
    return Grant(found[1], found[2]) if found else Grant("", resource)
