"""A cluster of another major version: refused at the start, moved by the explicit command, kept until removed."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from regime_pipeline.domain.errors import MissingDataError, StorageError, UsageError
from regime_pipeline.storage.admin import migrate
from regime_pipeline.storage.admin import pg_tools as client_programs
from regime_pipeline.storage.admin.upgrade import move_cluster
from regime_pipeline.storage.databases import ensure_databases
from regime_pipeline.storage.embedded.binaries import MAJOR_VERSION, programs_for
from regime_pipeline.storage.embedded.cluster import Cluster
from regime_pipeline.storage.embedded.directory import make_place, make_private_directory, server_account
from regime_pipeline.storage.embedded.server import EmbeddedServer
from regime_pipeline.storage.urls import with_database
from regime_pipeline.storage.warehouse import Warehouse
from regime_pipeline_tests.storage.factories import ETH, begin, hours, random_candles, write_candles

pytestmark = [pytest.mark.slow, pytest.mark.postgres]
OLD = 16
"""The other major version that the wheel carries."""
ACCOUNT = "nobody"
WINDOW = hours(0, 30)


@pytest.fixture
def old(home: Path) -> Cluster:
    """A cluster of the old version with data in both databases, stopped."""
    place = make_place(home, server_account(ACCOUNT))
    make_private_directory(place.data, place.account)
    programs = programs_for(place.account, place.base, OLD)
    quick = ("--no-sync", "--set=fsync=off")
    made = programs.run("initdb", "-D", place.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", *quick, timeout_s=60)
    assert made.returncode == 0, made.stdout
    cluster = Cluster(place, OLD)
    with cluster.exclusively() as lock:
        cluster.start(lock)
        regimes, dagster = (with_database(cluster.url, name) for name in ("regimes", "dagster"))
        ensure_databases(regimes, dagster)
        migrate.upgrade(regimes)
        with Warehouse(regimes) as warehouse:
            write_candles(warehouse, random_candles(ETH, WINDOW), WINDOW, begin(warehouse, ETH))
        with psycopg.connect(dagster) as connection:
            connection.execute("CREATE TABLE runs AS SELECT 'of Dagster' AS body")
        cluster.stop()
    return cluster


def _refuse(*_: object) -> None:
    raise StorageError("The disk is full.")


def test_a_cluster_of_another_version_is_refused_then_moved(
    home: Path, old: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = EmbeddedServer(home, ACCOUNT)
    refusal = f"was made by PostgreSQL {OLD}, the installed programs are {MAJOR_VERSION}.*`regime db move`"
    with pytest.raises(StorageError, match=refusal):
        server.attach()
    server.release()

    with old.exclusively() as lock:
        old.start(lock)
    with pytest.raises(StorageError, match="cannot be moved: its server runs"):
        move_cluster(home, ACCOUNT)
    old.stop()

    with monkeypatch.context() as patch:
        patch.setattr(client_programs, "load", _refuse)
        with pytest.raises(StorageError, match="The disk is full"):
            move_cluster(home, ACCOUNT)
    assert (old.stored_major, old.has_processes(), list(old.place.base.glob("data-*"))) == (OLD, False, [])

    moved = move_cluster(home, ACCOUNT)

    assert (moved.old, moved.new) == (OLD, MAJOR_VERSION)
    assert (moved.kept / "PG_VERSION").read_text("utf-8").strip() == str(OLD)
    assert not (old.place.base / "move").exists()
    url = server.attach()
    with psycopg.connect(with_database(url, "dagster")) as connection:
        assert connection.info.server_version // 10_000 == MAJOR_VERSION
        assert connection.execute("SELECT body FROM runs").fetchall() == [("of Dagster",)]
    with Warehouse(with_database(url, "regimes")) as warehouse:
        stored = warehouse.read_candles(ETH, WINDOW.start_ms - ETH.step_ms, WINDOW.end_ms)
        assert stored.close.tolist() == random_candles(ETH, WINDOW).close.tolist()
    server.release()
    with pytest.raises(UsageError, match="nothing to move"):
        move_cluster(home, ACCOUNT)
    old.place.data.rename(home / "gone")
    with pytest.raises(StorageError, match="A move was cut off: rename"):
        server.attach()


def test_what_cannot_be_moved(home: Path) -> None:
    with pytest.raises(MissingDataError, match="has no embedded database"):
        move_cluster(home, ACCOUNT)
    place = make_place(home, server_account(ACCOUNT))
    make_private_directory(place.data, place.account)
    with pytest.raises(StorageError, match="is not a PostgreSQL cluster"):
        move_cluster(home, ACCOUNT)
    (place.data / "PG_VERSION").write_text("12\n")
    with pytest.raises(StorageError, match=r"no programs of PostgreSQL 12.*regime db backup"):
        move_cluster(home, ACCOUNT)
