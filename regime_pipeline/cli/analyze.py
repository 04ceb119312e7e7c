"""`regime analyze`, `analyze-range` and `explain`: verdicts of snapshot files, with no database and no Dagster.

See `services.analysis_service` for the analysis; this module parses options and prints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import pandas as pd
import typer
from rich.markup import escape

from regime_pipeline.bootstrap import read_policy
from regime_pipeline.cli.console import COLORS, out
from regime_pipeline.cli.names import named_moment, stated_market
from regime_pipeline.cli.output import Format, FormatOption, OutputOption, write_document, write_frame
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.services.analysis_service import RegimeAnalysisService
from regime_pipeline.services.chain.workspace import system_clock
from regime_pipeline.services.queries.json_records import plain
from regime_pipeline.settings import Settings
from regime_pipeline.storage.snapshots.reader import SnapshotReader
from regime_pipeline.storage.snapshots.store import SnapshotStore

MarketArgument = Annotated[str, typer.Argument(help="A market such as ETH-USDT_1h, or a symbol with --timeframe.")]
TimeArgument = Annotated[
    str, typer.Argument(help="A moment of the hour: latest, -6h, 2026-03-12 or ISO-8601; without offset it is UTC.")
]
TimeframeOption = Annotated[str, typer.Option(help="1m 3m 5m 15m 30m 1h 2h 4h or 1d; 1h where nothing says another.")]
SnapshotsOption = Annotated[str, typer.Option(help="Folder or URL of the snapshots; the home's own by default.")]
AsOfOption = Annotated[str, typer.Option(help="What was known at this time, in the same forms; the newest else.")]
_SHOWN: Final = ("symbol", "hour_start", "verdict", "confidence", "direction", "dominant_risk", "trend_score")


def _reader(snapshots: str) -> SnapshotReader:
    """Return the reader of a folder of snapshots, or of the home's."""
    return SnapshotReader(SnapshotStore(snapshots or Settings().snapshot_root))


def _service(reader: SnapshotReader) -> RegimeAnalysisService:
    return RegimeAnalysisService(reader, read_policy(Settings()))


def _row(name: str, time: str, timeframe: str, snapshots: str, as_of: str, grid: Path | None = None) -> pd.Series:
    """Analyze the hour that is meant."""
    market = stated_market(name, timeframe) or Market(name, timeframe or "1h")
    reader, now = _reader(snapshots), system_clock()
    is_latest = time == "latest"
    moment = reader.newest_hour(market.symbol, market.timeframe, now) if is_latest else named_moment(time, now)
    known = to_iso(named_moment(as_of, now)) if as_of else None
    return _service(reader).analyze_timestamp(market.symbol, to_iso(moment), market.timeframe, known, grid)


def analyze_command(
    market: MarketArgument,
    time: TimeArgument,
    timeframe: TimeframeOption = "",
    snapshots: SnapshotsOption = "",
    as_of: AsOfOption = "",
    grid: Annotated[
        Path | None,
        typer.Option(help="Grids as `regime grid export` writes them: compare the symbol's with the range."),
    ] = None,
    form: FormatOption = Format.TABLE,
    output: OutputOption = "-",
) -> None:
    """Say which regime an hour was in: verdict, confidence, scores, range, alternatives and factors.

    Example: regime analyze ETH-USDT 2020-03-12T10:00:00Z --format json
    """
    row = _row(market, time, timeframe, snapshots, as_of, grid)
    if form == Format.JSON:
        write_document({"market": str(row.name), **_plain(row)}, output)
    elif form == Format.TABLE and output == "-":
        explain(str(row.name), _plain(row))
    else:
        write_frame(row.to_frame().T, form, output, ())


def analyze_range_command(
    symbols: Annotated[str, typer.Argument(help="One symbol, or several with commas: ETH-USDT,BTC-USDT.")],
    start: Annotated[str, typer.Option(help="First hour: -7d, 2026-03-12 or ISO-8601; without offset it is UTC.")],
    end: Annotated[str, typer.Option(help="End (exclusive), in the same forms, or now.")] = "now",
    timeframe: TimeframeOption = "1h",
    snapshots: SnapshotsOption = "",
    form: FormatOption = Format.TABLE,
    output: OutputOption = "-",
) -> None:
    """Say which regime every hour of a range was in, market by market, in parallel.

    Example: regime analyze-range ETH-USDT,BTC-USDT --start 2020-03-01T00:00:00Z --end 2020-04-01T00:00:00Z --format csv
    """
    now = system_clock()
    first, last = (to_iso(named_moment(text, now)) for text in (start, end))
    frame = _service(_reader(snapshots)).analyze_range(symbols.split(","), first, last, timeframe)
    write_frame(frame, form, output, _SHOWN, f"{len(frame)} hours")


def explain_command(
    market: MarketArgument,
    time: TimeArgument,
    timeframe: TimeframeOption = "",
    snapshots: SnapshotsOption = "",
    as_of: AsOfOption = "",
) -> None:
    """Explain an hour's verdict in sentences: what decided it, what spoke against it, what else it could have been.

    Example: regime explain ETH-USDT_1h latest
    """
    row = _row(market, time, timeframe, snapshots, as_of)
    explain(str(row.name), _plain(row))


def explain(market: str, row: dict[str, Any]) -> None:
    """Print a verdict with its scores, range, alternatives and factors."""
    color = COLORS.get(row["verdict"], "dim")
    said = f"[bold]{escape(market)}[/] {row['open_time']}: [{color}]{row['verdict']}[/] {row['confidence']:.2f}"
    out.print(f"{said}, known at {row['known_at']}", markup=True)
    scores = ("trend_score", "mean_rev_score", "vol_change_score", "range_quality_score", "grid_capacity_score")
    out.print("  " + "   ".join(f"{name.removesuffix('_score')} {_number(row[name])}" for name in scores))
    if row["range_low"] is not None:
        out.print(
            f"  range {_number(row['range_low'])} to {_number(row['range_high'])},"
            f" confidence {_number(row['range_confidence'])}"
        )
    for factor in row["factors"]:
        out.print(f"  * {factor['sentence']}", highlight=False, soft_wrap=True)
    weights = {name: row[f"weight_{name.lower()}"] for name in VERDICTS[1:]}
    if all(weight is not None for weight in weights.values()):
        out.print(
            "  weights " + "   ".join(f"{name} {weight:.2f}" for name, weight in weights.items()), highlight=False
        )
    if row["hold_24h"] is not None:
        hold = f"holds 24 h with {row['hold_24h']:.0%}, 72 h with {row['hold_72h']:.0%}"
        out.print(f"  the range {hold}", highlight=False)
    if "grid_comparison" in row:
        _print_comparison(row["grid_comparison"])


def _print_comparison(found: dict[str, Any]) -> None:
    """The configured grid beside the range, in one line."""
    where = {True: "inside", False: "outside", None: "-"}[found["is_close_inside_grid"]]
    offsets = f"{_number(found['lower_offset_atr'])} and {_number(found['upper_offset_atr'])} ATR"
    said = f"close {where}, overlap with the range {_number(found['iou'])}, its edges off by {offsets}"
    levels = f"the range carries {_number(found['discovered_levels'])} levels"
    out.print(f"  grid {said}; {levels}", highlight=False, soft_wrap=True)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _plain(row: pd.Series) -> dict[str, Any]:
    return {str(name): plain(value) for name, value in row.items()}
