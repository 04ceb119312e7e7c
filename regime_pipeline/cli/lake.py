"""`regime lake`: the database's bulk tables as a Parquet lake for analysts' tools.

What files hold and when they are written is decided in `storage.lake`; only arguments and wording belong here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regime_pipeline.cli.console import out
from regime_pipeline.composition import open_databases
from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.market import Market
from regime_pipeline.settings import Settings
from regime_pipeline.storage.bulk_tables import BULK_TABLES
from regime_pipeline.storage.lake import export_lake
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
