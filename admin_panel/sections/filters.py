"""List filters that ask nothing of any database but the list's own."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from admin_panel.sections.words import word


class WordFilter(SimpleListFilter):
    """Filters by a column with few known values, in words."""

    column: ClassVar[str]
    values: ClassVar[tuple[str, ...]]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, word(value)) for value in self.values]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.column: self.value()}) if self.value() in self.values else queryset


def word_filter(column: str, title: Any, *values: str) -> type[WordFilter]:
    """A filter class for one column."""
    attributes = {"column": column, "parameter_name": column, "title": title, "values": values}
    return type(f"{column.title()}Filter", (WordFilter,), attributes)
