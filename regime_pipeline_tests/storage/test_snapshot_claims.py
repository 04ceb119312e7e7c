"""Tests of whose snapshots a database's are: claimed once, compared ever after, adopted when somebody says so."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.storage.admin.migrate import upgrade
from regime_pipeline.storage.snapshots.store import SnapshotStore
from regime_pipeline.storage.urls import libpq_url
from regime_pipeline.storage.warehouse import Warehouse


@pytest.fixture
def warehouse(database_url: str) -> Iterator[Warehouse]:
    upgrade(database_url)
    with Warehouse(database_url) as opened:
        yield opened


def store_in(folder: Path) -> SnapshotStore:
    return SnapshotStore(str(folder))


def test_the_first_store_is_claimed_and_stays_the_one(warehouse: Warehouse, tmp_path: Path) -> None:
    for _ in range(2):
        warehouse.snapshot_claims.require(store_in(tmp_path / "ours"))

    mark = store_in(tmp_path / "ours").mark()
    assert mark is not None
    with pytest.raises(StorageError, match="have no mark") as raised:
        warehouse.snapshot_claims.require(store_in(tmp_path / "empty"))
    assert str(tmp_path / "empty") in raised.value.what
    assert "regime db adopt-snapshots" in raised.value.todo
    assert store_in(tmp_path / "empty").mark() is None, "nothing is written to a folder that is refused"
    store_in(tmp_path / "foreign").put_mark("another")
    with pytest.raises(StorageError, match="are another database's"):
        warehouse.snapshot_claims.require(store_in(tmp_path / "foreign"))


def test_a_database_that_forgot_takes_the_mark_that_is_there(
    warehouse: Warehouse, tmp_path: Path, database_url: str
) -> None:
    """As after `regime db restore` beside the snapshots that were there."""
    store = store_in(tmp_path)
    warehouse.snapshot_claims.require(store)
    mark = store.mark()
    with psycopg.connect(libpq_url(database_url)) as connection:
        connection.execute("DELETE FROM snapshot_store")

    warehouse.snapshot_claims.require(store)

    assert store.mark() == mark


def test_a_store_that_was_moved_or_begun_again_is_adopted(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.snapshot_claims.require(store_in(tmp_path / "old"))

    warehouse.snapshot_claims.adopt(store_in(tmp_path / "new"))

    warehouse.snapshot_claims.require(store_in(tmp_path / "new"))
    with pytest.raises(StorageError):
        warehouse.snapshot_claims.require(store_in(tmp_path / "old"))


def test_workers_that_start_together_on_one_folder_agree(warehouse: Warehouse, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(warehouse.snapshot_claims.require, store_in(tmp_path)) for _ in range(16)]

    assert [each.exception() for each in done] == [None] * 16


def test_of_workers_that_start_together_on_folders_of_their_own_one_goes_on(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(warehouse.snapshot_claims.require, store_in(tmp_path / str(i))) for i in range(8)]

    assert sum(each.exception() is None for each in done) == 1
    assert all(isinstance(each.exception(), StorageError | None) for each in done)
