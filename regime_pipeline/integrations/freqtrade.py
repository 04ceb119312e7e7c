"""Verdicts inside freqtrade: candles as it holds them, joined without looking ahead, and a filter for entries.

freqtrade fills gaps with flat candles before a strategy sees them; here they are taken out again. See
`python_api.verdicts` for the rows, `python_api.join` for the joining.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import pandas as pd

from regime_pipeline.domain.market_data.market import HOUR_MS, TIMEFRAME_MINUTES, Market
from regime_pipeline.domain.verdicts.engine import reach_hours
from regime_pipeline.policy import Policy, default_policy
from regime_pipeline.python_api.inputs import PRICE_SCALE, SYMBOL
from regime_pipeline.python_api.join import join
from regime_pipeline.python_api.verdicts import verdicts

COLUMNS: Final = (
    *("known_at", "verdict", "confidence", "hold_24h", "hold_72h", "direction", "dominant_risk", "trend_score"),
    *("mean_rev_score", "vol_change_score", "range_quality_score", "grid_capacity_score", "range_low", "range_high"),
    "range_confidence",
)
"""Columns of `verdicts` that a strategy gets, each with the prefix `regime_`."""
PREFIX: Final = "regime_"
_LABELS: Final = ("verdict", "direction", "dominant_risk")
_PRICES: Final = ["open", "high", "low", "close"]


@dataclass(frozen=True, slots=True)
class Pause:
    """No entry for so many hours after one of these verdicts was known."""

    hours: int
    alarms: tuple[str, ...] = ("TREND", "TRANSITION")


def startup_candles(timeframe: str = "1h", hours: int = 0, policy: Policy | None = None) -> int:
    """Return the `startup_candle_count` from which on a verdict is the one of the whole history.

    Parameters
    ----------
    timeframe : str
        Of the candles that verdicts are computed from, one of `1m 3m 5m 15m 30m 1h 2h 4h 1d`.
    hours : int
        History needed on top of it.
    policy : Policy, optional
        Thresholds; the shipped ones if None.
    """
    market = Market(SYMBOL, timeframe)
    return -(-(reach_hours(market, policy or default_policy()) + hours) * HOUR_MS // market.step_ms)


def without_filled(dataframe: pd.DataFrame) -> pd.DataFrame:
    """Return a frame without the candles that freqtrade made up: flat at the close before them, without volume.

    A candle in which nobody traded looks the same and is taken out too; verdicts then see a gap, never a made-up price.
    """
    close = dataframe["close"]
    is_flat = dataframe[_PRICES].eq(close, axis=0).all(axis=1) & (close == close.shift())
    return dataframe[~(is_flat & (dataframe["volume"] == 0))]


def add_verdicts(
    dataframe: pd.DataFrame,
    timeframe: str,
    candles: pd.DataFrame | None = None,
    candles_timeframe: str | None = None,
    *,
    pause: Pause | None = None,
    price_scale: int = PRICE_SCALE,
) -> pd.DataFrame:
    """Return a strategy's frame with the newest verdict known at each candle's close.

    Parameters
    ----------
    dataframe : DataFrame
        As freqtrade hands it to `populate_indicators`: `date`, prices, `volume`, and any indicators.
    timeframe : str
        Of its candles.
    candles : DataFrame, optional
        Candles of the same pair to compute verdicts from, for example of an informative pair; the frame's own if None.
    candles_timeframe : str, optional
        Of these candles.
    pause : Pause, optional
        Verdicts that begin a pause, and its length.
    price_scale : int
        Ticks per unit of quote currency.

    Returns
    -------
    DataFrame
        The frame with `COLUMNS`, each with the prefix `regime_`, and `regime_paused` (bool). Labels are texts;
        `regime_verdict` is INSUFFICIENT_DATA where no verdict is known, or only older ones than the one that is due.
        Columns of these names are replaced.

    Raises
    ------
    BadCandlesError, UsageError
        As `verdicts`.
    """
    of = candles_timeframe or timeframe
    rows = verdicts(without_filled(dataframe if candles is None else candles), of, price_scale=price_scale)
    rows = rows[list(COLUMNS)].astype(dict.fromkeys(_LABELS, object))
    rows["paused"] = rows["known_at"].where(rows["verdict"].isin(pause.alarms if pause else ())).ffill()
    bare = dataframe.drop(columns=[f"{PREFIX}{name}" for name in rows], errors="ignore")
    joined = join(bare, rows, timeframe, prefix=PREFIX)
    closes = joined["date"] + pd.Timedelta(minutes=TIMEFRAME_MINUTES[timeframe])
    is_due = closes - joined[PREFIX + "known_at"] < pd.Timedelta(Market(SYMBOL, of).observation_ms, unit="ms")
    joined[PREFIX + "verdict"] = joined[PREFIX + "verdict"].where(is_due, "INSUFFICIENT_DATA")
    joined[PREFIX + "paused"] = closes - joined[PREFIX + "paused"] < pd.Timedelta(hours=pause.hours if pause else 0)
    return joined


class RegimeFilter:
    """A mixin for strategies: entries only under permitted verdicts, and not for a while after an alarm.

    Derive a strategy from it before `IStrategy`, and return `self.with_verdicts(dataframe, metadata)` from
    `populate_indicators`. Entries are then refused wherever `regime_may_enter` is False; use the column in
    `populate_entry_trend` to see no such entries at all. `startup_candle_count` is raised to what verdicts need.

    Attributes
    ----------
    regime_timeframe : str
        Of the candles that verdicts are computed from; an informative pair where the strategy is on another.
    regime_permitted : tuple of str
        Verdicts that permit an entry.
    regime_pause : Pause or None
        No entry until so many hours have passed without an alarm, for example `Pause(24)`.
    regime_price_scale : int
        Ticks per unit of quote currency.

    Examples
    --------
    >>> class Grid(RegimeFilter, IStrategy):  # doctest: +SKIP
    ...     timeframe = "15m"
    ...
    ...     def populate_indicators(self, dataframe, metadata):
    ...         return self.with_verdicts(dataframe, metadata)
    """

    timeframe: str
    dp: Any
    startup_candle_count: int = 0
    regime_timeframe: ClassVar[str] = "1h"
    regime_permitted: ClassVar[tuple[str, ...]] = ("RANGE_OK",)
    regime_pause: ClassVar[Pause | None] = None
    regime_price_scale: ClassVar[int] = PRICE_SCALE

    def __init_subclass__(cls, **given: Any) -> None:
        """Raise `startup_candle_count` to what the verdicts and the pause depend on."""
        super().__init_subclass__(**given)
        needed = startup_candles(cls.regime_timeframe, cls.regime_pause.hours if cls.regime_pause else 0)
        cls.startup_candle_count = max(cls.startup_candle_count, needed)

    def informative_pairs(self) -> list[tuple[str, ...]]:
        """Name the pairs whose candles verdicts are computed from, besides those of the strategy itself."""
        parent: Any = super()
        pairs: list[tuple[str, ...]] = list(parent.informative_pairs())
        if self.regime_timeframe != self.timeframe:
            pairs += [(pair, self.regime_timeframe) for pair in self.dp.current_whitelist()]
        return pairs

    def with_verdicts(self, dataframe: pd.DataFrame, metadata: dict[str, Any]) -> pd.DataFrame:
        """Return the frame with `regime_` columns, see `add_verdicts`, and `regime_may_enter` (bool)."""
        is_own = self.regime_timeframe == self.timeframe
        candles = None if is_own else self.dp.get_pair_dataframe(metadata["pair"], self.regime_timeframe)
        joined = add_verdicts(
            dataframe,
            self.timeframe,
            candles,
            self.regime_timeframe,
            pause=self.regime_pause,
            price_scale=self.regime_price_scale,
        )
        is_permitted = joined[PREFIX + "verdict"].isin(self.regime_permitted)
        return joined.assign(**{PREFIX + "may_enter": is_permitted & ~joined[PREFIX + "paused"]})

    def confirm_trade_entry(self, pair: str, **order: Any) -> bool:
        """Refuse an entry that the newest closed candle does not permit; ask the strategy's own rule otherwise."""
        dataframe, _ = self.dp.get_analyzed_dataframe(pair, self.timeframe)
        if not len(dataframe) or not bool(dataframe[PREFIX + "may_enter"].iloc[-1]):
            return False
        parent: Any = super()
        return bool(parent.confirm_trade_entry(pair=pair, **order))
