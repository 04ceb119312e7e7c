"""Backups: what comes back equals what was there; damage, newer schemas and data in the way are refused."""

from __future__ import annotations

import hashlib
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from psycopg import sql

from regime_pipeline.domain.errors import StorageError, UsageError
from regime_pipeline.storage.admin import migrate
from regime_pipeline.storage.admin.backup import Manifest, restore_backup, write_backup
from regime_pipeline.storage.bulk.columns import BULK_TABLES
from regime_pipeline.storage.databases import DatabaseUrls
from regime_pipeline.storage.tables import metadata
from regime_pipeline.storage.warehouse import Warehouse
from regime_pipeline_tests.conftest import _second_server, fresh_database
from regime_pipeline_tests.storage.factories import (
    ETH,
    assert_same_rows,
    begin,
    changed,
    hours,
    random_candles,
    random_rows,
    write_candles,
)

pytestmark = pytest.mark.postgres
WINDOW = hours(0, 30)


def fill(urls: DatabaseUrls) -> None:
    """Rows in every table of ours that a chain fills, and a table of Dagster's."""
    migrate.upgrade(urls.regimes)
    with Warehouse(urls.regimes) as warehouse:
        run_id = begin(warehouse, ETH)
        candles = random_candles(ETH, WINDOW)
        write_candles(warehouse, candles, WINDOW, run_id)
        write_candles(warehouse, changed(candles, 3, 5), WINDOW, run_id, {"features": 3_600_000})
        for name, table in BULK_TABLES.items():
            if not name.startswith("candle"):
                warehouse.replace_range(name, ETH, WINDOW, random_rows(table, ETH, WINDOW), run_id)
    with psycopg.connect(urls.dagster) as connection:
        connection.execute("CREATE TABLE runs (id bigserial PRIMARY KEY, body text)")
        connection.execute("INSERT INTO runs (body) VALUES ('first'), ('SET transaction_timeout = 0;')")


def contents(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, as text."""
    found = {}
    with psycopg.connect(url) as connection:
        names = connection.execute("SELECT relname FROM pg_class WHERE relkind IN ('r', 'v') AND relnamespace = 2200")
        for (name,) in names.fetchall():
            rows = connection.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier("public", name)))
            found[name] = sorted(rows.fetchall())
    return found


@pytest.fixture
def source(make_database: Callable[[], str]) -> DatabaseUrls:
    urls = DatabaseUrls(make_database(), make_database(), is_embedded=True)
    fill(urls)
    return urls


@pytest.fixture
def archive(source: DatabaseUrls, tmp_path: Path) -> Path:
    path = tmp_path / "backup.regime"
    write_backup(source, path)
    return path


@pytest.fixture(params=["embedded", "pg15"])
def target(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[DatabaseUrls]:
    server = postgres_url if request.param == "embedded" else _second_server()
    with fresh_database(server) as regimes, fresh_database(server) as dagster:
        yield DatabaseUrls(regimes, dagster, is_embedded=False)


def test_what_comes_back_is_what_was_there(source: DatabaseUrls, archive: Path, target: DatabaseUrls) -> None:
    migrate.upgrade(target.regimes)  # an installation without data may have its schema already
    assert restore_backup(target, archive).schema_revision == migrate.head()

    before = contents(source.regimes)
    assert {table.name for table in metadata.sorted_tables} <= before.keys()
    assert {name for name, rows in before.items() if rows} >= {"candles", "candle_revisions", "features", "dirty_range"}
    assert contents(target.regimes) == before
    assert contents(target.dagster) == contents(source.dagster)
    with Warehouse(source.regimes) as old, Warehouse(target.regimes) as new:
        assert_same_rows(new.read_range("features", ETH, WINDOW), old.read_range("features", ETH, WINDOW))
        assert new.start_run("1", "c") == old.start_run("1", "c")  # identities go on where they were
    with psycopg.connect(target.dagster) as connection:
        assert connection.execute("INSERT INTO runs (body) VALUES ('new') RETURNING id").fetchone() == (3,)


def test_data_in_the_way_are_refused_unless_replacing(source: DatabaseUrls, archive: Path) -> None:
    with Warehouse(source.regimes) as warehouse:
        begin(warehouse)
    changed_since = contents(source.regimes)
    with pytest.raises(StorageError, match=r"contains data \(table \w+\).*--replace"):
        restore_backup(source, archive)
    assert contents(source.regimes) == changed_since

    restore_backup(source, archive, is_replacing=True)
    assert len(contents(source.regimes)["runs"]) == len(changed_since["runs"]) - 1


def rewrite(archive: Path, **changes: bytes) -> Path:
    """The archive with other members."""
    path = archive.with_name(f"{uuid.uuid4().hex}.regime")
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, changes.get(name.partition(".")[0], old.read(name)))
    return path


def manifest_of(archive: Path) -> dict[str, Any]:
    with zipfile.ZipFile(archive) as sound:
        return Manifest.model_validate_json(sound.read("manifest.json")).model_dump(mode="json")


def manifest_with(archive: Path, **fields: object) -> bytes:
    return orjson.dumps(manifest_of(archive) | fields)


def test_unsound_archives_are_refused_untouched(archive: Path, make_database: Callable[[], str]) -> None:
    empty = DatabaseUrls(make_database(), make_database(), is_embedded=True)
    with zipfile.ZipFile(archive) as sound:
        damaged = bytearray(sound.read("dagster.dump"))
    damaged[len(damaged) // 2] ^= 1
    (cut := archive.with_name("cut.regime")).write_bytes(archive.read_bytes()[:-100])
    whole = archive.read_bytes()
    (longer := archive.with_name("longer.regime")).write_bytes(whole + b"x" * 100)
    (shifted := archive.with_name("shifted.regime")).write_bytes(b"x" * 100 + whole)
    (halved := archive.with_name("halved.regime")).write_bytes(whole[len(whole) // 2 :])
    for path, reason in (
        (rewrite(archive, dagster=bytes(damaged)), "does not match its checksum"),
        (rewrite(archive, dagster=b""), "another size"),
        (rewrite(archive, manifest=manifest_with(archive, schema_revision="9999")), "update regime-pipeline"),
        (rewrite(archive, manifest=manifest_with(archive, format=2)), "manifest is not sound"),
        (rewrite(archive, manifest=b"\xff"), "manifest is not sound"),
        (cut, "not a valid backup"),
        (longer, "bytes that belong to no part of it"),
        (shifted, "bytes that belong to no part of it"),
        (halved, "not a valid backup"),
        (archive.with_name("absent"), "cannot be read"),
    ):
        with pytest.raises(StorageError, match=reason):
            restore_backup(empty, path)
    assert contents(empty.regimes) == contents(empty.dagster) == {}


def test_a_failing_load_leaves_the_database_as_it_was(archive: Path, source: DatabaseUrls) -> None:
    with zipfile.ZipFile(archive) as sound:
        cut = sound.read("regimes.dump")[:-2_000]
    entry = {"bytes": len(cut), "sha256": hashlib.sha256(cut).hexdigest()}
    dumps = manifest_of(archive)["dumps"] | {"regimes.dump": entry}
    path = rewrite(archive, regimes=cut, manifest=manifest_with(archive, dumps=dumps))
    before = contents(source.regimes)
    with pytest.raises(StorageError, match="pg_restore of a dump failed"):
        restore_backup(source, path, is_replacing=True)
    assert contents(source.regimes) == before


def test_a_backup_appears_whole_or_not_at_all(source: DatabaseUrls, archive: Path, tmp_path: Path) -> None:
    assert manifest_of(archive)["dumps"].keys() == {"regimes.dump", "dagster.dump"}
    assert archive.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="exists already"):
        write_backup(source, archive)
    unreachable = DatabaseUrls(source.regimes, "postgresql://u:secret@127.0.0.1:1/db", is_embedded=False)
    with pytest.raises(StorageError, match="pg_dump of postgresql://u:\\*\\*\\*@127.0.0.1:1/db failed") as refused:
        write_backup(unreachable, tmp_path / "other.regime")
    assert "secret" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == [archive.name]


def test_a_database_without_a_schema_has_nothing_to_back_up(database_url: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no schema yet"):
        write_backup(DatabaseUrls(database_url, database_url, is_embedded=True), tmp_path / "none.regime")
