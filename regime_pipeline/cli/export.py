"""`regime export` and `regime lake`: one hour's snapshot or bundle for other programs, and the tables as Parquet.

See `storage.snapshots` and `storage.lake` for the formats.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from regime_pipeline.bootstrap import open_databases, read_policy
from regime_pipeline.cli.console import out, write_text
from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.snapshot import HourSnapshot
from regime_pipeline.domain.market_data.window import to_iso, to_ms
from regime_pipeline.domain.verdicts.engine import reach_hours
from regime_pipeline.settings import Settings
from regime_pipeline.storage.bulk.columns import BULK_TABLES
from regime_pipeline.storage.lake.export import export_lake
from regime_pipeline.storage.snapshots.bundle import bundle, to_yaml, yaml_name
from regime_pipeline.storage.snapshots.codec import to_document
from regime_pipeline.storage.snapshots.store import SnapshotStore
from regime_pipeline.storage.warehouse import Warehouse


def lake_command(
    folder: Annotated[Path, typer.Argument(help="The lake's folder; made if absent.")],
    table: Annotated[list[str] | None, typer.Option(help="Only this table; may be repeated.")] = None,
    market: Annotated[list[str] | None, typer.Option(help="Only this market; may be repeated.")] = None,
) -> None:
    """Write the stored tables as Parquet by symbol, timeframe and month; only what changed since the last time.

    Example: regime lake ~/lake --table candles --table candle_regime
    """
    with Warehouse(open_databases(Settings()).regimes) as warehouse:
        stored = warehouse.markets()
        wanted = [Market.parse(text) for text in market] if market else stored
        absent = [str(each) for each in wanted if each not in stored]
        if absent or not stored:
            what = f"{', '.join(absent)} is not stored." if absent else "No market is stored."
            raise MissingDataError(what, "Materialize its candles first.")
        done = export_lake(warehouse, folder.expanduser().absolute(), table or list(BULK_TABLES), wanted)
    counts = f"{done.written} files written ({done.rows:,} rows, {done.bytes:,} bytes)"
    out.print(
        f"{counts}, {done.unchanged} unchanged, {done.removed} removed.",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip


def export_command(
    market: Annotated[str, typer.Argument(help="SYMBOL_TIMEFRAME, for example ETH-USDT_1h; several with commas.")],
    time: Annotated[str, typer.Argument(help="A moment of the hour, ISO-8601 with offset.")],
    with_history: Annotated[
        bool, typer.Option("--bundle", help="Embed the history that a verdict needs: one file is enough to analyze.")
    ] = False,
    as_yaml: Annotated[
        bool, typer.Option("--yaml", help="YAML; with a folder as --output one HH_SYMBOL_TIMEFRAME.yaml per market.")
    ] = False,
    as_of: Annotated[
        str, typer.Option(help="What was known at this time, ISO-8601 with offset; the newest by default.")
    ] = "",
    output: Annotated[str, typer.Option(help="File, or - for stdout; a folder for several markets.")] = "-",
) -> None:
    """Write one hour's snapshot, as a bundle for `regime_pipeline.analyze_snapshot` if wanted, or many as YAML.

    Example: regime export ETH-USDT_1h 2020-03-12T10:00:00Z --bundle --output eth.json
    """
    if with_history and as_yaml:
        raise UsageError("--bundle and --yaml exclude each other.", "Bundles are JSON.")
    settings, places = Settings(), [Market.parse(name) for name in market.split(",")]
    hour_ms, known_ms = to_ms(time) // HOUR_MS * HOUR_MS, to_ms(as_of) if as_of else None
    store = SnapshotStore(settings.snapshot_root)
    if as_yaml and (len(places) > 1 or Path(output).is_dir()):
        _write_folder([_snapshot(store, place, hour_ms, known_ms) for place in places], output)
        return
    if len(places) > 1:
        raise UsageError("Several markets go into a folder as YAML.", "Add --yaml --output FOLDER.")
    if with_history:
        needed = reach_hours(places[0], read_policy(settings))
        write_text(_json(bundle(store, places[0], hour_ms, needed, known_ms)), output)
        return
    snapshot = _snapshot(store, places[0], hour_ms, known_ms)
    write_text(to_yaml(snapshot) if as_yaml else _json(to_document(snapshot)), output)


def _snapshot(store: SnapshotStore, market: Market, hour_ms: int, known_ms: int | None) -> HourSnapshot:
    snapshot = store.load(market, hour_ms, known_ms)
    if snapshot is None:
        raise MissingDataError(f"There is no snapshot of {market} {to_iso(hour_ms)} under {store.root}.")
    return snapshot


def _write_folder(snapshots: Sequence[HourSnapshot], output: str) -> None:
    """Write a YAML file for each market into a folder, which is made where it is not there."""
    if output == "-":
        raise UsageError("Several markets go into a folder.", "Name it with --output FOLDER.")
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror}.", "Name another folder.") from error
    for snapshot in snapshots:
        write_text(to_yaml(snapshot), str(folder / yaml_name(snapshot)))
    out.print(f"{len(snapshots)} files written to {folder}.", markup=False, highlight=False, soft_wrap=True)


def _json(document: Any) -> str:
    return orjson.dumps(document).decode()
