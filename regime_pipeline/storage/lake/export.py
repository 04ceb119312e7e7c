"""The Parquet lake: bulk tables as files by market and month, for DuckDB, Polars, Spark and Arrow.

The database stays the record; a lake can be deleted and written again, byte for byte.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.storage.bulk.columns import BulkTable, bulk_table
from regime_pipeline.storage.bulk.ledger import Month
from regime_pipeline.storage.file_locks import remove_leftovers, temporary_file
from regime_pipeline.storage.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT: Final = "3"
ROW_GROUP: Final = 131_072
_FILE: Final = "data.parquet"
_DIGEST: Final = b"regime_digest"


@dataclass(frozen=True, slots=True)
class LakeReport:
    """What an export did: files written, left alone and removed, and rows and bytes of those written."""

    written: int = 0
    unchanged: int = 0
    removed: int = 0
    rows: int = 0
    bytes: int = 0


def export_lake(warehouse: Warehouse, folder: Path, tables: Sequence[str], markets: Sequence[Market]) -> LakeReport:
    """Make a lake hold what the database holds; only months whose content changed are read and written.

    `TABLE/symbol=ETH-USDT/timeframe=1h/month=2024-03/data.parquet`, sorted by time. Each file appears whole. Its
    metadata say which configurations wrote its rows (`policy_hashes`), the time zone, and the units of columns.

    Parameters
    ----------
    warehouse : Warehouse
        The database.
    folder : Path
        The lake; made if absent. Other files in it are left alone.
    tables : sequence of str
        Names of bulk tables.
    markets : sequence of Market
        Markets to export.

    Raises
    ------
    StorageError
        pyarrow is not installed, a table is unknown, the folder cannot be written, or the database refused.
    """
    _require_pyarrow()
    report = LakeReport()
    try:
        for table in map(bulk_table, tables):
            for market in markets:
                report = _export_market(warehouse, folder / table.name, table, market, report)
    except OSError as error:
        raise StorageError(f"The lake {folder} cannot be written: {error}.", "Name another folder.") from error
    return report


def _require_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise StorageError("A lake needs pyarrow.", "Run pip install 'regime-pipeline[parquet]'.") from error


def _export_market(
    warehouse: Warehouse, folder: Path, table: BulkTable, market: Market, report: LakeReport
) -> LakeReport:
    home = folder / f"symbol={market.symbol}" / f"timeframe={market.timeframe}"
    kept: set[Path] = set()
    for month in warehouse.months(table.name, market):
        path = home / f"month={_name(month)}" / _FILE
        if not month.rows:
            continue
        kept.add(path)
        if _stored_digest(path) == _digest(month):
            report = replace(report, unchanged=report.unchanged + 1)
            continue
        found = _read(warehouse, table, market, month)
        report = replace(
            report,
            written=report.written + 1,
            rows=report.rows + found.num_rows,
            bytes=report.bytes + _write(path, found),
        )
    return replace(report, removed=report.removed + sum(_remove(path) for path in _files(home) if path not in kept))


def _read(warehouse: Warehouse, table: BulkTable, market: Market, month: Month) -> pa.Table:
    """Read a month; a row written since `months` was asked makes the next export write the file once more."""
    from regime_pipeline.storage.lake.schema import TIME_ZONE, arrow_table

    about = {
        "regime_table": table.name,
        "regime_market": str(market),
        _DIGEST.decode(): _digest(month),
        "policy_hashes": ",".join(month.config_hashes),
        "time_zone": TIME_ZONE,
        "sorted_by": table.time,
    }
    return arrow_table(table, market, warehouse.read_range(table.name, market, _window(month)), about)


def _digest(month: Month) -> str:
    return ".".join((FORMAT, month.digest, *month.config_hashes))


def _name(month: Month) -> str:
    return f"{datetime.fromtimestamp(month.start_ms / 1000, UTC):%Y-%m}"


def _window(month: Month) -> Window:
    start = datetime.fromtimestamp(month.start_ms / 1000, UTC)
    end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return Window(month.start_ms, round(end.timestamp() * 1000))


def _stored_digest(path: Path) -> str | None:
    """Return the digest that a file carries, None where it is absent or unreadable."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        found: bytes = (parquet.read_schema(path).metadata or {}).get(_DIGEST, b"")
        return found.decode()
    except (OSError, pa.ArrowException, UnicodeDecodeError):
        return None


def _write(path: Path, table: pa.Table) -> int:
    """Write a file aside, synced, and give it its name; return its size."""
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    with temporary_file(path) as file:
        order = [parquet.SortingColumn(0)]
        parquet.write_table(table, file, row_group_size=ROW_GROUP, compression="zstd", sorting_columns=order)
        file.flush()
        os.fsync(file.fileno())
        Path(file.name).replace(path)
    return path.stat().st_size


def _files(home: Path) -> Iterator[Path]:
    yield from sorted(home.glob(f"month=*/{_FILE}"))


def _remove(path: Path) -> int:
    path.unlink()
    remove_leftovers(path.parent)
    path.parent.rmdir()
    return 1
