"""What must hold of the rows and files that each stage has written, checked on the written slice itself.

Checks only read, those of many markets together (see `reading`). See `open_faults` for what stands from earlier runs,
`pipeline.asset_checks` for the report.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.candle_regimes.states import REGIME_STATES
from regime_pipeline.domain.errors import RegimeError
from regime_pipeline.domain.features.observations import Observations
from regime_pipeline.domain.grids.schema import ACTIONS
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.completeness import COMPLETE
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.price_breaks import series_breaks
from regime_pipeline.domain.market_data.resample import resample_complete
from regime_pipeline.domain.market_data.sorted_times import common_rows, difference, symmetric_difference
from regime_pipeline.domain.market_data.window import Int64, Window, to_iso
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.domain.scoring.scores import score_lookback_hours
from regime_pipeline.services.chain.reading import (
    Reading,
    candle_span,
    newest_candle,
    revised_bars,
    snapshot_candles,
    snapshot_statuses,
    stored_candles,
    stored_rows,
    stored_timeframes,
)
from regime_pipeline.services.chain.scheduling import LIVE_SOURCES
from regime_pipeline.services.chain.workspace import Workspace

REVISION_BARS: Final = 1_000
MAX_REVISED_SHARE: Final = 0.01
_VOLUME_ROUNDING: Final = 1e-6
_PRICES: Final = ("open", "high", "low", "close")


def market_fresh(ws: Workspace, market: Market, _window: Window) -> Reading[CheckResult]:
    """The newest candle of a market that has a live source is at most two bars and an hour old."""
    newest, spec = (yield from newest_candle(market)), ws.universe.spec(market)
    if spec.source not in LIVE_SOURCES or newest is None:
        return CheckResult((), 0)
    now = min(moment for moment in (ws.clock(), ws.universe.end_ms, spec.until_ms) if moment is not None)
    age_ms = now - newest - market.step_ms
    if age_ms <= 2 * market.step_ms + HOUR_MS:
        return CheckResult((), 1)
    closed = to_iso(newest + market.step_ms)
    return CheckResult((f"{market}: the newest candle closed at {closed}, {age_ms / HOUR_MS:.1f} hours ago",), 1)


def revisions_rare(_ws: Workspace, market: Market, window: Window) -> Reading[CheckResult]:
    """Of the last 1,000 bars, and of the slice, at most one in a hundred was ever restated."""
    start, end = candle_span(market, window)
    first = min(start, end - REVISION_BARS * market.step_ms)
    revised = yield from revised_bars(market, first, end)
    bars = (end - first) // market.step_ms
    return CheckResult.at(market, revised if len(revised) > MAX_REVISED_SHARE * bars else revised[:0], bars)


def timeframes_agree(ws: Workspace, market: Market, window: Window) -> Reading[CheckResult]:
    """Every bar equals the one built from the symbol's next shorter stored timeframe, where all its hours are whole."""
    shorter = yield from _next_shorter(ws, market)
    if shorter is None:
        return CheckResult((), 0)
    start, end = candle_span(market, window)
    shorter_candles = yield from stored_candles(ws, shorter, start, end)
    built = resample_complete(shorter_candles, market.timeframe)
    own = yield from stored_candles(ws, market, start, end)
    own_row, built_row = common_rows(own.open_time_ms, built.open_time_ms)
    both = own.open_time_ms[own_row]
    return CheckResult.at(market, both[_differs(own[own_row], built[built_row])], len(both))


def _next_shorter(ws: Workspace, market: Market) -> Reading[Market | None]:
    """The symbol's longest stored timeframe, an hour at most, of which whole bars make one of the market's."""
    if ws.universe.spec(market).source == "resampled":
        return None
    longest = min(market.step_ms - 1, HOUR_MS)
    stored = yield from stored_timeframes(market.symbol)
    others = [other for other in stored if other.step_ms <= longest and market.step_ms % other.step_ms == 0]
    return max(others, key=lambda other: other.step_ms, default=None)


def _differs(own: Candles, built: Candles) -> Int64:
    """Which bars have another price or volume; equal lengths, any price scales."""
    prices = [getattr(own, name) * built.price_scale != getattr(built, name) * own.price_scale for name in _PRICES]
    is_volume_off = ~np.isclose(own.volume, built.volume, rtol=_VOLUME_ROUNDING, atol=0.0)
    return np.flatnonzero(np.any([*prices, is_volume_off], axis=0))


MAX_LISTED: Final = 20


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found in one market's window.

    Parameters
    ----------
    offending : tuple of str
        Where it fails, `ETH-USDT_1h 2020-03-12T10:00:00Z` or a sentence; empty where it holds.
    checked : int
        Rows, hours or files looked at.
    first_to_last_ms : tuple of int, optional
        Times of the first and the last place, epoch milliseconds; none where places are sentences.
    """

    offending: tuple[str, ...]
    checked: int
    first_to_last_ms: tuple[int, int] | None = None

    @classmethod
    def at(cls, market: Market, times_ms: Int64, checked: int) -> CheckResult:
        """Return the result of a check that fails at these times."""
        places = tuple(f"{market} {to_iso(int(moment))}" for moment in times_ms)
        return cls(places, checked, (int(times_ms.min()), int(times_ms.max())) if places else None)


Finder = Callable[[Workspace, Market, Window], Reading[CheckResult]]


@dataclass(frozen=True, slots=True)
class AssetCheck:
    """One named check of one stage.

    Parameters
    ----------
    asset, name, description : str
        What is checked, and the sentence that says what holds.
    is_blocking : bool
        Later stages must not run where it fails.
    is_warning : bool
        It reports dirt in the data (a gap), not a broken contract.
    is_rolling : bool
        It judges the market as of now: the newest answer replaces the earlier ones of the market.
    find : callable
        `(workspace, market, window) -> Reading[CheckResult]`.
    """

    asset: str
    name: str
    description: str
    find: Finder
    is_blocking: bool = False
    is_warning: bool = False
    is_rolling: bool = False


_ROUNDING: Final = 1e-9


def hours_recorded(_ws: Workspace, market: Market, window: Window) -> Reading[CheckResult]:
    """Every hour has its completeness on record."""
    hours = yield from stored_rows("candle_hours", market, window, ["hour_start"])
    return CheckResult.at(market, difference(window.hours, hours["hour_start"]), len(window))


def hours_complete(_ws: Workspace, market: Market, window: Window) -> Reading[CheckResult]:
    """No hour lacks a candle."""
    hours = yield from stored_rows("candle_hours", market, window)
    return CheckResult.at(market, hours["hour_start"][hours["status"] != COMPLETE], len(window))


def candles_sound(ws: Workspace, market: Market, window: Window) -> Reading[CheckResult]:
    """Candles are unique, ordered, aligned, finite, with high and low around open and close."""
    try:
        candles = yield from stored_candles(ws, market, *candle_span(market, window))
    except RegimeError as error:
        return CheckResult((str(error),), 0)
    return CheckResult((), len(candles))


def candles_closed(ws: Workspace, market: Market, window: Window) -> Reading[CheckResult]:
    """No stored candle was still open."""
    candles = yield from stored_candles(ws, market, *candle_span(market, window))
    is_open = candles.close_time_ms > ws.clock()
    return CheckResult.at(market, candles.open_time_ms[is_open], len(candles))


def snapshots_valid(_ws: Workspace, market: Market, window: Window) -> Reading[CheckResult]:
    """Every hour has a snapshot file that is whole, has the right hash and the status on record."""
    recorded = yield from stored_rows("candle_hours", market, window, ["hour_start", "status"])
    try:
        statuses = yield from snapshot_statuses(market, window)
    except RegimeError as error:
        return CheckResult((str(error),), len(window))
    row = (recorded["hour_start"] - window.start_ms) // HOUR_MS
    return CheckResult.at(market, window.hours[row][statuses[row] != recorded["status"]], len(window))


def snapshots_equal_candles(ws: Workspace, market: Market, window: Window) -> Reading[CheckResult]:
    """The files hold exactly the candles of the table."""
    span = candle_span(market, window)
    table = yield from stored_candles(ws, market, *span)
    files = yield from snapshot_candles(market, *span)
    lost = symmetric_difference(table.open_time_ms, files.open_time_ms)
    if len(lost):
        return CheckResult.at(market, lost, len(table))
    columns = ("open", "high", "low", "close", "volume")
    differs = np.any([getattr(table, name) != getattr(files, name) for name in columns], axis=0)
    return CheckResult.at(market, table.open_time_ms[differs], len(table))


def one_regime_per_candle(ws: Workspace, market: Market, window: Window) -> Reading[CheckResult]:
    """Candles and candle regimes have the same open times."""
    candles = yield from stored_candles(ws, market, *candle_span(market, window))
    regimes = yield from stored_rows("candle_regime", market, window, ["open_time"])
    return CheckResult.at(market, symmetric_difference(candles.open_time_ms, regimes["open_time"]), len(candles))


def regimes_in_bounds(_ws: Workspace, market: Market, window: Window) -> Reading[CheckResult]:
    """States are known ones and confidence lies in 0..1."""
    rows = yield from stored_rows("candle_regime", market, window)
    is_known = (rows["state"] >= 0) & (rows["state"] < len(REGIME_STATES))
    is_sound = is_known & _is_within(rows["confidence"], 0.0, 1.0)
    return CheckResult.at(market, rows["open_time"][~is_sound], len(is_sound))


def one_row_per_hour(table: str) -> Finder:
    """Return the check that the table has a row for every hour of the slice."""

    def find(_ws: Workspace, market: Market, window: Window) -> Reading[CheckResult]:
        rows = yield from stored_rows(table, market, window, ["hour_start"])
        return CheckResult.at(market, symmetric_difference(window.hours, rows["hour_start"]), len(window))

    return find


def no_lookahead(_ws: Workspace, market: Market, window: Window) -> Reading[CheckResult]:
    """The newest bar behind each row had closed by the end of its hour."""
    rows = yield from stored_rows("features", market, window, ["hour_start", "as_of_bar"])
    is_late = rows["as_of_bar"] + market.step_ms > rows["hour_start"] + HOUR_MS
    return CheckResult.at(market, rows["hour_start"][is_late], len(is_late))


def scores_in_bounds(_ws: Workspace, market: Market, window: Window) -> Reading[CheckResult]:
    """Every score lies in 0..100 wherever there is one."""
    rows = yield from stored_rows("scores", market, window)
    columns = [values for name, values in rows.items() if name.endswith("_score")]
    is_sound = np.all([np.isnan(values) | _is_within(values, 0.0, 100.0) for values in columns], axis=0)
    return CheckResult.at(market, rows["hour_start"][~is_sound], len(is_sound))


def no_price_break(ws: Workspace, market: Market, window: Window) -> Reading[CheckResult]:
    """Behind no hole does the price look like that of another asset under the same name; ranks begin again there."""
    before = score_lookback_hours(market, ws.policy) * HOUR_MS
    names = ["hour_start", "as_of_bar", "close"]
    rows = yield from stored_rows("features", market, Window(window.start_ms - before, window.end_ms), names)
    calendar = Observations.of(rows, market)
    places = series_breaks(calendar.column("close"), ws.policy.scores.break_price_factor)
    hours = rows["hour_start"][calendar.row[places]]
    return CheckResult.at(market, hours[hours >= window.start_ms], len(window))


def verdicts_closed_set(_ws: Workspace, market: Market, window: Window) -> Reading[CheckResult]:
    """Verdicts are of the five, and confidence lies in 0..1."""
    rows = yield from stored_rows("regime_verdicts", market, window, ["hour_start", "verdict", "confidence"])
    is_known = (rows["verdict"] >= 0) & (rows["verdict"] < len(VERDICTS))
    is_sound = is_known & _is_within(rows["confidence"], 0.0, 1.0)
    return CheckResult.at(market, rows["hour_start"][~is_sound], len(is_sound))


def weights_sum_to_one(_ws: Workspace, market: Market, window: Window) -> Reading[CheckResult]:
    """The four weights sum to one wherever there is a verdict."""
    names = ["weight_range_ok", "weight_range_weak", "weight_trend", "weight_transition"]
    rows = yield from stored_rows("regime_verdicts", market, window, ["hour_start", "verdict", *names])
    total = np.sum([rows[name] for name in names], axis=0)
    is_off = (rows["verdict"] != 0) & ~(np.abs(total - 1.0) < _ROUNDING)
    return CheckResult.at(market, rows["hour_start"][is_off], len(is_off))


def advice_consistent(_ws: Workspace, market: Market, window: Window) -> Reading[CheckResult]:
    """Advice is actionable exactly where it asks for an act, and never repositions in TREND or TRANSITION."""
    advice = yield from stored_rows("grid_advice", market, window, ["hour_start", "action", "is_actionable"])
    verdicts = yield from stored_rows("regime_verdicts", market, window, ["verdict"])
    if len(advice["action"]) != len(verdicts["verdict"]):
        return CheckResult.at(market, window.hours, len(window))
    is_danger = np.isin(verdicts["verdict"], [VERDICTS.index("TREND"), VERDICTS.index("TRANSITION")])
    asks = np.isin(advice["action"], [ACTIONS.index(name) for name in ("ENABLE", "STOP_PLACING", "REPOSITION")])
    is_off = (advice["is_actionable"] != asks) | (is_danger & (advice["action"] == ACTIONS.index("REPOSITION")))
    return CheckResult.at(market, advice["hour_start"][is_off], len(is_off))


def dashboard_equals_verdicts(_ws: Workspace, market: Market, window: Window) -> Reading[CheckResult]:
    """Dashboard rows show the verdict and confidence of the verdict table."""
    names = ["hour_start", "verdict", "confidence"]
    shown = yield from stored_rows("dashboard_hours", market, window, names)
    truth = yield from stored_rows("regime_verdicts", market, window, names)
    if not np.array_equal(shown["hour_start"], truth["hour_start"]):
        return CheckResult.at(market, symmetric_difference(shown["hour_start"], truth["hour_start"]), len(window))
    differs = (shown["verdict"] != truth["verdict"]) | (shown["confidence"] != truth["confidence"])
    return CheckResult.at(market, truth["hour_start"][differs], len(differs))


def _is_within(values: NDArray[Any], low: float, high: float) -> NDArray[np.bool_]:
    """Which values lie in [low, high]; NaN does not."""
    return np.asarray((values >= low) & (values <= high))


def _described(asset: str, find: Finder, **flags: bool) -> AssetCheck:
    return AssetCheck(asset, find.__name__, (find.__doc__ or "").strip(), find, **flags)


def _rows(asset: str) -> AssetCheck:
    return AssetCheck(asset, "one_row_per_hour", "There is exactly one row for every hour.", one_row_per_hour(asset))


CHECKS: Final = (
    _described("raw_candles", hours_recorded, is_blocking=True),
    _described("raw_candles", candles_sound, is_blocking=True),
    _described("raw_candles", candles_closed, is_blocking=True),
    _described("raw_candles", hours_complete, is_warning=True),
    _described("raw_candles", market_fresh, is_warning=True, is_rolling=True),
    _described("raw_candles", revisions_rare, is_warning=True, is_rolling=True),
    _described("raw_candles", timeframes_agree, is_warning=True),
    _described("hourly_snapshots", snapshots_valid, is_blocking=True),
    _described("hourly_snapshots", snapshots_equal_candles, is_blocking=True),
    _described("candle_regimes", one_regime_per_candle, is_blocking=True),
    _described("candle_regimes", regimes_in_bounds, is_blocking=True),
    _rows("features"),
    _described("features", no_lookahead),
    _rows("scores"),
    _described("scores", scores_in_bounds),
    _described("scores", no_price_break, is_warning=True),
    _rows("regime_verdicts"),
    _described("regime_verdicts", verdicts_closed_set),
    _described("regime_verdicts", weights_sum_to_one),
    _rows("grid_advice"),
    _described("grid_advice", advice_consistent),
    _rows("dashboard_hours"),
    _described("dashboard_hours", dashboard_equals_verdicts),
)
"""Every check, in the order of the chain."""
