"""`RegimeAnalysisService`: verdicts of any hour or range of hours from snapshot files alone, with no database.

See `queries.verdicts` for the columns of a frame, `domain` for the rules.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import numpy as np
import pandas as pd

from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Int64, to_iso, to_ms
from regime_pipeline.domain.scoring.null_table import NullTable
from regime_pipeline.domain.verdicts.engine import analyze, reach_hours
from regime_pipeline.policy import Policy, default_policy
from regime_pipeline.services.null_table import default_null_table
from regime_pipeline.services.queries.grid_comparison import GivenGrid, grid_comparison, grid_of
from regime_pipeline.services.queries.verdicts import verdict_frame
from regime_pipeline.storage.snapshots.reader import SnapshotReader


def with_comparison(row: pd.Series, market: Market, grid: GivenGrid, policy: Policy) -> pd.Series:
    """Return a row of verdicts with `grid_comparison`; errors as `queries.grid_comparison.grid_of`."""
    close_ms = round(row["open_time"].timestamp() * 1000) + market.observation_ms
    config = grid_of(grid, market.symbol, close_ms)
    close, atr, low, high = (float(row[name]) for name in ("close", "atr", "range_low", "range_high"))
    found = grid_comparison(config, close, atr, low, high, policy)
    return pd.Series([*row, found], index=[*row.index, "grid_comparison"], name=row.name, dtype=object)


class RegimeAnalysisService:
    """Hourly verdicts of stored snapshots; the same rows as the pipeline's table `regime_verdicts`.

    Parameters
    ----------
    reader : SnapshotReader
        Where the snapshots are.
    policy : Policy, optional
        Thresholds; the shipped ones if None. A policy with other features or ranges needs its own null table.
    null_table : NullTable, optional
        Made for the policy; the shipped one if None.

    Examples
    --------
    >>> from regime_pipeline.storage.snapshots.store import SnapshotStore
    >>> service = RegimeAnalysisService(SnapshotReader(SnapshotStore("snapshots")))
    >>> service.analyze_timestamp("ETH-USDT", "2020-03-12T10:00:00Z").verdict  # doctest: +SKIP
    'TRANSITION'
    """

    def __init__(
        self, reader: SnapshotReader, policy: Policy | None = None, null_table: NullTable | None = None
    ) -> None:
        self._reader = reader
        self._policy = policy or default_policy()
        self._nulls = null_table or default_null_table()

    def analyze_timestamp(
        self,
        symbol: str,
        timestamp: datetime | str,
        timeframe: str = "1h",
        as_of: datetime | str | None = None,
        grid: GivenGrid | None = None,
    ) -> pd.Series:
        """Return the verdict of the hour that holds a moment.

        Parameters
        ----------
        symbol : str
            `ETH-USDT`; the old forms are accepted.
        timestamp : datetime or str
            Any moment of the hour: an aware time, or ISO-8601 with offset.
        timeframe : str
            One of `1m 3m 5m 15m 30m 1h 2h 4h 1d`.
        as_of : datetime or str, optional
            Read what was known at this time, instead of the newest revisions.
        grid : GridConfig, mapping, str or path, optional
            A configured grid, its fields, or a file as `regime grid export` writes it.

        Returns
        -------
        Series
            A row of `regime_pipeline.verdicts`, named by the market; with a grid also `grid_comparison`, a dict of the
            discovered beside the configured range (see `queries.grid_comparison`).

        Raises
        ------
        MissingDataError
            The hour has no snapshot.
        BadSnapshotError
            A file is damaged; every fault is named.
        UsageError
            The symbol, timeframe or a time cannot be read.
        """
        market = Market(symbol, timeframe)
        snapshot = self._reader.load_snapshot(symbol, timestamp, timeframe, as_of)
        hours = np.array([snapshot.hour_start_ms], dtype=np.int64)
        row = self._frame(market, hours, None if as_of is None else to_ms(as_of)).iloc[0].rename(str(market))
        return row if grid is None else with_comparison(row, market, grid, self._policy)

    def analyze_range(
        self,
        symbols: str | Sequence[str],
        start: datetime | str,
        end: datetime | str,
        timeframe: str = "1h",
        workers: int | None = None,
    ) -> pd.DataFrame:
        """Return the verdict of every hour with a snapshot that starts in [start, end), market by market.

        Parameters
        ----------
        symbols : str or sequence of str
            One or more symbols.
        start, end : datetime or str
            Aware times, or ISO-8601 with offset; a week, a month, a year.
        timeframe : str
            One of `1m 3m 5m 15m 30m 1h 2h 4h 1d`.
        workers : int, optional
            Markets analyzed at once; as many as there are cores if None.

        Returns
        -------
        DataFrame
            `symbol`, `timeframe`, `hour_start` (datetime64[ms, UTC]), then the columns of `regime_pipeline.verdicts`;
            sorted by the order of the symbols, then by hour. Hours without a snapshot are left out.

        Raises
        ------
        MissingDataError
            A symbol has no snapshot in the range; names the first such.
        BadSnapshotError, UsageError
            As `analyze_timestamp`.
        """
        names = [symbols] if isinstance(symbols, str) else list(symbols)
        span = to_ms(start), to_ms(end)
        markets = [Market(name, timeframe) for name in names]
        with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
            frames = list(pool.map(lambda market: self._range(market, *span), markets))
        return pd.concat(frames, ignore_index=True)

    def _range(self, market: Market, start_ms: int, end_ms: int) -> pd.DataFrame:
        hours = self._reader.hours_present(market, start_ms, end_ms)
        if not len(hours):
            raise MissingDataError(
                f"There is no snapshot of {market} from {to_iso(start_ms)} to {to_iso(end_ms)} "
                f"under {self._reader.root}.",
                "Materialize hourly_snapshots for these hours.",
            )
        frame = self._frame(market, hours, None)
        times = pd.DatetimeIndex(hours.view("M8[ms]")).tz_localize("UTC")
        frame.insert(0, "symbol", market.symbol)
        frame.insert(1, "timeframe", market.timeframe)
        frame.insert(2, "hour_start", times)
        return frame

    def _frame(self, market: Market, hours: Int64, as_of_ms: int | None) -> pd.DataFrame:
        """Analyze hours of one market from its files and those of the hours that they depend on."""
        first = int(hours[0]) - reach_hours(market, self._policy) * HOUR_MS - market.observation_ms
        candles = self._reader.load_candles(market, first, int(hours[-1]) + HOUR_MS, as_of_ms)
        found = analyze(candles, hours, self._policy, self._nulls)
        return verdict_frame(found, market, hours, self._policy)
