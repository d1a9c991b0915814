"""The five databases: which roles each has, how one is made, and the addresses services know it by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.servers import PostgresServer

ROLES_DIRECTORY = Path(__file__).resolve().parents[1] / "postgres" / "roles"

# database -> its roles, the owner (who migrates) first; their rights are in deploy/postgres/roles/
DATABASES: dict[str, tuple[str, ...]] = {
    "users": ("users_owner", "user_api", "users_ro"),
    "pay": ("pay_owner", "pay_api"),
    "billing": ("billing_owner", "billing_api", "billing_ro", "billing_commands"),
    "movies": ("movies_owner", "movies_admin"),
    "admin": ("admin_owner", "admin_panel"),
}
ROLES: tuple[str, ...] = tuple(role for roles in DATABASES.values() for role in roles)

# database -> setting -> role, as its own service and the admin panel name them
SETTINGS: dict[str, dict[str, str]] = {
    "users": {
        "DATABASE_URL": "user_api",
        "MIGRATION_DATABASE_URL": "users_owner",
        "USERS_DATABASE_URL": "users_ro",
    },
    "pay": {"DATABASE_URL": "pay_api", "MIGRATION_DATABASE_URL": "pay_owner"},
    "billing": {
        "DATABASE_URL": "billing_api",
        "MIGRATION_DATABASE_URL": "billing_owner",
        "BILLING_RO_DATABASE_URL": "billing_ro",
        "BILLING_DATABASE_URL": "billing_commands",
    },
    "movies": {"MOVIES_DATABASE_URL": "movies_admin", "MOVIES_MIGRATION_DATABASE_URL": "movies_owner"},
    "admin": {"ADMIN_DATABASE_URL": "admin_panel", "ADMIN_MIGRATION_DATABASE_URL": "admin_owner"},
}
# the owners' addresses: only what migrates reads them
MIGRATION_SETTINGS = frozenset(
    setting for roles in SETTINGS.values() for setting in roles if "MIGRATION" in setting
)


@dataclass(frozen=True)
class DatabaseUrls:
    """Addresses of one database, one per role: ``postgresql://role:password@host:port/name``."""

    database: str  # users | pay | billing | movies | admin
    name: str  # as the server knows it
    roles: Mapping[str, str]
    superuser: str

    @property
    def owner(self) -> str:
        """The role that migrates."""
        return self.roles[DATABASES[self.database][0]]

    @property
    def service(self) -> str:
        """The role the owning service works with."""
        return self.roles[DATABASES[self.database][1]]

    def __getitem__(self, role: str) -> str:
        return self.roles[role]

    def environment(self) -> dict[str, str]:
        """Settings as processes read them (DATABASE_URL, MIGRATION_DATABASE_URL, ...)."""
        return {setting: self.roles[role] for setting, role in SETTINGS[self.database].items()}


def urls(server: PostgresServer, database: str, name: str, passwords: Mapping[str, str]) -> DatabaseUrls:
    """Addresses of ``database`` under the name it has on this server."""
    roles = {role: server.url(name, role, passwords[role]) for role in DATABASES[database]}
    return DatabaseUrls(database, name, roles, server.url(name))


def grant_roles(server: PostgresServer, database: str, name: str, passwords: Mapping[str, str]) -> None:
    """Makes the roles and gives them their rights in an existing database; safe to repeat.

    Callers take turns: Postgres refuses two sessions that alter one role at the same moment.
    """
    variables = {f"{role}_password": passwords[role] for role in DATABASES[database]}
    server.sql((ROLES_DIRECTORY / f"{database}.sql").read_text(), name, variables)


def create(server: PostgresServer, database: str, name: str, passwords: Mapping[str, str]) -> DatabaseUrls:
    """Makes the database when it is not there and (again) its roles and rights; callers take turns."""
    if not server.sql(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):  # noqa: S608 - our own name
        server.sql(f'CREATE DATABASE "{name}"')
    grant_roles(server, database, name, passwords)
    return urls(server, database, name, passwords)
