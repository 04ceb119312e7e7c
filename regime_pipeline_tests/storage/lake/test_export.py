"""The lake: equal to the database, byte for byte repeatable, rewritten only where something changed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import orjson
import pyarrow.dataset as ds
import pytest
from pyarrow import parquet

from regime_pipeline.domain.candle_regimes.states import REGIME_STATES
from regime_pipeline.domain.errors import StorageError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.storage.bulk.columns import BULK_TABLES, NO_TIME
from regime_pipeline.storage.lake.export import LakeReport, export_lake
from regime_pipeline.storage.warehouse import Warehouse
from regime_pipeline_tests.storage.factories import (
    ETH,
    START_MS,
    Rows,
    begin,
    changed,
    hours,
    random_candles,
    random_rows,
    write_candles,
)

pytestmark = pytest.mark.postgres
SOL = Market("SOL-USDT", "4h")
WINDOW = hours(24 * 29, 24 * 4)
"""The last two days of March 2024 and the first two of April."""
MARKETS = (ETH, SOL)


def fill(warehouse: Warehouse) -> dict[tuple[str, Market], Rows]:
    run_id = begin(warehouse, *MARKETS)
    stored = {}
    for market in MARKETS:
        write_candles(warehouse, random_candles(market, WINDOW), WINDOW, run_id)
        for name, table in BULK_TABLES.items():
            if name not in ("candles", "candle_hours"):
                warehouse.replace_range(name, market, WINDOW, random_rows(table, market, WINDOW), run_id)
            stored[name, market] = warehouse.read_range(name, market, WINDOW)
    return stored


def bytes_by_file(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def export(warehouse: Warehouse, folder: Path) -> LakeReport:
    return export_lake(warehouse, folder, list(BULK_TABLES), MARKETS)


def test_the_lake_holds_what_the_database_holds(warehouse: Warehouse, tmp_path: Path) -> None:
    stored = fill(warehouse)
    report = export(warehouse, tmp_path)

    assert (report.written, report.unchanged, report.removed) == (2 * 2 * len(BULK_TABLES), 0, 0)
    assert report.rows == sum(len(next(iter(rows.values()))) for rows in stored.values())
    for (name, market), rows in stored.items():
        table, lake = BULK_TABLES[name], ds.dataset(tmp_path / name, partitioning="hive")
        is_market = (ds.field("symbol") == market.symbol) & (ds.field("timeframe") == market.timeframe)
        found = lake.to_table(filter=is_market).sort_by(table.time)
        assert set(found.column("month").to_pylist()) == {"2024-03", "2024-04"}
        assert found.column(table.time).cast("int64").to_numpy().tolist() == rows[table.time].tolist()
        for column in table.columns:
            assert_same_values(found, column.name, column.kind, column.categories, rows[column.name])


def assert_same_values(found, name, kind, categories, values) -> None:  # type: ignore[no-untyped-def]
    if name == "state":
        expected = [REGIME_STATES[code].full_regime for code in values]
        assert found.column("full_regime").to_pylist() == expected
    elif kind == "json":
        assert [orjson.loads(text) for text in found.column(name).to_pylist()] == values.tolist()
    elif kind == "label":
        assert found.column(name).to_pylist() == [categories[code] for code in values]
    elif kind == "time":
        expected = [None if value == NO_TIME else value for value in values.tolist()]
        assert found.column(name).cast("int64").to_pylist() == expected
    elif kind == "float":
        assert found.column(name).to_numpy().tobytes() == np.where(np.isnan(values), np.nan, values).tobytes()
        assert found.column(name).null_count == np.isnan(values).sum()
    else:
        assert found.column(name).to_pylist() == values.tolist()


def test_files_are_sorted_and_say_what_they_hold(warehouse: Warehouse, tmp_path: Path) -> None:
    fill(warehouse)
    export(warehouse, tmp_path)
    path = tmp_path / "candles" / "symbol=ETH-USDT" / "timeframe=1h" / "month=2024-03" / "data.parquet"
    schema = parquet.read_schema(path)
    assert schema.metadata[b"policy_hashes"] == b"cfg"
    assert schema.metadata[b"time_zone"] == b"UTC"
    assert orjson.loads(schema.metadata[b"units"])["volume"] == "base currency"
    assert str(schema.field("open_time").type) == "timestamp[ms, tz=UTC]"
    assert schema.field("volume").metadata == {b"unit": b"base currency"}
    assert parquet.ParquetFile(path).metadata.row_group(0).sorting_columns[0].column_index == 0
    times = parquet.read_table(path, partitioning=None).column("open_time").cast("int64").to_numpy()
    assert (np.diff(times) == HOUR_MS).all()
    features = parquet.read_schema(next((tmp_path / "features").rglob("*.parquet")))
    units = {f.name: f.metadata[b"unit"] for f in features if f.metadata and b"unit" in f.metadata}
    assert units
    assert all(unit == b"percent" for name, unit in units.items() if name.endswith("_pct"))


def test_only_what_changed_is_written_and_again_byte_for_byte(warehouse: Warehouse, tmp_path: Path) -> None:
    fill(warehouse)
    export(warehouse, tmp_path / "one")
    before = bytes_by_file(tmp_path / "one")
    again = export(warehouse, tmp_path / "one")
    assert (again.written, again.unchanged, again.removed) == (0, len(before), 0)
    export(warehouse, tmp_path / "two")
    assert bytes_by_file(tmp_path / "two") == before

    run_id = begin(warehouse)
    write_candles(warehouse, changed(random_candles(ETH, WINDOW), 0, 7), WINDOW, run_id)
    report = export(warehouse, tmp_path / "one")
    after = bytes_by_file(tmp_path / "one")
    assert report.written == 1
    assert [name for name in before if before[name] != after[name]] == [
        "candles/symbol=ETH-USDT/timeframe=1h/month=2024-03/data.parquet"
    ]
    write_candles(warehouse, random_candles(ETH, WINDOW), WINDOW, run_id)
    export(warehouse, tmp_path / "one")
    assert bytes_by_file(tmp_path / "one") == before


def test_months_without_rows_leave_and_damaged_files_are_mended(warehouse: Warehouse, tmp_path: Path) -> None:
    fill(warehouse)
    export(warehouse, tmp_path)
    before = bytes_by_file(tmp_path)
    (tmp_path / "features" / "notes.txt").write_text("mine")
    damaged = tmp_path / "scores" / "symbol=ETH-USDT" / "timeframe=1h" / "month=2024-04" / "data.parquet"
    damaged.write_bytes(b"PAR1")
    march = Window(WINDOW.start_ms, START_MS + 31 * 24 * HOUR_MS)
    none = {name: values[:0] for name, values in random_rows(BULK_TABLES["features"], ETH, march).items()}
    warehouse.replace_range("features", ETH, march, none, begin(warehouse))

    report = export(warehouse, tmp_path)

    assert (report.written, report.removed) == (1, 1)
    gone = "features/symbol=ETH-USDT/timeframe=1h/month=2024-03/data.parquet"
    assert bytes_by_file(tmp_path) == {k: v for k, v in before.items() if k != gone} | {"features/notes.txt": b"mine"}


def test_the_rests_of_a_killed_export_are_no_hindrance(warehouse: Warehouse, tmp_path: Path) -> None:
    fill(warehouse)
    export(warehouse, tmp_path)
    before = bytes_by_file(tmp_path)
    march, april = (
        next((tmp_path / "features").glob(f"symbol=ETH-USDT/*/month=2024-{month}")) for month in ("03", "04")
    )
    for folder in (march, april):
        (folder / ".data.parquet.aa.tmp").write_bytes(b"PAR1")
    (april / "data.parquet").unlink()
    span = Window(WINDOW.start_ms, START_MS + 31 * 24 * HOUR_MS)
    none = {name: values[:0] for name, values in random_rows(BULK_TABLES["features"], ETH, span).items()}
    warehouse.replace_range("features", ETH, span, none, begin(warehouse))

    report = export(warehouse, tmp_path)

    assert (report.written, report.removed) == (1, 1)
    assert not march.exists()
    gone = (march / "data.parquet").relative_to(tmp_path).as_posix()
    assert bytes_by_file(tmp_path) == {name: data for name, data in before.items() if name != gone}


def test_a_failed_write_leaves_the_old_file(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(warehouse)
    export(warehouse, tmp_path)
    before = bytes_by_file(tmp_path)
    write_candles(warehouse, changed(random_candles(ETH, WINDOW), 0, 7), WINDOW, begin(warehouse))

    def fill_disk(table: object, file, **_: object) -> None:  # type: ignore[no-untyped-def]
        file.write(b"PAR1")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(parquet, "write_table", fill_disk)
        with pytest.raises(StorageError, match="No space left"):
            export(warehouse, tmp_path)
    assert bytes_by_file(tmp_path) == before
    assert export(warehouse, tmp_path).written == 1


def test_refusals(warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StorageError, match="is not a bulk table"):
        export_lake(warehouse, tmp_path, ["series"], [ETH])
    assert export(warehouse, tmp_path) == LakeReport()  # markets that were never stored have no files
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(StorageError, match=r"needs pyarrow.*\[parquet\]"):
        export(warehouse, tmp_path)
