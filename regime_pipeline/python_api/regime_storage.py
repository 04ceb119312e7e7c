"""`RegimeStorage`: candle regimes stored, read, counted and deleted from one's own code, without the pipeline.

These rows share a table with the pipeline's; what the pipeline writes for a bar replaces them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regime_pipeline import __version__
from regime_pipeline.domain.candle_regimes.classifier import CandleRegimes
from regime_pipeline.domain.candle_regimes.states import parse_full_regime
from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.sorted_times import is_in
from regime_pipeline.domain.market_data.window import Int64, Window, hour_of_close, to_ms
from regime_pipeline.policy import default_policy
from regime_pipeline.services.queries.candle_regimes import FOREVER, RegimeSeries, regime_stats
from regime_pipeline.storage.bulk.regime_reads import ReadVersion
from regime_pipeline.storage.warehouse import Warehouse

_TABLE: Final = "candle_regime"
_SCALE_WITHOUT_CANDLES: Final = 100
"""Regimes have no prices; the first import of candles settles the scale."""
_NEEDED: Final = ("open_time", "full_regime", "confidence")


class RegimeStorage:
    """Stored candle regimes of any market.

    Parameters
    ----------
    url : str
        PostgreSQL URL in any spelling, of a database that `regime db upgrade` has prepared.

    Notes
    -----
    Works on the pipeline's own table, its periods and its ledger; each call is one transaction. Rows inserted here
    carry a policy hash: that of the shipped policy unless another is given. API and MCP show rows of the policy in
    force and compute the others again from the candles; a market without candles shows the rows alone.
    """

    def __init__(self, url: str) -> None:
        self._warehouse = Warehouse(url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._warehouse.close()

    def insert_regimes(self, df: pd.DataFrame, symbol: str, timeframe: str, policy_hash: str | None = None) -> int:
        """Insert regimes, replacing the rows of the same bars.

        Parameters
        ----------
        df : DataFrame
            As `regime_pipeline.classify_candles` returns it: `open_time` (aware times), `full_regime`, `confidence`
            (0..1); other columns are passed over. Any order; each open time once.
        symbol, timeframe : str
            The market; created if it was never stored.
        policy_hash : str, optional
            Hash of the `candle_regime` policy that made them (`Policy.candle_regime.hash`), where it is not the shipped
            one; empty if unknown: such rows are seen by this class alone.

        Returns
        -------
        int
            Rows of the frame.

        Raises
        ------
        UsageError
            A column is absent, a time is naive or twice there, a regime is unknown, or a confidence is not in 0..1.
        StorageError
            The database refused; nothing is written.
        """
        market, given = Market(symbol, timeframe), _regimes_of(df)
        if not len(given):
            return 0
        self._ensure_series(market)
        hours = hour_of_close(market, given.open_time_ms)
        window = Window(int(hours[0]), int(hours[-1]) + HOUR_MS)
        held = self._warehouse.read_range(_TABLE, market, window)
        is_kept = ~is_in(held["open_time"], given.open_time_ms)
        rows = {
            "open_time": np.concatenate([held["open_time"][is_kept], given.open_time_ms]),
            "confidence": np.concatenate([held["confidence"][is_kept], given.confidence]),
            "state": np.concatenate([held["state"][is_kept], given.state]),
        }
        order = np.argsort(rows["open_time"])
        made_by = default_policy().candle_regime.hash if policy_hash is None else policy_hash
        run_id = self._warehouse.start_run(__version__, made_by)
        sorted_rows = {name: values[order] for name, values in rows.items()}
        self._warehouse.replace_range(_TABLE, market, window, sorted_rows, run_id)
        return len(given)

    def get_regimes(
        self,
        symbol: str,
        timeframe: str,
        start_date: datetime | str | None = None,
        end_date: datetime | str | None = None,
    ) -> pd.DataFrame:
        """Return the stored regimes of the bars that open in [start_date, end_date).

        Parameters
        ----------
        symbol, timeframe : str
            The market; one that was never stored has no rows.
        start_date, end_date : datetime or str, optional
            Aware times, or ISO-8601 with offset; without limit if None.

        Returns
        -------
        DataFrame
            `open_time`, `known_at` (datetime64[ms, UTC]), `trend_state`, `volatility_state`, `momentum_state`,
            `full_regime`, `simplified_regime` (categoricals), `confidence` (float32 precision); sorted by time.
        """
        market = Market(symbol, timeframe)
        start, end = (None if moment is None else to_ms(moment) for moment in (start_date, end_date))
        span = self._stored_hours(market)
        if span is None:
            span = Window(0, 0)
        frame = self._warehouse.read_frame(_TABLE, market, span)
        opened = _times(frame["open_time"])
        keep = (opened >= (FOREVER[0] if start is None else start)) & (opened < (FOREVER[1] if end is None else end))
        confidence = frame.pop("confidence")
        return frame.assign(confidence=confidence)[keep].reset_index(drop=True)

    def get_regime_stats(self, symbol: str, timeframe: str) -> dict[str, Any]:
        """Return counts, shares, mean confidence and dwell times by simplified regime over everything stored.

        Raises
        ------
        MissingDataError
            Nothing is stored.
        """
        market = Market(symbol, timeframe)
        span = self._stored_hours(market)
        if span is None:
            raise MissingDataError(f"No regime of {market} is stored.", "Insert or materialize some first.")
        rows = self._warehouse.read_range(_TABLE, market, span)
        regimes = CandleRegimes(rows["open_time"], rows["state"], rows["confidence"].astype(np.float64))
        is_stored = np.ones(len(regimes), dtype=np.bool_)
        return regime_stats(RegimeSeries(market, regimes, is_stored, ReadVersion(span.start_ms, span.end_ms, "")))

    def delete_regimes(self, symbol: str, timeframe: str) -> int:
        """Delete every stored regime of a market, and with them its periods; return how many rows there were."""
        market = Market(symbol, timeframe)
        span = self._stored_hours(market)
        if span is None:
            return 0
        held = len(self._warehouse.read_range(_TABLE, market, span, ["open_time"])["open_time"])
        none: dict[str, NDArray[Any]] = {
            "open_time": np.empty(0, np.int64),
            "confidence": np.empty(0, np.float32),
            "state": np.empty(0, np.int16),
        }
        self._warehouse.replace_range(_TABLE, market, span, none, self._warehouse.start_run(__version__, ""))
        return held

    def _ensure_series(self, market: Market) -> None:
        """Create the series of a market that was never stored; one that is keeps its price scale, whatever it is."""
        try:
            self._warehouse.price_scale(market)
        except MissingDataError:
            self._warehouse.series_id(market, venue="inserted", price_scale=_SCALE_WITHOUT_CANDLES)

    def _stored_hours(self, market: Market) -> Window | None:
        """Hours from the first to the last stored row; None where there is none."""
        oldest, newest = self._warehouse.oldest(market, _TABLE), self._warehouse.latest(market, _TABLE)
        if oldest is None or newest is None:
            return None
        hours = hour_of_close(market, np.array([oldest, newest], dtype=np.int64))
        return Window(int(hours[0]), int(hours[1]) + HOUR_MS)


def _regimes_of(df: pd.DataFrame) -> CandleRegimes:
    """A frame as sound regimes, sorted by time."""
    absent = [name for name in _NEEDED if name not in df]
    if absent:
        raise UsageError(f"The frame has no column {', '.join(absent)}.", f"It needs {', '.join(_NEEDED)}.")
    times = _times(df["open_time"])
    confidence = df["confidence"].to_numpy(np.float64)
    names = {text: parse_full_regime(str(text)).state for text in df["full_regime"].unique()}
    state = np.array([names[text] for text in df["full_regime"]], dtype=np.int16)
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise UsageError("A confidence is not in 0..1.")
    order = np.argsort(times, kind="stable")
    if len(times) > 1 and (np.diff(times[order]) == 0).any():
        raise UsageError("An open time stands there twice.", "Keep one row per bar.")
    return CandleRegimes(times[order], state[order], confidence[order].astype(np.float32).astype(np.float64))


def _times(values: pd.Series) -> Int64:
    if not isinstance(values.dtype, pd.DatetimeTZDtype):
        raise UsageError("The open times are naive or no times.", "Give aware times, such as 2024-01-01T00:00:00Z.")
    return np.asarray(values.dt.tz_convert("UTC").to_numpy("M8[ms]").astype(np.int64))
