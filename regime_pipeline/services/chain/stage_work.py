"""What each stage reads and computes for one market's window; what it returns is not stored yet.

See `reading` for how the reads of many markets become one, `stages` for storing, `domain` for the formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.candle_regimes.classifier import classify, lookback_bars
from regime_pipeline.domain.errors import MissingDataError, SourceError
from regime_pipeline.domain.features.hourly import compute_features, feature_lookback_bars
from regime_pipeline.domain.grids.advice_hourly import advice_lookback_bars, grid_advice_rows
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.graduation import probation_from_ms
from regime_pipeline.domain.grids.schema import GRID_ADVICE, without_stop
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.completeness import confirmed_spans, hour_statuses
from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS, Market
from regime_pipeline.domain.market_data.no_trade import NO_TRADE, is_no_trade
from regime_pipeline.domain.market_data.snapshot import HourSnapshot, build_snapshots
from regime_pipeline.domain.market_data.sorted_times import difference
from regime_pipeline.domain.market_data.window import Window, bars_closing_in, hour_of_close
from regime_pipeline.domain.restart_gates.conditions import OF_SCORES
from regime_pipeline.domain.restart_gates.replay import GateHistory, first_needed_ms, gate_rows
from regime_pipeline.domain.schema import FEATURES, HOUR_STATUSES, SCORES, VARIANCES, VERDICTS
from regime_pipeline.domain.scoring.scores import compute_scores, score_lookback_hours, scores_hash
from regime_pipeline.domain.verdicts.explanation import NEEDED
from regime_pipeline.domain.verdicts.hourly_summary import dashboard_rows
from regime_pipeline.domain.verdicts.verdict import decide_verdicts, verdict_hash, verdict_lookback_hours
from regime_pipeline.policy import Policy
from regime_pipeline.services.chain.reading import (
    Columns,
    Reading,
    candle_span,
    fetched,
    grid_history,
    grid_stops,
    registered,
    snapshot_candles,
    snapshot_hours,
    stored_candles,
    stored_rows,
)
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.explanations import factors_of, reasons_of
from regime_pipeline.sources.base import Fetched, joined
from regime_pipeline.storage.warehouse import HourCandles

_A_DECADE_MS: Final = 10 * 366 * DAY_MS


@dataclass(frozen=True, eq=False)
class Computed:
    """What a stage has to store for one market's window.

    Parameters
    ----------
    market, window : Market, Window
        Whose hours.
    content : Any
        Rows of the stage's table, or what its `store` takes.
    per_hour : mapping of str to ndarray, each of shape (hours of the window,)
        Two to four scalars an hour, for the metadata of its partition.
    failure : str
        Why the source gave nothing, in words; empty otherwise.
    policies : sequence of str
        Hashes that the rows are explained by, under which the policy in force is kept.
    """

    market: Market
    window: Window
    content: Any
    per_hour: Columns
    failure: str = ""
    policies: Sequence[str] = field(default=())


def _earlier(window: Window, hours: int) -> Window:
    return Window(window.start_ms - hours * HOUR_MS, window.end_ms)


def _within(rows: Columns, window: Window) -> Columns:
    """Rows of the window itself, without the trailing history before it."""
    keep = rows["hour_start"] >= window.start_ms
    return {name: column[keep] for name, column in rows.items()}


def _require_hours(rows: Columns, window: Window, market: Market, upstream: str) -> None:
    """Refuse to go on where the upstream stage has not written every hour of the window."""
    lacking = difference(window.hours, rows["hour_start"])
    if len(lacking):
        raise MissingDataError(
            f"{upstream} of {market} lacks {len(lacking)} of the {len(window)} hours {window}.",
            f"Materialize {upstream} for these partitions first.",
        )


def raw_candles(ws: Workspace, market: Market, window: Window) -> Reading[Computed]:
    """Fetch the candles that closed in the window, keep revisions, and record the completeness of every hour.

    Notes
    -----
    A source changes what is stored only where it confirms absence: a candle that it does not mention elsewhere
    stays, so a source that fails, or that no longer reaches so far back, loses nothing. Of a quiet market the hours
    after the window are written too as far as its last close shows there, in bars without a trade.
    """
    source = ws.source_of(market)
    yield from registered(market, source.venue, ws.universe.spec(market).price_scale)
    is_quiet = ws.universe.origin(market).absent_bars == NO_TRADE
    whole = (yield from _with_lull(ws, market, window)) if is_quiet else window
    stored = yield from _stored_answer(ws, market, whole)
    try:
        answer = yield from fetched(market, *candle_span(market, whole))
        known = joined(answer, stored)
    except SourceError as error:
        known = Fetched(stored.candles, stored.covered, str(error))
    hours = hour_statuses(market, whole, known.candles, known.covered)
    stops = yield from grid_stops(market.symbol)
    content = HourCandles(market, whole, known.candles, hours, correction_reach(market, ws.policy, bool(stops)))
    asked = slice(len(window))
    status = np.array(HOUR_STATUSES, dtype=object)[hours["status"][asked]]
    return Computed(market, window, content, {"candles": hours["present"][asked], "hour_status": status}, known.failure)


def _with_lull(ws: Workspace, market: Market, window: Window) -> Reading[Window]:
    """Extend a window by the stored hours after it until a trade: bars without one repeat its last close."""
    end = window.end_ms
    while True:
        after = Window(end, end + DAY_MS)
        hours = (yield from stored_rows("candle_hours", market, after, ["hour_start"]))["hour_start"]
        candles = yield from stored_candles(ws, market, *candle_span(market, after))
        traded = hour_of_close(market, candles.open_time_ms[~is_no_trade(candles)])
        first = int(traded[0]) + HOUR_MS if len(traded) else after.end_ms
        whole = int(np.argmax(np.append(hours != after.hours[: len(hours)], True)))  # hours stored without a break
        end = min(first, after.start_ms + whole * HOUR_MS)
        if end < after.end_ms or len(traded):
            return Window(window.start_ms, end)


def _stored_answer(ws: Workspace, market: Market, window: Window) -> Reading[Fetched]:
    """Return what is stored of a window as if a source had answered it."""
    hours = yield from stored_rows("candle_hours", market, window, ["hour_start", "status"])
    candles = yield from stored_candles(ws, market, *candle_span(market, window))
    return Fetched(candles, confirmed_spans(market, hours["hour_start"], hours["status"]))


def hourly_snapshots(ws: Workspace, market: Market, window: Window) -> Reading[Computed]:
    """Make one lean file per hour from the candles table; a correction makes a new revision beside the old file."""
    hours = yield from stored_rows("candle_hours", market, window)
    _require_hours(hours, window, market, "raw_candles")
    candles = yield from stored_candles(ws, market, *candle_span(market, window))
    spec = ws.universe.spec(market)
    content: list[HourSnapshot] = build_snapshots(
        candles,
        hours["status"],
        window,
        source=spec.source,
        config_hash=spec.config_hash,
        collected_at_ms=ws.clock(),
        absent_bars=ws.universe.origin(market).absent_bars,
    )
    return Computed(market, window, content, {"bars": hours["present"]})


def candle_regimes(ws: Workspace, market: Market, window: Window) -> Reading[Computed]:
    """Classify each candle that closed in the window, from the candles before it."""
    start, end = candle_span(market, window)
    lookback_ms = lookback_bars(ws.policy.candle_regime) * market.step_ms
    candles = yield from stored_candles(ws, market, start - lookback_ms, end)
    regimes = classify(candles, ws.policy.candle_regime)
    inside = regimes.open_time_ms >= start
    rows: Columns = {
        "open_time": regimes.open_time_ms[inside],
        "state": regimes.state[inside],
        "confidence": regimes.confidence[inside],
    }
    hour = (hour_of_close(market, rows["open_time"]) - window.start_ms) // HOUR_MS
    counts = np.bincount(hour, minlength=len(window))
    undefined = np.bincount(hour[rows["state"] == 0], minlength=len(window))
    return Computed(market, window, rows, {"candles": counts, "undefined": undefined})


def _bars_behind(market: Market, window: Window, lookback_bars: int) -> Reading[Candles]:
    """Read the window's bars and `lookback_bars` before it from the snapshot files."""
    start, end = candle_span(market, _earlier(window, market.observation_ms // HOUR_MS))
    return (yield from snapshot_candles(market, start - lookback_bars * market.step_ms, end))


def _require_snapshots(market: Market, window: Window, candles: Candles) -> Reading[None]:
    """Refuse to go on where an hour of the window has no snapshot; looks at files only where bars do not tell."""
    is_whole = len(candles.between(*candle_span(market, window))) == len(bars_closing_in(market, window))
    if is_whole and market.step_ms <= HOUR_MS:  # a bar or more came from each hour's own file
        return
    present = yield from snapshot_hours(market, window)
    _require_hours({"hour_start": present}, window, market, "hourly_snapshots")


def features(ws: Workspace, market: Market, window: Window) -> Reading[Computed]:
    """Compute the raw features and discovered ranges at each hour's close from the snapshots alone."""
    candles = yield from _bars_behind(market, window, feature_lookback_bars(ws.policy))
    yield from _require_snapshots(market, window, candles)
    rows = compute_features(candles, window.hours, ws.policy)
    return _hourly(market, window, rows, {"status": _labels(rows, FEATURES, "status")})


def scores(ws: Workspace, market: Market, window: Window) -> Reading[Computed]:
    """Rank the features in their trailing observations and the null table, and blend them into the five scores."""
    history = yield from stored_rows("features", market, _earlier(window, score_lookback_hours(market, ws.policy)))
    _require_hours(history, window, market, "features")
    rows = compute_scores(history, window.hours, market, ws.policy, ws.nulls)
    shown = {
        "status": _labels(rows, SCORES, "status"),
        "trend_score": rows["trend_score"],
        "range_quality_score": rows["range_quality_score"],
    }
    return _hourly(market, window, rows, shown)


def regime_verdicts(ws: Workspace, market: Market, window: Window) -> Reading[Computed]:
    """Decide the verdict of each hour, with its confidence and the weights of the alternatives."""
    span = _earlier(window, verdict_lookback_hours(market, ws.policy))
    feature_rows = yield from stored_rows("features", market, span)
    score_rows = yield from stored_rows("scores", market, span)
    _require_hours(score_rows, window, market, "scores")
    rows = decide_verdicts(feature_rows, score_rows, window.hours, market, ws.policy)
    shown = {"verdict": np.array(VERDICTS, dtype=object)[rows["verdict"]], "confidence": rows["confidence"]}
    return _hourly(market, window, rows, shown, [verdict_hash(scores_hash(ws.policy, ws.nulls), ws.policy)])


def grid_advice(ws: Workspace, market: Market, window: Window) -> Reading[Computed]:
    """Compare each hour's verdict and range with the grid that was configured then, and say what to do with it."""
    history = yield from grid_history(market.symbol)
    whole = _since(probation_from_ms(window.hours, history), window)
    verdict_rows = yield from stored_rows("regime_verdicts", market, whole)
    _require_hours(verdict_rows, window, market, "regime_verdicts")
    feature_rows = yield from stored_rows("features", market, window)
    candles = yield from _bars_behind(market, whole, advice_lookback_bars(ws.policy))
    gates = yield from gates_of(ws, market, window, history)
    score_rows = yield from stored_rows("scores", market, window, ["hour_start", *VARIANCES])
    _require_hours(score_rows, window, market, "scores")
    rows = grid_advice_rows(
        window.hours, verdict_rows, feature_rows, candles, history, ws.policy, gates, score_rows, ws.nulls.hold
    )
    shown = {name: _labels(rows, GRID_ADVICE, name) for name in ("action", "gate_state")}
    return _hourly(market, window, rows, shown, list(dict.fromkeys(rows["advice_hash"].tolist())))


def gates_of(ws: Workspace, market: Market, window: Window, grids: Sequence[GridConfig]) -> Reading[Columns]:
    """Replay the restart gates of every stop that is in force in the window, from the stop on."""
    stops = list((yield from grid_stops(market.symbol)))
    since = first_needed_ms(window.hours, stops, grids)
    if since is None:
        return without_stop(len(window))
    whole = _since(since, window)
    candles = yield from snapshot_candles(market, since, window.end_ms)
    feature_rows = yield from stored_rows("features", market, whole)
    score_rows = yield from stored_rows("scores", market, whole, ["hour_start", "as_of_bar", *OF_SCORES])
    verdict_rows = yield from stored_rows("regime_verdicts", market, whole, ["hour_start", "as_of_bar", "verdict"])
    history = GateHistory(candles=candles, features=feature_rows, scores=score_rows, verdicts=verdict_rows)
    return gate_rows(window.hours, history, stops, grids, ws.policy)


def _since(start_ms: int | None, window: Window) -> Window:
    """The window, begun earlier where that is needed."""
    return window if start_ms is None else Window(min(start_ms // HOUR_MS * HOUR_MS, window.start_ms), window.end_ms)


def dashboard_hours(ws: Workspace, market: Market, window: Window) -> Reading[Computed]:
    """Flatten verdict, scores, candle regime and the hour's prices into the row that dashboards read."""
    verdict_rows = yield from stored_rows("regime_verdicts", market, window)
    _require_hours(verdict_rows, window, market, "regime_verdicts")
    score_rows = yield from stored_rows("scores", market, window)
    feature_rows = yield from stored_rows("features", market, window, NEEDED["features"])
    hours = yield from stored_rows("candle_hours", market, window)
    candles = yield from _bars_behind(market, window, 0)
    regimes = yield from stored_rows("candle_regime", market, _earlier(window, market.observation_ms // HOUR_MS))
    rows = dashboard_rows(
        window,
        reasons=reasons_of(factors_of(ws, verdict_rows, score_rows, feature_rows)),
        verdicts=verdict_rows,
        scores=score_rows,
        hours=hours,
        candles=candles,
        regimes=regimes,
    )
    shown = {"verdict": np.array(VERDICTS, dtype=object)[rows["verdict"]], "close": rows["close"]}
    return _hourly(market, window, rows, shown)


def _labels(rows: Columns, layout: tuple[Any, ...], name: str) -> NDArray[Any]:
    categories = next(column.categories for column in layout if column.name == name)
    return np.array(categories, dtype=object)[rows[name]]


def _hourly(market: Market, window: Window, rows: Columns, shown: Columns, policies: Sequence[str] = ()) -> Computed:
    return Computed(market, window, _within(rows, window), shown, policies=policies)


def correction_reach(market: Market, policy: Policy, has_stops: bool = False) -> dict[str, int]:
    """How long after a changed bar's close the rows of each table may change, in milliseconds.

    Gates are replayed from their stop, however long ago that was.
    """
    feature_ms = feature_lookback_bars(policy) * market.step_ms + market.observation_ms
    score_ms = feature_ms + score_lookback_hours(market, policy) * HOUR_MS
    verdict_ms = score_ms + verdict_lookback_hours(market, policy) * HOUR_MS
    return {
        "hourly_snapshots": HOUR_MS,
        "candle_regime": lookback_bars(policy.candle_regime) * market.step_ms + HOUR_MS,
        "features": feature_ms,
        "scores": score_ms,
        "regime_verdicts": verdict_ms,
        "grid_advice": _A_DECADE_MS if has_stops else verdict_ms,
        "dashboard_hours": verdict_ms,
    }
