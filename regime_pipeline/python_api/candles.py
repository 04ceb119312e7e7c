"""3D regimes of a user's candles: a whole frame at once, or one candle at a time.

See `python_api.verdicts` for the hourly verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from regime_pipeline.domain.candle_regimes.classifier import CandleRegimes, classify
from regime_pipeline.domain.candle_regimes.label_windows import LabelWindows, label_windows
from regime_pipeline.domain.candle_regimes.states import REGIME_STATES
from regime_pipeline.domain.candle_regimes.streaming import CandleStream
from regime_pipeline.domain.known_at import bar_known_at
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.schema import STATUSES
from regime_pipeline.policy import Policy, default_policy
from regime_pipeline.python_api.inputs import PRICE_SCALE, SYMBOL, candles_of, single_candle
from regime_pipeline.storage.frames import regime_names, utc_times


def classify_candles(
    candles: Any,
    timeframe: str | None = None,
    *,
    policy: Policy | None = None,
    price_scale: int = PRICE_SCALE,
) -> pd.DataFrame:
    """Return the 3D regime of every candle.

    Parameters
    ----------
    candles : DataFrame
        pandas or Polars; columns `open_time` (aware times or int64 epoch milliseconds; in pandas it may be the
        index), `open`, `high`, `low`, `close` (quote currency), `volume`. Ascending, closed candles only; gaps stay
        gaps, and history begins again behind long ones.
    timeframe : str, optional
        One of `1m 3m 5m 15m 30m 1h 2h 4h 1d`; None takes the smallest distance of two candles.
    policy : Policy, optional
        Thresholds; the shipped ones if None.
    price_scale : int
        Ticks per unit of quote currency.

    Returns
    -------
    DataFrame
        One row per candle, in order, RangeIndex: `open_time` and `known_at` (the candle's close: use the row from then
        on) datetime64[ms, UTC]; `trend_state`, `volatility_state`,
        `momentum_state`, `full_regime`, `simplified_regime` categoricals; `confidence` float64, 0..1; `status` a
        categorical, and `absent_bars` int32. A label needs a window of 200 candles: one that lacks a few is `PARTIAL`
        and says how many; a candle without one is UNDEFINED with confidence 0, and `WARMING_UP` (the series, or its
        part behind a long hole, is too young) or `INCOMPLETE_WINDOW` (too many bars, or one of the newest, lack).

    Raises
    ------
    BadCandlesError, UsageError
        The frame is not candles; names the column or the first row.

    Notes
    -----
    Uses bars <= t: a prefix of the frame gives the same rows.
    """
    sound, chosen = candles_of(candles, timeframe, SYMBOL, price_scale), (policy or default_policy()).candle_regime
    return _regime_frame(sound.market, classify(sound, chosen), label_windows(sound, chosen))


def _regime_frame(market: Market, found: CandleRegimes, windows: LabelWindows) -> pd.DataFrame:
    columns: dict[str, Any] = {
        "open_time": utc_times(found.open_time_ms),
        "known_at": utc_times(bar_known_at(market, found.open_time_ms)),
        **regime_names(found.state),
        "confidence": found.confidence,
        "status": pd.Categorical.from_codes(windows.status, dtype=pd.CategoricalDtype(list(STATUSES))),
        "absent_bars": windows.absent,
    }
    return pd.DataFrame(columns, copy=False)


@dataclass(frozen=True, slots=True)
class CandleRegime:
    """The 3D regime of one candle, named as in the columns of `classify_candles`."""

    open_time: pd.Timestamp
    known_at: pd.Timestamp
    trend_state: str
    volatility_state: str
    momentum_state: str
    full_regime: str
    simplified_regime: str
    confidence: float
    status: str
    absent_bars: int


class StreamingClassifier:
    """Classifies candles as they close: the labels of `classify_candles`, bit for bit, one candle at a time.

    Parameters
    ----------
    timeframe : str
        One of `1m 3m 5m 15m 30m 1h 2h 4h 1d`.
    policy : Policy, optional
        Thresholds; the shipped ones if None.
    price_scale : int
        Ticks per unit of quote currency.

    Examples
    --------
    >>> clf = StreamingClassifier("1h")
    >>> regime = clf.update({"open_time": "2026-09-01T00:00:00Z", "open": 1, "high": 2, "low": 1, "close": 2, "volume": 5})
    >>> regime.simplified_regime
    'UNDEFINED'
    """  # noqa: E501

    def __init__(self, timeframe: str = "1h", *, policy: Policy | None = None, price_scale: int = PRICE_SCALE) -> None:
        self._market = Market(SYMBOL, timeframe)
        self._price_scale = price_scale
        self._stream = CandleStream((policy or default_policy()).candle_regime)

    def update(self, candle: Any) -> CandleRegime:
        """Take the next closed candle and return its regime.

        Parameters
        ----------
        candle : mapping or row
            `open_time`, `open`, `high`, `low`, `close`, `volume` under any name that `read` knows and with any of its
            times: a mapping, a row of a frame, or a row of ccxt.

        Raises
        ------
        BadCandlesError
            The candle is unsound, or not after the one before it; the stream is as it was.
        """
        found = self._stream.update(single_candle(candle, self._market, self._price_scale))
        state, windows = REGIME_STATES[found.state[-1]], self._stream.windows
        opened = int(found.open_time_ms[-1])
        return CandleRegime(
            pd.Timestamp(opened, unit="ms", tz="UTC"),
            pd.Timestamp(bar_known_at(self._market, opened), unit="ms", tz="UTC"),
            state.trend_state,
            state.volatility_state,
            state.momentum_state,
            state.full_regime,
            state.simplified_regime,
            float(found.confidence[-1]),
            STATUSES[windows.status[-1]],
            int(windows.absent[-1]),
        )

    def warm_up(self, candles: Any) -> pd.DataFrame:
        """Take a frame of earlier candles, as `classify_candles` does, and return their regimes.

        Raises
        ------
        BadCandlesError, UsageError
            The frame is not candles, or does not continue what the stream knows; the stream is as it was.
        """
        sound = candles_of(candles, self._market.timeframe, SYMBOL, self._price_scale)
        return _regime_frame(self._market, self._stream.update(sound), self._stream.windows)
