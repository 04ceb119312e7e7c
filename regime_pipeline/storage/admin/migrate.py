"""Schema revisions: bring a database to the newest, or only check whether it is there.

A server only checks; `regime db upgrade` and the embedded database upgrade. See `storage.migrations` for the revisions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.storage.admin.comments import write_comments
from regime_pipeline.storage.urls import redacted, sqlalchemy_url

VERSION_TABLE: Final = "regime_alembic_version"
OLDEST_SERVER: Final = 15
_SCRIPTS: Final = Path(__file__).parents[1] / "migrations"
_LOCK: Final = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('regime_pipeline schema', 0))")
_UPGRADE: Final = "Run `regime db upgrade`."


def head() -> str:
    """Return the newest revision that this version of the package knows."""
    return _script().get_current_head() or ""


def current(url: str) -> str | None:
    """Return the revision of a database, None if it has no schema of ours.

    Raises
    ------
    StorageError
        The server cannot be reached or is older than PostgreSQL 15.
    """
    with _transaction(url) as connection:
        return _revision(connection)


def upgrade(url: str) -> str:
    """Bring a database to the newest revision in one transaction; a fresh one runs every migration too.

    Parameters
    ----------
    url : str
        PostgreSQL URL in any spelling. Concurrent calls wait for each other.

    Returns
    -------
    str
        The revision reached.

    Raises
    ------
    StorageError
        The database is newer than this package, the server too old or out of reach.
    """
    with _transaction(url) as connection:
        connection.execute(_LOCK)
        refuse_newer(_revision(connection), f"The database {redacted(url)}")
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        write_comments(connection)
    return head()


def check(url: str) -> None:
    """Make sure that a database has exactly the newest revision.

    Raises
    ------
    StorageError
        It has none, an older or a newer one; names the command that helps.
    """
    revision = current(url)
    refuse_newer(revision, f"The database {redacted(url)}")
    if revision is None:
        raise StorageError(f"The database {redacted(url)} has no schema yet.", _UPGRADE)
    if revision != head():
        raise StorageError(f"The database {redacted(url)} is at revision {revision}, behind {head()}.", _UPGRADE)


def refuse_newer(revision: str | None, what: str) -> None:
    """Refuse a revision that this version does not know.

    Raises
    ------
    StorageError
        It is newer; begins with `what`, for example `The backup x.regime`.
    """
    known = {script.revision for script in _script().walk_revisions()}
    if revision is not None and revision not in known:
        raise StorageError(
            f"{what} is at revision {revision}, which this version does not know.",
            "It is newer: update regime-pipeline.",
        )


def _config() -> Config:
    """Build alembic's configuration in memory; no ini file is searched for."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _revision(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def _refuse_old_server(connection: sa.Connection, url: str) -> None:
    version = int(connection.execute(sa.text("SHOW server_version_num")).scalar_one()) // 10_000
    if version < OLDEST_SERVER:
        raise StorageError(f"The server of {redacted(url)} is PostgreSQL {version}.", f"Use {OLDEST_SERVER} or newer.")


@contextmanager
def _transaction(url: str) -> Iterator[sa.Connection]:
    """Open one transaction on a server that is new enough, and no pool."""
    engine = sa.create_engine(sqlalchemy_url(url), poolclass=sa.NullPool)
    try:
        with engine.begin() as connection:
            _refuse_old_server(connection, url)
            yield connection
    except DBAPIError as error:
        reason = (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]
        raise StorageError(
            f"The database {redacted(url)} refused: {reason}.", "Check the server with `regime db status`."
        ) from error
    finally:
        engine.dispose()
