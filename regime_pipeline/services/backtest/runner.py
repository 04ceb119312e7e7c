"""A backtest: read the verdicts of several markets over a span, label them, measure them.

See `export` and `dashboard.report` for the renderers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso, to_ms
from regime_pipeline.services.backtest.figures import Figures
from regime_pipeline.services.backtest.hindsight import HindsightRule
from regime_pipeline.services.backtest.hours import BacktestHours, market_hours, no_hours
from regime_pipeline.services.backtest.labels import true_classes
from regime_pipeline.services.backtest.measure import measure
from regime_pipeline.services.backtest.readers import VerdictReader


@dataclass(frozen=True, eq=False)
class Backtest:
    """What was found; every renderer prints this and computes nothing.

    Parameters
    ----------
    window : Window
        Hours that start in it were asked for.
    timeframe : str
        Of every market.
    origin : str
        `snapshots` or `database`.
    rule : HindsightRule
        Behind the hindsight labels.
    hours : tuple of BacktestHours
        The rows, market by market in the order asked.
    overall : Figures
        Of all markets together.
    markets : dict of str to Figures
        By symbol.
    notes : tuple of str
        What a reader must know: missing hours, several policies.
    """

    window: Window
    timeframe: str
    origin: str
    rule: HindsightRule
    hours: tuple[BacktestHours, ...]
    overall: Figures
    markets: dict[str, Figures]
    notes: tuple[str, ...] = field(default=())

    @property
    def policies(self) -> tuple[str, ...]:
        """Hash of every policy behind the verdicts, sorted."""
        return tuple(sorted({policy for market in self.hours for policy in market.policies}))

    @property
    def is_whole(self) -> bool:
        """Whether every hour asked for has a verdict row."""
        return not self.overall.missing


def run_backtest(
    reader: VerdictReader,
    symbols: Sequence[str],
    start: datetime | str,
    end: datetime | str,
    timeframe: str = "1h",
    *,
    seed: int = 7,
    rule: HindsightRule | None = None,
    workers: int | None = None,
    tell: Callable[[], None] = lambda: None,
) -> Backtest:
    """Return the verdicts of a span beside what came after.

    Parameters
    ----------
    reader : VerdictReader
        Snapshots or database.
    symbols : sequence of str
        One or more; a symbol named twice counts once.
    start, end : datetime or str
        Aware times, or ISO-8601 with offset; the hours that start in [start, end).
    timeframe : str
        One of `1m 3m 5m 15m 30m 1h 2h 4h 1d`.
    seed : int
        Of the market simulator: markets whose prices it made have true labels.
    rule : HindsightRule, optional
        The shipped one if None.
    workers : int, optional
        Markets read at once; as many as there are cores if None.
    tell : callable
        Called after each market.

    Raises
    ------
    MissingDataError
        No symbol has a single verdict in the span.
    UsageError
        No symbol, an empty span, or a symbol, timeframe or time that cannot be read.
    """
    markets = _markets(symbols, timeframe)
    window = _window(start, end)
    chosen = rule or HindsightRule()

    def rows(market: Market) -> BacktestHours:
        found = _market_rows(reader, market, window, seed, chosen)
        tell()
        return found

    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        hours = tuple(pool.map(rows, markets))
    if not any(len(each) for each in hours):
        names = ", ".join(map(str, markets))
        raise MissingDataError(
            f"There is no verdict of {names} from {window} in the {reader.origin}.",
            "Check --symbols, --start and --end, or materialize these hours with `regime backfill`.",
        )
    return Backtest(
        window=window,
        timeframe=timeframe,
        origin=reader.origin,
        rule=chosen,
        hours=hours,
        overall=measure(hours),
        markets={each.market.symbol: measure([each]) for each in hours},
        notes=_notes(hours, reader.origin),
    )


def _markets(symbols: Sequence[str], timeframe: str) -> list[Market]:
    names = [name for name in symbols if name.strip()]
    if not names:
        raise UsageError("No symbol is named.", "Write --symbols ETH-USDT,BTC-USDT.")
    return list(dict.fromkeys(Market(name, timeframe) for name in names))


def _window(start: datetime | str, end: datetime | str) -> Window:
    first, last = (-(-to_ms(moment) // HOUR_MS) * HOUR_MS for moment in (start, end))
    if last <= first:
        raise UsageError(f"No hour starts from {to_iso(to_ms(start))} to {to_iso(to_ms(end))}.", "Put the end later.")
    return Window(first, last)


def _market_rows(
    reader: VerdictReader, market: Market, window: Window, seed: int, rule: HindsightRule
) -> BacktestHours:
    try:
        found = reader.read(market, window)
    except MissingDataError:
        return no_hours(market, window)
    truth = true_classes(found.candles, found.hour_start, seed)
    return market_hours(market, window, found, truth, rule)


def _notes(hours: Sequence[BacktestHours], origin: str) -> tuple[str, ...]:
    what = "snapshot" if origin == "snapshots" else "stored verdict"
    notes = [
        f"{each.asked - len(each):,} of {each.asked:,} hours of {each.market} have no {what}."
        for each in hours
        if len(each) < each.asked
    ]
    bare = [(each, int(np.isnan(each.close).sum())) for each in hours]
    notes += [f"{count:,} of {len(each):,} hours of {each.market} end without a bar." for each, count in bare if count]
    policies = sorted({policy for each in hours for policy in each.policies})
    if len(policies) > 1:
        notes.append(f"The verdicts come from {len(policies)} policies: {', '.join(policies)}.")
    return tuple(notes)
