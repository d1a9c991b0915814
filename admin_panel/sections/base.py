"""What every page over somebody else's rows shares: it reads, it never writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

from django.contrib.admin.utils import flatten_fieldsets
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from unfold.admin import ModelAdmin
from unfold.decorators import action as unfold_action
from unfold.decorators import display

from admin_panel.actions.base import StaffAction
from admin_panel.databases import BILLING_PAGES
from admin_panel.sections.formats import moment_text, money_text
from admin_panel.sections.words import colour, word


@dataclass(frozen=True)
class Table:
    """Rows shown below a page's own fields. Cells are text or safe HTML."""

    title: Any
    headers: Sequence[Any]
    rows: list[Sequence[Any]]
    note: Any = ""
    right: frozenset[int] = field(default_factory=frozenset)  # columns of figures


def badge(value: str | None) -> SafeString:
    """A status as a coloured word."""
    return render_to_string("admin_panel/badge.html", {"word": word(value), "style": colour(value)})


def parse_id(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None


class StaffActions:
    """Gives a page the buttons of ``staff_actions``, each shown to whom it is permitted."""

    staff_actions: ClassVar[tuple[type[StaffAction], ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        names = []
        for action in cls.staff_actions:
            name = "do_" + action.slug.replace("-", "_")
            setattr(cls, name, _detail_action(action, name))
            setattr(cls, f"has_{action.permission}_permission", _action_check(action))
            names.append(name)
        cls.actions_detail = tuple(names)  # type: ignore[attr-defined]


class ReadOnlyAdmin(StaffActions, ModelAdmin):
    """Lists and shows rows of one model from a read-only alias; nobody edits them here.

    ``found`` turns what staff typed into a filter; ``tables`` gives what belongs to a row.
    """

    alias: ClassVar[str] = BILLING_PAGES
    list_per_page = 50
    show_full_result_count = False
    actions = None
    list_filter_submit = False
    list_fullwidth = True
    change_form_outer_after_template = "admin_panel/tables.html"
    change_form_template = "admin_panel/read_only.html"
    related: ClassVar[tuple[str, ...]] = ()
    search_fields = ("pk",)  # a search box; what it finds is said by ``found``

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = self.model._default_manager.using(self.alias).select_related(*self.related)
        return rows.order_by(*(self.ordering or ("-pk",)))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return (self.found(queryset, term) if term else queryset), False

    def found(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        """The rows a search finds; by id unless a page knows more."""
        identifier = parse_id(term)
        return rows.filter(pk=identifier) if identifier else rows.none()

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return list(flatten_fieldsets(self.get_fieldsets(request, obj)))

    def tables(self, row: Any) -> Iterable[Table]:
        """What belongs to a row, shown below it."""
        return ()

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        row = self.get_object(request, object_id) if object_id else None
        context = {
            "tables": list(self.tables(row)) if row is not None else [],
            "title": capfirst(self.opts.verbose_name),  # Django's own sentence is wrong Russian
            **(extra_context or {}),
        }
        return super().changeform_view(request, object_id, form_url, context)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        context = {"title": capfirst(self.opts.verbose_name_plural), **(extra_context or {})}
        return super().changelist_view(request, context)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        from django.shortcuts import redirect

        # Who changed what is in the audit, not in Django's log of edits: nothing is edited here.
        return redirect("admin:billing_service_auditrecord_changelist")


def permission_check(codename: str) -> Callable[..., bool]:
    """``has_<codename>_permission`` of a page: whether the member of staff may run the action."""

    def has_permission(self: Any, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm(f"staff_actions.{codename}")

    return has_permission


def _action_check(action: type[StaffAction]) -> Callable[..., bool]:
    def has_permission(self: Any, request: HttpRequest, object_id: str | None = None) -> bool:
        if not request.user.has_perm(f"staff_actions.{action.permission}"):
            return False
        return object_id is None or action.is_offered(parse_id(str(object_id)))

    return has_permission


def _detail_action(action: type[StaffAction], name: str) -> Any:
    def run(self: ModelAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
        return action().view(self.admin_site, request, parse_id(object_id))

    run.__name__ = name
    return unfold_action(
        run,
        description=action.title,
        url_path=action.slug,
        permissions=[action.permission],
        icon=action.icon,
    )


def money_column(attribute: str, title: Any, ordering: str | None = None) -> Callable[..., Any]:
    """A column of an amount in minor units."""

    @display(description=title, ordering=ordering or attribute)
    def column(self: Any, row: Model) -> str:
        return money_text(getattr(row, attribute), getattr(row, "currency", "RUB"))

    return column


def moment_column(attribute: str, title: Any) -> Callable[..., Any]:
    @display(description=title, ordering=attribute)
    def column(self: Any, row: Model) -> str:
        return moment_text(getattr(row, attribute))

    return column


def status_column(attribute: str, title: Any) -> Callable[..., Any]:
    @display(description=title, ordering=attribute)
    def column(self: Any, row: Model) -> SafeString:
        return badge(getattr(row, attribute))

    return column


def text_column(title: Any, text: Callable[[Any], Any], ordering: str | None = None) -> Callable[..., Any]:
    """A column made by a function of the row."""

    @display(description=title, ordering=ordering)
    def column(self: Any, row: Model) -> Any:
        return text(row)

    return column
