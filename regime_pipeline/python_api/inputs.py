"""A user's candles, in whatever form, as `Candles`, or a sentence that says why not.

See `forms` for the forms, `candles` and `verdicts` for what is computed from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regime_pipeline.domain.errors import BadCandlesError, UsageError
from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.market import TIMEFRAME_MINUTES, Market
from regime_pipeline.domain.market_data.no_trade import GAP, AbsentBars
from regime_pipeline.domain.market_data.window import Int64, to_iso, to_ms
from regime_pipeline.python_api.forms import frame_of
from regime_pipeline.sources.files.layouts import NAMES, normalize
from regime_pipeline.storage.frames import utc_times

SYMBOL: Final = "CANDLES-USDT"
"""Stands for the market where the caller names none."""
PRICE_SCALE: Final = 10**8
"""Ticks per unit of quote currency where the caller names none: eight decimals, as exchanges quote at most."""
PRICES: Final = ("open", "high", "low", "close")
COLUMNS: Final = ("open_time", *PRICES, "volume")
_ROUNDING: Final = 1e-6
_EARLIEST_MS, _LATEST_MS = to_ms("2000-01-01T00:00:00Z"), to_ms("2100-01-01T00:00:00Z")
_UNITS: Final = ((1_000, 1), (1, 1), (1, 1_000), (1, 1_000_000))
"""Factor and divisor to milliseconds of epoch s, ms, us and ns; their numbers of this century do not overlap."""
_AWARE: Final = 'If they are UTC, say so: rp.read(candles, timezone="UTC"); otherwise convert them first.'


def read(
    candles: Any,
    timeframe: str | None = None,
    *,
    timezone: str = "",
    drop_unaligned: bool = False,
    absent_bars: AbsentBars = GAP,
) -> pd.DataFrame:
    """Return candles in the one form that is computed with, from any form that people hold them in.

    Every function here reads its candles so by itself; this one shows how they are read, and has options.

    Parameters
    ----------
    candles : DataFrame, table, rows or mapping
        A frame of pandas (freqtrade's, yfinance's of one symbol) or Polars, an Arrow table or anything that exports
        one, rows `[time, open, high, low, close, volume]` as ccxt gives them, records, or columns by name. Columns go
        by their usual names in any case: `open_time`, `timestamp`, `date` and others for the open of a bar, which may
        be the index; `Open`, `High`, `Low`, `Close` in quote currency, `Volume`. Others are ignored. Times are aware,
        texts with offset, or epoch numbers in s, ms, us or ns.
    timeframe : str, optional
        One of `1m 3m 5m 15m 30m 1h 2h 4h 1d`; None takes the commonest distance of two candles.
    timezone : str
        `UTC` to read times without an offset as UTC; they are refused otherwise.
    drop_unaligned : bool
        Leave out candles that do not open on a multiple of the timeframe, as some exchanges record after an outage,
        instead of refusing them all.
    absent_bars : {"gap", "no_trade"}
        What bars are that lack between the first and the last one: gaps, or time without a trade, which becomes flat
        bars at the close before, volume 0. Ascending candles only.

    Returns
    -------
    DataFrame
        `open_time` datetime64[ms, UTC]; `open`, `high`, `low`, `close`, `volume` float64; in the order given,
        RangeIndex.

    Raises
    ------
    BadCandlesError
        A column is missing or not numeric, or a time is absent, unreadable or off the timeframe's grid; names the
        column or the first row.
    UsageError
        Times are naive, the timeframe is unknown or does not follow from the times, or the time zone is not UTC.

    Examples
    --------
    >>> rp.read(exchange.fetch_ohlcv("BTC/USDT", "1h")[:-1])  # doctest: +SKIP
    """
    if timezone not in ("", "UTC"):
        raise UsageError(f"Times without an offset cannot be read as '{timezone}'.", "Convert them to UTC first.")
    columns = _columns(frame_of(candles), COLUMNS)
    times = epoch_ms(columns["open_time"], timezone)
    market = Market(SYMBOL, timeframe or timeframe_of(times))
    numbers = {name: _numbers(columns[name], name) for name in COLUMNS[1:]}
    is_off = times % market.step_ms != 0
    if is_off.any() and not drop_unaligned:
        at = int(np.argmax(is_off))
        raise BadCandlesError(
            f"The candle {to_iso(int(times[at]))} (row {at}): the open time is not a multiple of {market.timeframe}.",
            "Leave such candles out with rp.read(candles, drop_unaligned=True), or name the timeframe.",
        )
    frame = pd.DataFrame({"open_time": utc_times(times), **numbers}, copy=False)
    kept = frame.loc[~is_off].reset_index(drop=True) if is_off.any() else frame
    return kept if absent_bars == GAP else _without_holes(kept, times[~is_off], market.step_ms)


def _without_holes(frame: pd.DataFrame, times: Int64, step_ms: int) -> pd.DataFrame:
    """Return the candles with a flat bar of volume 0, at the close before it, in every place between them."""
    steps = np.diff(times)
    if (steps <= 0).any():
        at = int(np.argmax(steps <= 0)) + 1
        raise BadCandlesError(f"The candle {to_iso(int(times[at]))} (row {at}) is not after the one before it.")
    row = np.repeat(np.arange(len(times)), np.append(steps // step_ms, 1))
    whole = frame.take(row).reset_index(drop=True)
    is_flat = np.diff(row, prepend=-1) == 0
    whole["open_time"] = utc_times(times[row] + step_ms * (np.arange(len(row)) - np.searchsorted(row, row)))
    flat = {name: np.where(is_flat, whole["close"], whole[name]) for name in ("open", "high", "low")}
    return whole.assign(**flat, volume=np.where(is_flat, 0.0, whole["volume"]))


def candles_of(given: Any, timeframe: str | None, symbol: str, price_scale: int) -> Candles:
    """Return sound candles from any form that `read` takes.

    Parameters
    ----------
    given : DataFrame, table, rows or mapping
        As `read`; ascending, closed candles only.
    timeframe : str, optional
        As `read`.
    symbol : str
        `BASE-QUOTE`, for error texts and snapshots.
    price_scale : int
        Ticks per unit of quote currency.

    Raises
    ------
    BadCandlesError
        As `read`; or times are unsorted or doubled, a price is not finite or finer than a tick; names the first row.
    UsageError
        As `read`; or the price scale is not a positive whole number.
    """
    frame = read(given, timeframe)
    times = _ms(frame["open_time"])
    columns = {name: frame[name].to_numpy() for name in COLUMNS[1:]}
    return _sound(Market(symbol, timeframe or timeframe_of(times)), times, columns, price_scale)


def single_candle(candle: Any, market: Market, price_scale: int) -> Candles:
    """Return one candle, a mapping, a row of a frame or a row of ccxt, as candles.

    Raises
    ------
    BadCandlesError, UsageError
        As `candles_of`.
    """
    try:
        items = candle.items() if hasattr(candle, "items") else zip(COLUMNS, candle, strict=True)
        names, values = zip(*items, strict=True)
    except (TypeError, ValueError) as error:
        raise BadCandlesError(f"The candle {candle!r} cannot be read.", f"It needs {', '.join(COLUMNS)}.") from error
    columns = {name: pd.Series([values[at]]) for name, at in _places(names, COLUMNS).items()}
    numbers = {name: _numbers(columns[name], name) for name in COLUMNS[1:]}
    return _sound(market, epoch_ms(columns["open_time"]), numbers, price_scale)


def times_of(given: Any) -> Int64:
    """Return the open times of candles in any form, epoch milliseconds; errors as `read`."""
    return epoch_ms(_columns(frame_of(given), COLUMNS[:1])["open_time"])


def timeframe_of(times: Int64) -> str:
    """Return the timeframe whose bar is the commonest distance of two candles; UsageError where there is none."""
    steps = np.abs(np.diff(times))
    lengths, counts = np.unique(steps[steps > 0], return_counts=True)
    minutes = int(lengths[np.argmax(counts)]) / 60_000 if len(lengths) else 0
    found = next((name for name, length in TIMEFRAME_MINUTES.items() if length == minutes), None)
    if found is None:
        said = f"candles {minutes:g} minutes apart" if minutes else "fewer than two candles"
        raise UsageError(f"No timeframe fits {said}.", f"Name it: timeframe={'|'.join(TIMEFRAME_MINUTES)}.")
    return found


def _sound(market: Market, times: Int64, columns: Mapping[str, Float64], price_scale: int) -> Candles:
    if not isinstance(price_scale, int | np.integer) or price_scale <= 0:
        raise UsageError(f"A price scale of {price_scale!r} is not possible.", "Give the ticks per unit, such as 100.")
    prices = [columns[name] for name in PRICES]
    _refuse_finer_than_tick(market, times, prices, int(price_scale))
    return Candles.from_prices(market, int(price_scale), times, prices, columns["volume"])


def _columns(frame: pd.DataFrame, wanted: Sequence[str]) -> dict[str, pd.Series]:
    return {name: frame.iloc[:, at] for name, at in _places(list(frame.columns), wanted).items()}


def _places(names: Sequence[Any], wanted: Sequence[str]) -> dict[str, int]:
    """Where each of the wanted columns is, by any of its usual names; of several the first in their table counts."""
    given = [normalize(name) for name in names]
    if not {"o", "h", "l", "c"} <= set(given):  # single letters mean something together only
        given = [name if len(name) > 1 else "" for name in given]
    found = {name: _best(given, NAMES["time" if name == "open_time" else name]) for name in wanted}
    absent = [name for name, best in found.items() if best is None]
    if absent:
        there = ", ".join(map(str, names)) or "none"
        raise BadCandlesError(f"The candles have no column {', '.join(absent)} (found: {there}).")
    doubled = next((best for best in found.values() if given.count(str(best)) > 1), None)
    if doubled:
        raise BadCandlesError(f"The candles have several columns {doubled}.", "Keep the one that is meant.")
    return {name: given.index(str(best)) for name, best in found.items()}


def _best(given: Sequence[str], known: Sequence[str]) -> str | None:
    return next((name for name in known if name in given), None)


def epoch_ms(column: pd.Series, timezone: str = "") -> Int64:
    """Return a column of times in epoch milliseconds; forms, option and errors as `read`."""
    column = column.infer_objects()
    if column.isna().any():
        raise BadCandlesError(f"The time of row {int(np.argmax(column.isna()))} is absent.")
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return _ms(column)
    values = column.to_numpy()
    if values.dtype.kind == "M":
        _refuse_naive(values, timezone)
        return np.asarray(values.astype("M8[ms]").astype(np.int64))
    if values.dtype.kind in "iuf":
        return _from_epoch(values)
    return np.array([_moment(value, timezone) for value in values], dtype=np.int64)


def _ms(column: pd.Series) -> Int64:
    return np.asarray(column.dt.tz_convert("UTC").to_numpy("M8[ms]").astype(np.int64))


def _refuse_naive(values: Sequence[Any] | NDArray[Any], zone: str) -> None:
    if not zone and len(values):
        raise UsageError(f"The times are naive: '{values[0]}' has no offset.", _AWARE)


def _moment(value: Any, zone: str) -> int:
    """One time that is a text or an object."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if moment.tzinfo is None:
            _refuse_naive([value], zone)
            moment = moment.replace(tzinfo=UTC)
    except (AttributeError, ValueError) as error:
        raise BadCandlesError(f"'{value}' is not a time.", "Give aware times or epoch numbers.") from error
    return to_ms(moment)


def _from_epoch(values: NDArray[Any]) -> Int64:
    """Epoch numbers in the unit that puts all of them in this century."""
    for factor, divisor in _UNITS:
        is_inside = (values >= _EARLIEST_MS * divisor // factor) & (values <= _LATEST_MS * divisor // factor)
        if is_inside.all():
            scaled = values * factor
            return np.asarray((np.rint(scaled) if scaled.dtype.kind == "f" else scaled) // divisor, dtype=np.int64)
    raise BadCandlesError("The times are not epoch numbers between 2000 and 2100, all in one unit.", _AWARE)


def _numbers(column: pd.Series, name: str) -> Float64:
    """A column as float64."""
    column = column.infer_objects()
    if column.dtype.kind == "c":
        raise BadCandlesError(f"The column {name} is not numeric: its numbers are complex.")
    try:
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError) as error:
        raise BadCandlesError(f"The column {name} is not numeric: {error}.") from error


def _refuse_finer_than_tick(market: Market, times: Int64, prices: Sequence[Float64], price_scale: int) -> None:
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
