"""Which databases are used, made when absent on either server, refused with a remedy."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from regime_pipeline.domain.errors import StorageError, UsageError
from regime_pipeline.storage import databases
from regime_pipeline.storage.databases import (
    DatabaseUrls,
    ensure_databases,
    external_urls,
    resolve_database,
    server_version,
)
from regime_pipeline.storage.embedded.server import embedded_server
from regime_pipeline.storage.urls import libpq_url, with_database

pytestmark = pytest.mark.postgres
NOWHERE = Path("/nonexistent/home")


@pytest.fixture
def absent_url(each_postgres_url: str) -> Iterator[str]:
    """URL of a database that does not exist yet; it and Dagster's beside it are dropped afterwards."""
    name = f'test "{uuid.uuid4().hex}"'
    yield with_database(each_postgres_url, name)
    with psycopg.connect(each_postgres_url, autocommit=True) as connection:
        for each in (name, f"{name}_dagster"):
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(each)))


def ask(url: str, question: str) -> object:
    with psycopg.connect(libpq_url(url)) as connection:
        row = connection.execute(question).fetchone()
        return row and row[0]


def test_embedded_server_holds_both(home: Path) -> None:
    urls = resolve_database(home, None, None, "nobody")
    try:
        assert urls.is_embedded
        assert urls.regimes.startswith("postgresql://postgres@/regimes?host=")
        assert urls.dagster == urls.regimes.replace("postgresql:", "postgresql+psycopg2:").replace(
            "regimes?", "dagster?"
        )
        assert ask(urls.regimes, "SELECT current_database()") == "regimes"
        assert ask(urls.dagster, "SELECT current_database()") == "dagster"
        assert resolve_database(home, None, None, "nobody") == urls
    finally:
        embedded_server(home, "nobody").release()
    assert not embedded_server(home, "nobody").status().is_running


def test_both_are_made_on_a_given_server(absent_url: str) -> None:
    urls = resolve_database(NOWHERE, absent_url.replace("postgresql:", "postgres+other:"), None, "nobody")
    assert not urls.is_embedded
    assert urls.regimes == absent_url
    assert urls.dagster == external_urls(absent_url, None).dagster
    for url in (urls.regimes, urls.dagster):
        assert ask(url, "SHOW server_encoding") == "UTF8"
    assert ask(urls.dagster, "SELECT current_database()") == f"{ask(urls.regimes, 'SELECT current_database()')}_dagster"
    assert resolve_database(NOWHERE, absent_url, None, "nobody") == urls


def test_dagster_may_live_elsewhere(absent_url: str, each_postgres_url: str) -> None:
    urls = resolve_database(NOWHERE, absent_url, each_postgres_url, "nobody")
    assert urls.dagster == each_postgres_url.replace("postgresql:", "postgresql+psycopg2:")


def test_racing_makers_all_succeed(absent_url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ensure_databases, [absent_url] * 8))
    assert ask(absent_url, "SELECT 1") == 1


def test_a_database_that_another_process_has_just_created_is_there(database_url: str) -> None:
    """The connection was refused, and before the maker looked somebody else had made it."""
    databases._create(database_url, psycopg.OperationalError('database "x" does not exist'))


def test_version_of_a_server(each_postgres_url: str) -> None:
    assert int(server_version(each_postgres_url).split(".")[0]) >= 15


def test_old_server_is_refused(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "_OLDEST_VERSION", 990000)
    with pytest.raises(StorageError, match=r"is PostgreSQL 18, older than 99\. Upgrade the server"):
        ensure_databases(database_url)
    with pytest.raises(StorageError, match="older than 99"):
        ensure_databases(with_database(database_url, "absent"))


def test_unreachable_server_is_named_without_its_password() -> None:
    url = "postgresql://u:secret@127.0.0.1:1/db"
    for call in (ensure_databases, server_version):
        with pytest.raises(
            StorageError, match=r"u:\*\*\*@127.0.0.1:1/db cannot be reached: .*refused.* Check"
        ) as caught:
            call(url)
        assert "secret" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_refused_user_is_not_an_absent_database(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS shut_out")
        connection.execute("CREATE ROLE shut_out LOGIN")
        connection.execute(
            sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(connection.info.dbname))
        )
    with pytest.raises(StorageError, match=r"cannot be reached: .*permission denied"):
        ensure_databases(database_url.replace("//postgres@", "//shut_out@"))
    with pytest.raises(
        StorageError, match=r"'not_there' cannot be created .*permission denied.* Let an administrator run"
    ):
        ensure_databases(with_database(database_url.replace("//postgres@", "//shut_out@"), "not_there"))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP ROLE shut_out")


@pytest.mark.parametrize(
    ("ours", "dagsters", "message"),
    [
        ("postgresql://u:secret@h", None, r"postgresql://u:\*\*\*@h/ names no database\. Add its name"),
        ("postgresql://h/db", "postgresql://h/", "names no database"),
        ("mysql://h/db", None, "not a PostgreSQL URL"),
        ("postgresql://h/db", "mysql://h/db", "not a PostgreSQL URL"),
    ],
)
def test_unfit_urls(ours: str, dagsters: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve_database(NOWHERE, ours, dagsters, "nobody")


def test_dagster_url_is_checked_on_the_embedded_server_too(home: Path) -> None:
    with pytest.raises(UsageError, match="names no database"):
        resolve_database(home, None, "postgresql://h", "nobody")
    embedded_server(home, "nobody").release()


def test_on_windows_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(databases, "_IS_WINDOWS", True)
    with pytest.raises(StorageError, match="Set REGIME_DATABASE_URL, or use WSL"):
        resolve_database(tmp_path, None, None, "nobody")


def test_repr_shows_no_password() -> None:
    urls = DatabaseUrls("postgresql://u:secret@h/a", "postgresql+psycopg2://u:secret@h/b", is_embedded=False)
    assert "secret" not in f"{urls} {urls!r}"
    assert "u:***@h/a" in repr(urls)
