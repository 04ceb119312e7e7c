"""Roles on both servers: each can do its work, and nothing beyond it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from regime_pipeline.domain.errors import StorageError, UsageError
from regime_pipeline.storage.admin.migrate import VERSION_TABLE, check, upgrade
from regime_pipeline.storage.admin.roles import KINDS, apply_roles, roles_sql
from regime_pipeline.storage.tables import VIEWS, metadata
from regime_pipeline.storage.warehouse import Warehouse
from regime_pipeline_tests.storage.factories import ETH, begin, changed, hours, random_candles, write_candles

pytestmark = pytest.mark.postgres
WINDOW = hours(0, 30)
TABLES = sorted(table.name for table in metadata.sorted_tables)


class Roles:
    """The roles of a database under a prefix of its own, since roles belong to the whole server."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.prefix = f"t{uuid.uuid4().hex[:12]}"

    def apply(self) -> None:
        assert apply_roles(self.url, self.prefix) == tuple(f"{self.prefix}_{kind}" for kind in KINDS)

    def url_of(self, kind: str) -> str:
        """The database as a member of a role sees it."""
        mark = "&" if "?" in self.url else "?"
        return f"{self.url}{mark}options=-c%20role%3D{self.prefix}_{kind}"

    def refuses(self, kind: str, statement: str) -> bool:
        """Whether the role may not, as opposed to anything else that could go wrong."""
        with psycopg.connect(self.url_of(kind)) as connection:
            try:
                connection.execute(statement)
            except psycopg.errors.InsufficientPrivilege:
                return True
            finally:
                connection.rollback()
        return False

    def drop(self) -> None:
        with psycopg.connect(self.url) as connection:
            for kind in KINDS:
                connection.execute(f"DROP OWNED BY {self.prefix}_{kind}")
                connection.execute(f"DROP ROLE {self.prefix}_{kind}")


@pytest.fixture
def roles(each_postgres_url: str) -> Iterator[Roles]:
    upgrade(each_postgres_url)
    made = Roles(each_postgres_url)
    made.apply()
    yield made
    made.drop()


def test_the_writer_does_the_work_of_a_run_and_drops_nothing(roles: Roles) -> None:
    check(roles.url_of("writer"))  # what a program does when it opens the database
    with Warehouse(roles.url_of("writer")) as warehouse:
        run_id = begin(warehouse, ETH)
        candles = random_candles(ETH, WINDOW)
        write_candles(warehouse, candles, WINDOW, run_id)
        write_candles(warehouse, changed(candles, 3, 5), WINDOW, run_id, {"features": 3_600_000})
        assert warehouse.dirty(ETH)
        assert len(warehouse.read_candles(ETH, WINDOW.start_ms - ETH.step_ms, WINDOW.end_ms)) == len(candles)
    for statement in (
        "DROP TABLE candles",
        "TRUNCATE candles",
        "ALTER TABLE candles ADD COLUMN extra int",
        "CREATE TABLE mine (a int)",
        "CREATE INDEX ON candles (run_id)",
        "DROP VIEW market_candles",
        "UPDATE regime_state SET trend_state = 'x'",
        f"DELETE FROM {VERSION_TABLE}",
    ):
        assert roles.refuses("writer", statement), statement


def test_the_reader_reads_everything_but_keys_and_writes_nothing(roles: Roles) -> None:
    private = {"api_key", "hook_request"}
    for name in private:
        assert roles.refuses("reader", f"SELECT FROM {name} LIMIT 1"), name
    for name in (*sorted(set(TABLES) - private), *VIEWS, VERSION_TABLE):
        assert not roles.refuses("reader", f"SELECT FROM {name} LIMIT 1"), name
    for name in TABLES:
        for statement in (f"DELETE FROM {name}", f"INSERT INTO {name} DEFAULT VALUES", f"DROP TABLE {name}"):
            assert roles.refuses("reader", statement), statement
    assert roles.refuses("reader", "SELECT nextval('dirty_range_id_seq')")
    assert roles.refuses("reader", "CREATE TABLE mine (a int)")


def test_the_viewer_sees_views_alone(roles: Roles) -> None:
    for name in VIEWS:
        assert not roles.refuses("viewer", f"SELECT FROM {name} LIMIT 1"), name
    for name in (*TABLES, VERSION_TABLE):
        assert roles.refuses("viewer", f"SELECT FROM {name}"), name


def test_repeating_corrects_what_was_changed_by_hand(roles: Roles) -> None:
    with psycopg.connect(roles.url) as connection:
        connection.execute(f"GRANT ALL ON candles TO {roles.prefix}_reader")
        connection.execute(f"REVOKE SELECT ON features FROM {roles.prefix}_reader")
    assert not roles.refuses("reader", "DELETE FROM candles")
    roles.apply()
    assert roles.refuses("reader", "DELETE FROM candles")
    assert not roles.refuses("reader", "SELECT FROM features")


def test_the_printed_script_is_the_same_step(roles: Roles) -> None:
    with psycopg.connect(roles.url) as connection:
        connection.execute(f"GRANT ALL ON candles TO {roles.prefix}_reader")
    with psycopg.connect(roles.url, autocommit=True) as connection:
        connection.execute(roles_sql(roles.prefix))
    assert roles.refuses("reader", "DELETE FROM candles")


def test_refusals(database_url: str) -> None:
    with pytest.raises(UsageError, match="is not a valid role prefix"):
        roles_sql('x"; DROP TABLE candles; --')
    prefix = f"t{uuid.uuid4().hex[:12]}"
    with pytest.raises(StorageError, match="Run `regime db upgrade`"):
        apply_roles(database_url, prefix)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT FROM pg_roles WHERE rolname LIKE %s", [f"{prefix}%"]).rowcount == 0
