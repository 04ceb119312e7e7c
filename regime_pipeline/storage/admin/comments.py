"""Writes what each column says into the database, where psql, Grafana and every SQL client show it.

See `storage.column_comments` for the texts.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import sqlalchemy as sa
from psycopg import sql

from regime_pipeline.storage.column_comments import COMMENTED, column_comment

_COLUMNS: Final = sa.text(
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
)

_COMMENT: Final = sql.SQL("COMMENT ON COLUMN {} IS {};")


def write_comments(connection: sa.Connection) -> None:
    """Give the columns of our tables and views their comments, in the transaction of a connection.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        Of the owner of the tables. A column of an earlier revision that has no text keeps what it has.
    """
    comments = []
    for table, column in connection.execute(_COLUMNS).all():
        if table in COMMENTED:
            with suppress(KeyError):
                text = sql.Literal(column_comment(table, column))
                comments.append(_COMMENT.format(sql.Identifier(table, column), text))
    driver = connection.connection.driver_connection
    if driver is not None and comments:
        driver.execute(sql.SQL(" ").join(comments))
