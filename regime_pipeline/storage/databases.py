"""Which databases this installation uses, on its embedded server or on a given one; they are created if absent.

See `admin.migrate` for schemas, `pool` for connections.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from regime_pipeline.domain.errors import StorageError, UsageError
from regime_pipeline.storage.urls import dagster_url as to_dagster_url
from regime_pipeline.storage.urls import database_name, libpq_url, redacted, with_database

REGIMES_DATABASE: Final = "regimes"
DAGSTER_DATABASE: Final = "dagster"
_IS_WINDOWS: Final = os.name == "nt"
_OLDEST_VERSION: Final = 150000
_CONNECT_TIMEOUT_S: Final = 10
_MAINTENANCE_DATABASES: Final = ("postgres", "template1")
_CREATE: Final = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """The two databases of an installation; its `repr` shows no password.

    Attributes
    ----------
    regimes : str
        Ours, in libpq form (`postgresql://`), for `psycopg.connect` and `sqlalchemy_url`.
    dagster : str
        Dagster's instance storage, in the `postgresql+psycopg2://` form that it needs.
    is_embedded : bool
        Whether ours is on the embedded server.
    """

    regimes: str
    dagster: str
    is_embedded: bool

    def __repr__(self) -> str:
        return f"DatabaseUrls({redacted(self.regimes)!r}, {redacted(self.dagster)!r}, is_embedded={self.is_embedded})"


def resolve_database(home: Path, database_url: str | None, dagster_url: str | None, account: str) -> DatabaseUrls:
    """Return the databases to use, reachable and existing; every composition root begins with this.

    Without `database_url` this process becomes a client of the home's embedded server until it ends.

    Parameters
    ----------
    home : Path
        The project's home directory.
    database_url : str or None
        Our database on a server of the user's; None for the embedded server.
    dagster_url : str or None
        Dagster's database; None for one beside ours: `dagster` on the embedded server, else `<name>_dagster`.
    account : str
        Account that runs the embedded server when the caller is root.

    Raises
    ------
    UsageError
        A URL is not a PostgreSQL URL or names no database.
    StorageError
        A server cannot be reached or is older than PostgreSQL 15, or a database cannot be created.
    """
    urls = external_urls(database_url, dagster_url) if database_url else _embedded_urls(home, dagster_url, account)
    ensure_databases(urls.regimes, urls.dagster)
    return urls


def external_urls(database_url: str, dagster_url: str | None) -> DatabaseUrls:
    """Return the URLs on servers of the user's without connecting; raises `UsageError` as `resolve_database`."""
    name = _required_name(database_url)
    if dagster_url:
        _required_name(dagster_url)
    return DatabaseUrls(
        libpq_url(database_url),
        to_dagster_url(dagster_url or with_database(database_url, f"{name}_dagster")),
        is_embedded=False,
    )


def embedded_urls(server_url: str, dagster_url: str | None) -> DatabaseUrls:
    """Return the URLs on a running embedded server without connecting; raises `UsageError` as `resolve_database`."""
    if dagster_url:
        _required_name(dagster_url)
    return DatabaseUrls(
        with_database(server_url, REGIMES_DATABASE),
        to_dagster_url(dagster_url or with_database(server_url, DAGSTER_DATABASE)),
        is_embedded=True,
    )


def ensure_databases(*urls: str) -> None:
    """Create the databases that do not exist yet, in UTF-8; several processes may do so at once.

    Raises
    ------
    StorageError
        A server cannot be reached or is older than PostgreSQL 15, or a database cannot be created.
    """
    for url in urls:
        try:
            with _connect(url) as connection:
                _check_version(connection, url)
        except psycopg.Error as error:
            _create(url, error)


def server_version(url: str) -> str:
    """Return the version of the server of a database, such as `18.4`; raises `StorageError` as `ensure_databases`."""
    try:
        with _connect(url) as connection:
            _check_version(connection, url)
            return str(connection.info.parameter_status("server_version"))
    except psycopg.Error as error:
        raise _unreachable(url, error) from error


def _embedded_urls(home: Path, dagster_url: str | None, account: str) -> DatabaseUrls:
    if _IS_WINDOWS:
        raise StorageError("There is no embedded PostgreSQL on Windows.", "Set REGIME_DATABASE_URL, or use WSL.")
    from regime_pipeline.storage.embedded.server import embedded_server  # it needs POSIX file locks

    return embedded_urls(embedded_server(home.absolute(), account).attach(), dagster_url)


def _required_name(url: str) -> str:
    if name := database_name(url):
        return name
    raise UsageError(f"{redacted(url)} names no database.", "Add its name after the host: postgresql://host/name.")


def _connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(libpq_url(url), connect_timeout=_CONNECT_TIMEOUT_S, autocommit=True)


def _check_version(connection: psycopg.Connection[tuple[object, ...]], url: str) -> None:
    version = connection.info.server_version
    if version < _OLDEST_VERSION:
        raise StorageError(
            f"{redacted(url)} is PostgreSQL {version // 10000}, older than {_OLDEST_VERSION // 10000}.",
            "Upgrade the server, or unset REGIME_DATABASE_URL to use the embedded one.",
        )


def _create(url: str, refusal: psycopg.Error) -> None:
    """Create the database of a URL if that is what made the connection fail, else raise the refusal."""
    name = database_name(url)
    connection = _maintenance_connection(url, _MAINTENANCE_DATABASES)
    if connection is None:
        raise _unreachable(url, refusal)
    with connection:
        _check_version(connection, url)
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount:
            _require_reachable(url)
            return
        try:
            connection.execute(_CREATE.format(sql.Identifier(name)))
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            return  # another process was faster
        except psycopg.Error as error:
            raise StorageError(
                f"The database {name!r} cannot be created on {redacted(url)}: {_reason(error)}.",
                f"Let an administrator run: CREATE DATABASE \"{name}\" ENCODING 'UTF8' TEMPLATE template0.",
            ) from error


def _require_reachable(url: str) -> None:
    """Refuse a database that exists and still lets nobody in; another process may just have created it."""
    try:
        _connect(url).close()
    except psycopg.Error as error:
        raise _unreachable(url, error) from error


def _maintenance_connection(url: str, databases: Iterable[str]) -> psycopg.Connection[tuple[object, ...]] | None:
    for database in databases:
        with contextlib.suppress(psycopg.Error):
            return _connect(with_database(url, database))
    return None


def _unreachable(url: str, error: psycopg.Error) -> StorageError:
    return StorageError(
        f"{redacted(url)} cannot be reached: {_reason(error)}.",
        "Check the URL and that the server runs and lets this user in.",
    )


def _reason(error: psycopg.Error) -> str:
    return " ".join(str(error).split()).rstrip(".")
