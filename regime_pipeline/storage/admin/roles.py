"""Least-privilege roles of a database: a reader, a viewer of the views alone, and a writer that owns nothing.

They are groups without a login; who belongs to them, and with which password, is the administrator's choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

import psycopg
from psycopg import sql

from regime_pipeline.domain.errors import StorageError, UsageError
from regime_pipeline.storage.admin.migrate import VERSION_TABLE
from regime_pipeline.storage.tables import VIEWS, dirty_ids, metadata
from regime_pipeline.storage.urls import libpq_url, redacted

KINDS: Final = ("reader", "viewer", "writer")
_PREFIX: Final = re.compile(r"[a-z_][a-z0-9_]{0,39}")
_FIXED: Final = ("regime_state", VERSION_TABLE)
"""Tables that migrations alone write."""
_PRIVATE: Final = ("api_key", "hook_request")
"""Tables that only the API's own role reads."""
_CREATE: Final = sql.SQL(
    "DO $$ BEGIN CREATE ROLE {role} NOLOGIN; "
    "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
)  # fmt: skip
_CONNECT: Final = sql.SQL(
    "DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO {roles}', current_database()); END $$"
)


def apply_roles(url: str, prefix: str) -> tuple[str, ...]:
    """Create the roles that are absent and make them hold exactly their rights on our tables, in one transaction.

    Parameters
    ----------
    url : str
        Our database, at this version's schema, as its owner with the right to create roles.
    prefix : str
        What the roles' names begin with.

    Returns
    -------
    tuple of str
        Names of the reader, the viewer and the writer.

    Raises
    ------
    UsageError
        The prefix is not a plain name.
    StorageError
        The server refused.
    """
    statements = list(_statements(prefix))
    try:
        with psycopg.connect(libpq_url(url)) as connection:
            for statement in statements:
                connection.execute(statement)
    except psycopg.errors.UndefinedTable as error:
        raise StorageError(
            f"The database {redacted(url)} lacks a table: {error}.", "Run `regime db upgrade`."
        ) from error
    except psycopg.Error as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise StorageError(
            f"The database {redacted(url)} refused: {reason}.",
            "Let its administrator run what `regime db roles --print` prints.",
        ) from error
    return _names(prefix)


def roles_sql(prefix: str) -> str:
    """Return the statements as a script for psql, in one transaction; raises `UsageError` as `apply_roles`."""
    lines = "".join(f"{statement.as_string(None)};\n" for statement in _statements(prefix))
    return f"BEGIN;\n{lines}COMMIT;"


def _names(prefix: str) -> tuple[str, ...]:
    if not _PREFIX.fullmatch(prefix):
        raise UsageError(f"{prefix!r} is not a valid role prefix.", "Use small letters, digits and underscores.")
    return tuple(f"{prefix}_{kind}" for kind in KINDS)


def _statements(prefix: str) -> Iterator[sql.Composed]:
    """Yield what to run, in order: everything is taken away first, so that no right outlives its reason."""
    reader, viewer, writer = map(sql.Identifier, _names(prefix))
    everyone = sql.SQL(", ").join([reader, viewer, writer])
    tables = [table.name for table in metadata.sorted_tables]
    for role in (reader, viewer, writer):
        yield _CREATE.format(role=role)
    for kind in ("TABLES", "SEQUENCES"):
        yield sql.SQL("REVOKE ALL ON ALL {} IN SCHEMA public FROM {}").format(sql.SQL(kind), everyone)
    yield _CONNECT.format(roles=everyone)
    yield sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(everyone)
    yield _grant("SELECT", VIEWS, sql.SQL(", ").join([reader, viewer, writer]))
    open_tables = [name for name in tables if name not in _PRIVATE]
    yield _grant("SELECT", [*open_tables, VERSION_TABLE], reader)
    yield _grant("SELECT", [*tables, VERSION_TABLE], writer)
    yield _grant("INSERT, UPDATE, DELETE", [name for name in tables if name not in _FIXED], writer)
    yield sql.SQL("GRANT USAGE ON SEQUENCE {} TO {}").format(sql.Identifier("public", str(dirty_ids.name)), writer)


def _grant(rights: str, names: Iterable[str], to: sql.Composable) -> sql.Composed:
    listed = sql.SQL(", ").join(sql.Identifier("public", name) for name in names)
    return sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(rights), listed, to)
