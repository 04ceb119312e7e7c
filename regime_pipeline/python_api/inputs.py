"""A user's frames and mappings as `Candles`, or a sentence that says why not.

See `candles` and `verdicts` for what is computed from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regime_pipeline.domain.errors import BadCandlesError, UsageError
from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.market import TIMEFRAME_MINUTES, Market
from regime_pipeline.domain.market_data.window import Int64, to_iso, to_ms

PRICE_SCALE: Final = 10**8
"""Ticks per unit of quote currency where the caller names none: eight decimals, as exchanges quote at most."""
PRICES: Final = ("open", "high", "low", "close")
COLUMNS: Final = ("open_time", *PRICES, "volume")
_ROUNDING: Final = 1e-6
_EARLIEST_MS, _LATEST_MS = to_ms("2000-01-01T00:00:00Z"), to_ms("2100-01-01T00:00:00Z")
_AWARE: Final = "Use aware times, for example pd.to_datetime(..., utc=True)."


def candles_of_frame(frame: Any, timeframe: str | None, symbol: str, price_scale: int) -> Candles:
    """Return the candles of a pandas or Polars frame.

    Parameters
    ----------
    frame : DataFrame
        Columns `open_time` (aware times or int64 epoch milliseconds; in pandas it may be the index), `open`, `high`,
        `low`, `close` (quote currency), `volume`; ascending, closed candles only. Other columns are ignored.
    timeframe : str, optional
        One of `1m 5m 15m 1h 4h 1d`; None takes the smallest distance of two candles.
    symbol : str
        `BASE-QUOTE`, for error texts and snapshots.
    price_scale : int
        Ticks per unit of quote currency.

    Raises
    ------
    BadCandlesError
        A column is missing or not numeric, times are naive, unsorted, doubled or off the timeframe's grid, a price is
        not finite or finer than a tick; names the first row.
    UsageError
        The timeframe is unknown or does not follow from the times.
    """
    columns = _columns(frame, COLUMNS)
    times = _times(columns["open_time"], frame)
    market = Market(symbol, timeframe or timeframe_of(times))
    prices = [_numbers(columns[name], name) for name in PRICES]
    refuse_finer_than_tick(market, times, prices, price_scale)
    return Candles.from_prices(market, price_scale, times, prices, _numbers(columns["volume"], "volume"))


def candle_of_mapping(candle: Mapping[str, Any], market: Market, price_scale: int) -> Candles:
    """Return one candle, a mapping (or pandas row) with the names of `COLUMNS`, as candles.

    Raises
    ------
    BadCandlesError, UsageError
        As `candles_of_frame`.
    """
    absent = [name for name in COLUMNS if name not in candle]
    if absent:
        raise BadCandlesError(f"The candle has no {', '.join(absent)}.", f"It needs {', '.join(COLUMNS)}.")
    moment = candle["open_time"]
    is_time = isinstance(moment, datetime | str)
    times = np.array([to_ms(moment)]) if is_time else _epoch_ms(np.array([moment]))
    prices = [_numbers([candle[name]], name) for name in PRICES]
    refuse_finer_than_tick(market, times, prices, price_scale)
    return Candles.from_prices(market, price_scale, times, prices, _numbers([candle["volume"]], "volume"))


def times_of_frame(frame: Any) -> Int64:
    """Return the open times of a frame of candles, epoch milliseconds; forms and errors as `candles_of_frame`."""
    return _times(_columns(frame, COLUMNS[:1])["open_time"], frame)


def _columns(frame: Any, names: Sequence[str]) -> dict[str, Any]:
    """Columns by name; the time may be the index."""
    if isinstance(frame, pd.DataFrame) and "open_time" not in frame and isinstance(frame.index, pd.DatetimeIndex):
        frame = frame.assign(open_time=frame.index)
    if not hasattr(frame, "columns"):
        raise BadCandlesError(
            f"Candles must be a DataFrame, not {type(frame).__name__}.", f"Give {', '.join(COLUMNS)}."
        )
    absent = [name for name in names if name not in frame.columns]
    if absent:
        found = ", ".join(map(str, frame.columns)) or "none"
        raise BadCandlesError(f"The frame has no column {', '.join(absent)} (found: {found}).")
    return {name: frame[name] for name in names}


def _times(column: Any, frame: Any) -> Int64:
    """The open times in epoch milliseconds."""
    if isinstance(column, pd.Series):
        if not isinstance(column.dtype, pd.DatetimeTZDtype):
            return _plain_times(column.to_numpy())
        return column.dt.tz_convert("UTC").dt.tz_localize(None).astype("M8[ms]").to_numpy().astype(np.int64)
    zone = getattr(frame.schema["open_time"], "time_zone", "")
    if zone is None:
        raise UsageError("The times in open_time are naive.", _AWARE)
    return _plain_times(column.dt.epoch("ms").to_numpy() if zone else column.to_numpy())


def _plain_times(values: NDArray[Any]) -> Int64:
    """Times that carry no zone of their own: epoch milliseconds, or objects that know their offset."""
    if values.dtype.kind == "M":
        raise UsageError("The times in open_time are naive.", _AWARE)
    if values.dtype.kind == "O":
        return np.array([to_ms(moment) for moment in values], dtype=np.int64)
    return _epoch_ms(values)


def _epoch_ms(values: NDArray[Any]) -> Int64:
    """Refuse numbers that are not epoch milliseconds of this century."""
    is_sane = values.dtype.kind in "iu" and bool(((values >= _EARLIEST_MS) & (values <= _LATEST_MS)).all())
    if not is_sane:
        raise BadCandlesError("Numbers in open_time must be integer epoch milliseconds between 2000 and 2100.", _AWARE)
    return values.astype(np.int64)


def timeframe_of(times: Int64) -> str:
    """Return the timeframe whose bar is the smallest distance of two candles; UsageError where none is."""
    steps = np.abs(np.diff(times))
    steps = steps[steps > 0]
    minutes = int(steps.min()) / 60_000 if len(steps) else 0
    found = next((name for name, length in TIMEFRAME_MINUTES.items() if length == minutes), None)
    if found is None:
        said = f"candles {minutes:g} minutes apart" if minutes else "fewer than two candles"
        raise UsageError(f"No timeframe fits {said}.", f"Name it: timeframe={'|'.join(TIMEFRAME_MINUTES)}.")
    return found


def _numbers(column: Any, name: str) -> Float64:
    """A column as float64."""
    try:
        return np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadCandlesError(f"The column {name} is not numeric: {error}.") from error


def refuse_finer_than_tick(market: Market, times: Int64, prices: list[Float64], price_scale: int) -> None:
    """Refuse prices that a tick cannot hold: rounding would move them by more than a millionth."""
    for name, price in zip(PRICES, prices, strict=True):
        with np.errstate(invalid="ignore"):
            moved = np.abs(np.rint(price * price_scale) / price_scale - price) > _ROUNDING * np.abs(price)
        if moved.any():
            at = int(np.argmax(moved))
            where = f"{market} candle {to_iso(int(times[at]))} (row {at})"
            raise BadCandlesError(
                f"{where}: {name} {float(price[at])!r} is finer than a tick.",
                f"Raise price_scale (now {price_scale}).",
            )
