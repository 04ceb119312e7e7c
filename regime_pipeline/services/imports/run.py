"""The import of candle files as one use case: read, plan, decide and write, with a report of all four.

See `sources.files` for forms of files, `plan` for reading, `write` for writing, `cli` for options and printing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from math import lcm
from pathlib import Path
from typing import Any

import numpy as np

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.no_trade import GAP, AbsentBars
from regime_pipeline.domain.market_data.window import hour_of_close, to_iso
from regime_pipeline.services.chain.stage_work import correction_reach
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.imports.plan import FileReport, ImportPlan, read_files
from regime_pipeline.services.imports.write import Consent, Joined, import_candles, join_stored, settle_price_scales
from regime_pipeline.services.universe import MarketSpec, Universe, check_source, ensure_market
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline.sources.files.scale import is_held
from regime_pipeline.storage.bulk.diff import WriteReport


@dataclass(frozen=True)
class ImportRequest:
    """What is to be imported, and how.

    Parameters
    ----------
    files : sequence of Path
        The candle files, in any order.
    market : Market
        Whose candles they are.
    options : ReadOptions
        How to read what the files do not say themselves.
    resample : sequence of str
        Timeframes to list as resampled from the 1m candles.
    consent : Consent
        What may happen to stored bars.
    absent_bars : {"gap", "no_trade"}, optional
        What a bar is that the files lack within the time that they cover; if None, as the market is listed, and a gap
        where it is not.
    is_dry_run : bool
        Decide everything, write nothing.
    """

    files: Sequence[Path]
    market: Market
    options: ReadOptions = field(default_factory=ReadOptions)
    resample: Sequence[str] = ()
    consent: Consent = field(default_factory=Consent)
    absent_bars: AbsentBars | None = None
    is_dry_run: bool = False


@dataclass(frozen=True)
class ImportPlace:
    """Where candles are imported to.

    Parameters
    ----------
    markets : Path
        The markets file; created if there is none.
    read_universe : callable
        Reads it, with the span of the partitions.
    open_workspace : callable
        Opens the database, creating what is absent.
    has_database : bool
        Whether there is a database already; a dry run opens no other.
    clock : callable
        Now in epoch milliseconds UTC.
    """

    markets: Path
    read_universe: Callable[[], Universe]
    open_workspace: Callable[[], AbstractContextManager[Workspace]]
    has_database: bool
    clock: Callable[[], int]


@dataclass(frozen=True, eq=False)
class ImportReport:
    """What an import read, decided and wrote.

    Parameters
    ----------
    plan : ImportPlan
        What the files held.
    price_scale : int
        Ticks per unit at which it is stored.
    joined : Joined
        Stored bars and new ones together, with counts of what was changed, removed and kept.
    hours_outside : int
        Hours of the candles that lie outside the partitions: they are stored and never analysed.
    written : WriteReport or None
        What was written; None after a dry run.
    next_command : str
        What to type next; empty after a dry run.
    """

    plan: ImportPlan
    price_scale: int
    joined: Joined
    hours_outside: int
    written: WriteReport | None
    next_command: str

    def to_dict(self) -> dict[str, Any]:
        """Return the report ready for JSON; times in ISO-8601 UTC."""
        plan = self.plan
        first_ms, last_ms = plan.span_ms
        return {
            "market": plan.market.key,
            "candles": len(plan.candles),
            "price_scale": self.price_scale,
            "start": to_iso(first_ms),
            "end": to_iso(last_ms),
            "gaps": [{"start": to_iso(start), "bars": bars} for start, bars in plan.gaps],
            "unknown": [{"start": to_iso(start), "end": to_iso(end)} for start, end in plan.unknown],
            "files": [_file(file) for file in plan.files],
            "no_trade_bars": self.joined.no_trade,
            "stored_bars_changed": self.joined.changed,
            "stored_bars_removed": self.joined.removed,
            "stored_bars_kept_in_holes": self.joined.kept,
            "hours_outside_partitions": self.hours_outside,
            "candles_written": self.written.inserted_rows if self.written else 0,
            "hours_written": self.written.written_partitions if self.written else 0,
            "is_dry_run": self.written is None,
            "next_command": self.next_command,
        }


def _file(file: FileReport) -> dict[str, Any]:
    return {
        "path": str(file.path),
        "rows": file.rows,
        "first": to_iso(file.first_ms),
        "last": to_iso(file.last_ms),
        "first_bar": file.first_bar,
        "last_bar": file.last_bar,
        "gaps": file.gaps,
        "absent_bars": file.absent_bars,
        "duplicates": file.duplicates,
        "rejects": file.rejects,
        "is_order_turned": file.is_turned,
        "columns": dict(file.columns),
        "dropped": dict(file.dropped),
        "notes": list(file.notes),
    }


def run_import(
    request: ImportRequest, place: ImportPlace, progress: Callable[[Sequence[Path]], Iterable[Path]] = iter
) -> ImportReport:
    """Import candle files: all of them, or nothing when one is refused.

    Parameters
    ----------
    request : ImportRequest
        Files, market and options.
    place : ImportPlace
        Where to.
    progress : callable
        Passes the files through, to show how far the reading is.

    Raises
    ------
    BadFileError
        A file is refused, or two contradict each other.
    UsageError
        The request cannot be met: nothing to resample from, candles outside the partitions, another source listed,
        prices that do not fit the stored scale, or stored bars that differ without consent.
    """
    derived = [request.market.on(timeframe) for timeframe in request.resample]
    if derived and request.market.timeframe != "1m":
        raise UsageError(f"{derived[0]} cannot be resampled from {request.market}.", "Import the symbol's 1m candles.")
    plan = read_files(progress(request.files), request.market, request.options, place.clock())
    universe = place.read_universe() if place.markets.exists() else None
    plan = replace(plan, absent_bars=request.absent_bars or _listed_absent_bars(universe, plan.market))
    if universe is not None:
        _check_span(place.markets, universe, plan)
        check_source(place.markets, universe, MarketSpec(plan.market, "files", plan.candles.price_scale))
    if request.is_dry_run:
        return _decided(request, place, plan, universe)
    return _written(request, place, plan, universe, derived)


def _listed_absent_bars(universe: Universe | None, market: Market) -> AbsentBars:
    specs = universe.specs if universe is not None else ()
    return next((spec.absent_bars for spec in specs if spec.market == market), GAP)


def _decided(request: ImportRequest, place: ImportPlace, plan: ImportPlan, universe: Universe | None) -> ImportReport:
    """Decide as the run does, against what is stored; open no database that is not there."""
    with ExitStack() as stack:
        is_stored = place.has_database and universe is not None
        store = stack.enter_context(place.open_workspace()).warehouse if is_stored else None
        scale = _settled_scale(request, plan, universe, store)
        joined = join_stored(plan, scale, store, request.consent)
    return ImportReport(plan, scale, joined, _hours_outside(plan, universe), None, "")


def _written(
    request: ImportRequest, place: ImportPlace, plan: ImportPlan, universe: Universe | None, derived: Sequence[Market]
) -> ImportReport:
    """Decide, list the market and its resampled timeframes in markets.toml, then store the candles."""
    market = plan.market
    if universe is None:
        ensure_market(place.markets, _spec(plan, plan.candles.price_scale), plan.span_ms)
    with place.open_workspace() as workspace:
        store = workspace.warehouse
        scale = _settled_scale(request, plan, universe, store)
        joined = join_stored(plan, scale, store, request.consent)
        ensure_market(place.markets, _spec(plan, scale), plan.span_ms)
        for other in derived:
            ensure_market(place.markets, MarketSpec(other, "resampled", scale), plan.span_ms)
        listed = place.read_universe()
        settle_price_scales(store, [spec for spec in listed.specs if spec.market.symbol == market.symbol])
        run_id = workspace.start_run(config_hash="")
        reach = correction_reach(market, workspace.policy)
        written = import_candles(plan, scale, store, run_id, reach, request.consent)[0]
    markets = " ".join(f"--market {name}" for name in (market, *derived))
    return ImportReport(plan, scale, joined, _hours_outside(plan, listed), written, f"regime backfill {markets}")


def _spec(plan: ImportPlan, price_scale: int) -> MarketSpec:
    """Return the entry of the market if it is not listed yet."""
    return MarketSpec(plan.market, "files", price_scale, absent_bars=plan.absent_bars)


def _settled_scale(request: ImportRequest, plan: ImportPlan, universe: Universe | None, store: Any) -> int:
    """Return the scale to store at: that of the market once candles are stored, unless another one is asked for.

    Raises
    ------
    UsageError
        The prices need finer ticks than the stored ones, or coarser ticks are asked for.
    """
    asked, found = request.options.price_scale, plan.candles.price_scale
    listed = [spec for spec in universe.specs if spec.market.symbol == plan.market.symbol] if universe else []
    scale = lcm(*(spec.price_scale for spec in listed)) if listed else 1
    is_stored = store is not None and any(store.oldest(spec.market) is not None for spec in listed)
    if not is_stored:
        return lcm(scale, asked or found)
    if asked and asked % scale == 0:
        return asked
    if asked:
        raise UsageError(
            f"{plan.market.symbol} is stored at {scale:,} ticks per unit, of which {asked:,} is not a multiple.",
            "Leave --price-scale out; stored prices keep their ticks.",
        )
    prices = np.array([plan.candles.prices(name) for name in ("open", "high", "low", "close")])
    if scale % found == 0 or is_held(prices, scale):
        return scale
    raise UsageError(
        f"{plan.market.symbol} is stored at {scale:,} ticks per unit, and prices of the files need {found:,}.",
        f"Say --price-scale {lcm(scale, found)} to raise it; or round the prices first.",
    )


def _check_span(path: Path, universe: Universe, plan: ImportPlan) -> None:
    """Refuse candles of which no hour could ever be materialized, before anything is listed or written."""
    first_ms, last_ms = plan.span_ms
    if last_ms <= universe.start_ms or (universe.end_ms is not None and first_ms >= universe.end_ms):
        raise UsageError(
            f"The candles ({to_iso(first_ms)} to {to_iso(last_ms)}) lie outside the partitions of {path}, "
            f"which start {to_iso(universe.start_ms)}.",
            f"Write {_wider_span(universe, plan)} under [partitions] there, or give them a project home of their own "
            "(export REGIME_HOME=~/regime-btc).",
        )


def _wider_span(universe: Universe, plan: ImportPlan) -> str:
    """Return the line of [partitions] that takes the candles in."""
    first_ms, last_ms = plan.span_ms
    if last_ms <= universe.start_ms:
        return f"start = {to_iso(first_ms // HOUR_MS * HOUR_MS)}"
    return f"end = {to_iso(-(-last_ms // HOUR_MS) * HOUR_MS)}"


def _hours_outside(plan: ImportPlan, universe: Universe | None) -> int:
    """Count the hours of the candles that are no partitions."""
    if universe is None:
        return 0
    hours = hour_of_close(plan.market, plan.candles.open_time_ms)
    hours = hours[np.concatenate(([True], np.diff(hours) > 0))]
    end = universe.end_ms if universe.end_ms is not None else int(hours[-1]) + HOUR_MS
    return int(((hours < universe.start_ms) | (hours >= end)).sum())
