"""Runs a text of many SQL statements inside a migration."""

from __future__ import annotations

from alembic import context, op


def execute_script(sql: str) -> None:
    """One round trip for the whole text, in the migration's transaction.

    A prepared statement holds one command only, so asyncpg's plain ``execute`` is used.
    """
    if context.is_offline_mode():
        op.execute(sql)
        return
    connection = op.get_bind()
    connection.exec_driver_sql("SELECT 1")  # the adapter opens its transaction with the first statement
    adapted = connection.connection.dbapi_connection
    adapted.run_async(lambda driver: driver.execute(sql))
