"""One hour of one market as it was known when it was collected: bars, their summary, and completeness.

Everything that can be derived from the bars is derived. See `storage.snapshots` for files, JSON and hashes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.errors import BadCandlesError, BadSnapshotError
from regime_pipeline.domain.market_data.candles import COLUMNS, MAX_TICKS, Candles
from regime_pipeline.domain.market_data.completeness import Spans, runs_of
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.no_trade import GAP, NO_TRADE, AbsentBars, is_no_trade
from regime_pipeline.domain.market_data.window import Int64, Window, bars_closing_in, hour_of_close, to_iso
from regime_pipeline.domain.schema import HOUR_STATUSES

PRICE_COLUMNS: Final = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class MarketSummary:
    """What the market did in an hour: prices in ticks, base volume, count of bars, simple return in percent."""

    open: int
    high: int
    low: int
    close: int
    volume: float
    bar_count: int
    return_pct: float


@dataclass(frozen=True, eq=False)
class HourSnapshot:
    """The bars of one market that closed in one hour, as known at `collected_at_ms`.

    Parameters
    ----------
    market : Market
        Symbol and timeframe.
    hour_start_ms : int
        Start of the hour, epoch milliseconds UTC.
    bars : Candles
        Bars that closed in the hour: 60 for 1m, 12 for 5m, 4 for 15m, 1 for 1h, 0 or 1 above. Gaps stay gaps.
    status : str
        One of `schema.HOUR_STATUSES`; `complete` if and only if no bar is absent.
    source : str
        Where the bars come from.
    config_hash : str
        Hash of the configuration behind the collection.
    collected_at_ms : int
        When the bars were collected, epoch milliseconds UTC; not part of the content.
    is_verified : bool
        The file that it was read from carries the hash of its content; false for files of other programs without one.
    no_trade : int
        Bars that the market's declaration made, or confirmed, to be time without a trade (see `no_trade`).

    Raises
    ------
    BadSnapshotError
        The parts contradict each other; every fault is named.
    """

    market: Market
    hour_start_ms: int
    bars: Candles
    status: str
    source: str
    config_hash: str
    collected_at_ms: int
    is_verified: bool = True
    no_trade: int = 0

    def __post_init__(self) -> None:
        """Refuse parts that contradict each other."""
        faults = hour_faults(self.market, self.hour_start_ms, self.bars.open_time_ms, self.status)
        if self.bars.market != self.market:
            faults.append(f"the bars are of {self.bars.market}")
        if faults:
            raise BadSnapshotError(f"Snapshot {self}: {'; '.join(faults)}.", "Collect the hour again.")

    def __str__(self) -> str:
        return f"{self.market} {to_iso(self.hour_start_ms)}"

    @property
    def price_scale(self) -> int:
        """Ticks per unit of quote currency."""
        return self.bars.price_scale

    @property
    def expected(self) -> int:
        """Bars that close in the hour."""
        return len(bars_closing_in(self.market, Window.hour(self.hour_start_ms)))

    @property
    def present(self) -> int:
        """Bars that the snapshot holds."""
        return len(self.bars)

    @property
    def gaps(self) -> Spans:
        """Spans of open time without a bar, epoch milliseconds, half open."""
        if self.status == "complete":
            return ()
        times, absent = bars_of_hour(self.market, self.hour_start_ms, self.bars.open_time_ms)
        return runs_of(times, absent, self.market.step_ms)

    @property
    def market_summary(self) -> MarketSummary | None:
        """Summary of the bars; None where there is no bar."""
        return summarize(self.bars)


def summarize(bars: Candles) -> MarketSummary | None:
    """Return the summary of some bars, None of none; the volume is the correctly rounded sum, whatever the order."""
    if not len(bars):
        return None
    opened, closed = int(bars.open[0]), int(bars.close[-1])
    return MarketSummary(
        open=opened,
        high=int(bars.high.max()),
        low=int(bars.low.min()),
        close=closed,
        volume=math.fsum(bars.volume.tolist()),
        bar_count=len(bars),
        return_pct=100 * (closed - opened) / opened,
    )


def hour_faults(market: Market, hour_start_ms: int, open_time_ms: Int64, status: str | None) -> list[str]:
    """Return what contradicts in an hour's bar times and status, one sentence each; None stands for an unknown status.

    Parameters
    ----------
    market : Market
        Symbol and timeframe.
    hour_start_ms : int
        Start of the hour, epoch milliseconds UTC.
    open_time_ms : ndarray of int64, shape (n,)
        Open times of the bars, epoch milliseconds UTC, in any order.
    status : str or None
        The hour's completeness as stated.
    """
    if hour_start_ms % HOUR_MS:
        return [f"hour_start {to_iso(hour_start_ms)} is not a full hour"]
    faults = [
        f"bar {to_iso(moment)} does not close in the hour"
        for moment in open_time_ms[hour_of_close(market, open_time_ms) != hour_start_ms].tolist()
    ]
    times, absent = bars_of_hour(market, hour_start_ms, open_time_ms)
    if status is not None and status not in HOUR_STATUSES:
        faults.append(f"status '{status}' is not one of {', '.join(HOUR_STATUSES)}")
    elif status in (None, "complete") and absent.any():
        named = ", ".join(to_iso(moment)[11:16] for moment in times[absent].tolist())
        faults.append(f"{absent.sum()} of {len(times)} bars are missing: {named}")
    elif status in ("exchange_gap", "missing") and not absent.any():
        faults.append(f"status is '{status}', yet no bar is absent")
    return faults


def bars_of_hour(market: Market, hour_start_ms: int, open_time_ms: Int64) -> tuple[Int64, NDArray[np.bool_]]:
    """Return the open times of the bars that close in an hour, and whether each is absent from the given ones.

    Returns
    -------
    times : ndarray of int64, shape (expected,)
        Epoch milliseconds UTC, ascending.
    absent : ndarray of bool, shape (expected,)
    """
    times = bars_closing_in(market, Window.hour(hour_start_ms))
    present = set(open_time_ms.tolist())
    return times, np.array([moment not in present for moment in times.tolist()], dtype=np.bool_)


def build_snapshots(
    candles: Candles,
    status: NDArray[np.int8],
    window: Window,
    *,
    source: str,
    config_hash: str,
    collected_at_ms: int,
    absent_bars: AbsentBars = GAP,
) -> list[HourSnapshot]:
    """Cut candles into one snapshot per hour of the window.

    Parameters
    ----------
    candles : Candles
        Candles of the market; those that close outside the window are left out.
    status : ndarray of int8, shape (len(window),)
        Code of each hour into `schema.HOUR_STATUSES`, as `completeness.hour_statuses` returns it.
    window : Window
        Whole hours.
    source, config_hash, collected_at_ms
        As in `HourSnapshot`, alike for every hour.
    absent_bars : {"gap", "no_trade"}
        What the market declares; its bars without a trade are counted if it declares them.

    Returns
    -------
    list of HourSnapshot
        One per hour, ascending; an hour without a bar has a snapshot without bars.

    Raises
    ------
    BadSnapshotError
        There is not one status per hour, or a status contradicts the candles.
    """
    if len(status) != len(window):
        raise BadSnapshotError(f"{candles.market}: {len(status)} statuses for the {len(window)} hours of {window}.")
    edges = np.append(window.hours, window.end_ms)
    cuts = np.searchsorted(hour_of_close(candles.market, candles.open_time_ms), edges).tolist()
    codes = status.tolist()
    is_flat = is_no_trade(candles) & (absent_bars == NO_TRADE)
    flat = np.concatenate(([0], np.cumsum(is_flat)))[cuts].tolist()
    return [
        HourSnapshot(
            market=candles.market,
            hour_start_ms=hour,
            bars=candles[cuts[row] : cuts[row + 1]],
            status=HOUR_STATUSES[codes[row]],
            source=source,
            config_hash=config_hash,
            collected_at_ms=collected_at_ms,
            no_trade=flat[row + 1] - flat[row],
        )
        for row, hour in enumerate(window.hours.tolist())
    ]


def join_candles(parts: Sequence[Candles]) -> Candles:
    """Join candles of one market in order, brought without rounding to the least price scale that holds them all.

    Raises
    ------
    BadCandlesError
        The parts overlap, are out of order, or no longer fit the common scale.
    """
    scale = math.lcm(*(part.price_scale for part in parts))
    scaled = [_rescaled(part, scale // part.price_scale) for part in parts]
    columns = {name: np.concatenate([part[name] for part in scaled]) for name in COLUMNS}
    return Candles(parts[0].market, scale, **columns)


def _rescaled(candles: Candles, factor: int) -> dict[str, NDArray[Any]]:
    """Columns of the candles with prices times a factor, which is refused where a price would overflow."""
    columns = {name: getattr(candles, name) for name in COLUMNS}
    if factor == 1:
        return columns
    if len(candles) and int(candles.high.max()) * factor > MAX_TICKS:
        raise BadCandlesError(
            f"{candles.market}: prices at scale {candles.price_scale} do not fit {candles.price_scale * factor}.",
            "Write the market's snapshots again at one price scale.",
        )
    return columns | {name: columns[name] * factor for name in PRICE_COLUMNS}
