"""Each model lives where it should, with no more rights than it needs."""

from __future__ import annotations

from tests.admin_panel.conftest import Panel


def test_models_are_routed_to_their_databases(panel: Panel) -> None:
    found = panel.inside("router")
    assert found["where"] == {
        "Movie": ["movies", "movies"],
        "User": ["users", "users"],
        "Staff": ["default", "default"],
        "Invoice": ["billing_ro", "billing"],
        "Invoice in a command": ["billing", "billing"],
    }
    assert found["migrates"] == {
        "default": ["auth", "sessions"],
        "movies": ["catalog"],
        "users": [],
        "billing": [],
        "billing_ro": [],
    }
    assert found["relation"] is False


def test_read_only_aliases_refuse_writes(panel: Panel) -> None:
    found = panel.inside("read_only")
    assert set(found.values()) <= {"ReadOnlySqlTransaction", "InsufficientPrivilege"}
    assert set(found) == {"billing_ro", "users"}


def test_the_role_of_commands_neither_deletes_nor_rewrites_the_ledger(panel: Panel) -> None:
    assert set(panel.inside("commands_role").values()) == {"InsufficientPrivilege"}


def test_a_command_that_fails_in_its_middle_leaves_nothing(panel: Panel) -> None:
    found = panel.inside("failures")
    assert set(found["ended"].values()) == {"stopped"}
    assert len(found["ended"]) == 11
    assert found["after"] == found["before"]


def test_an_action_the_database_gave_up_is_done_again(panel: Panel) -> None:
    """A deadlock of its preview or of its deed costs a second try, and is done once."""
    assert panel.inside("given_up") == {"previewed": [2, True], "done": [2, True], "written": 1}


def test_tables_stand_in_one_database_only(panel: Panel) -> None:
    tables = {
        name: {
            row[0] for row in panel.rows(name, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        }
        for name in ("movies", "admin")
    }
    assert {"movie", "collection", "product", "price", "outbox"} <= tables["movies"]
    assert "auth_user" in tables["admin"]
    assert not tables["movies"] & tables["admin"] - {"django_migrations"}
    assert "invoice" not in tables["movies"] | tables["admin"]
