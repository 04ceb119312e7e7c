"""The stages of the chain, each one slice -> read -> compute -> write; the pipeline and the CLI call the same ones.

See `pipeline` for partition keys and Dagster, `domain` for the formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.candle_regimes.classifier import classify, lookback_bars
from regime_pipeline.domain.errors import MissingDataError, SourceError
from regime_pipeline.domain.features.hourly import compute_features, feature_lookback_bars, features_hash
from regime_pipeline.domain.grids.advice_hourly import advice_hash, advice_lookback_bars, grid_advice_rows
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.graduation import probation_from_ms
from regime_pipeline.domain.grids.schema import GRID_ADVICE, without_stop
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.completeness import confirmed_spans, hour_statuses
from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS, Market
from regime_pipeline.domain.market_data.snapshot import build_snapshots
from regime_pipeline.domain.market_data.sorted_times import difference
from regime_pipeline.domain.market_data.window import Window, bars_closing_in, hour_of_close
from regime_pipeline.domain.restart_gates.replay import GateHistory, first_needed_ms, gate_rows
from regime_pipeline.domain.schema import FEATURES, HOUR_STATUSES, SCORES, VARIANCES, VERDICTS
from regime_pipeline.domain.scoring.null_table import NullTable
from regime_pipeline.domain.scoring.scores import compute_scores, score_lookback_hours, scores_hash
from regime_pipeline.domain.verdicts.explanation import NEEDED
from regime_pipeline.domain.verdicts.hourly_summary import dashboard_rows
from regime_pipeline.domain.verdicts.verdict import decide_verdicts, verdict_hash, verdict_lookback_hours
from regime_pipeline.policy import Policy
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.explanations import factors_of, reasons_of
from regime_pipeline.sources.base import Fetched, joined

_A_DECADE_MS: Final = 10 * 366 * DAY_MS
Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class StageReport:
    """What a stage did to one market's window.

    Parameters
    ----------
    written, unchanged : int
        Hour partitions written, and left alone because their content was there already.
    per_hour : mapping of str to ndarray, each of shape (hours of the window,)
        Two to four scalars an hour, for the metadata of its partition.
    failure : str
        Why the source gave nothing, in words; its hours stand as missing and are asked for again. Empty otherwise.
    """

    written: int
    unchanged: int
    per_hour: Mapping[str, NDArray[Any]]
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage by name, with the table it writes and the hash of the policy that its rows depend on."""

    name: str
    table: str
    run: Callable[[Workspace, int, Market, Window], StageReport]
    config_hash: Callable[[Policy, NullTable], str]


def candle_span(market: Market, window: Window) -> tuple[int, int]:
    """Half-open span of the open times of the bars that close in the window."""
    bars = bars_closing_in(market, window)
    if not len(bars):
        return window.start_ms, window.start_ms
    return int(bars[0]), int(bars[-1]) + market.step_ms


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


def raw_candles(ws: Workspace, run_id: int, market: Market, window: Window) -> StageReport:
    """Fetch the candles that closed in the window, keep revisions, and record the completeness of every hour.

    Notes
    -----
    A source changes what is stored only where it confirms absence: a candle that it does not mention elsewhere
    stays, so a source that fails, or that no longer reaches so far back, loses nothing.
    """
    source = ws.source_of(market)
    ws.warehouse.series_id(market, venue=source.venue, price_scale=ws.universe.spec(market).price_scale)
    stored = stored_answer(ws, market, window)
    try:
        known = joined(source.fetch(market, *candle_span(market, window)), stored)
    except SourceError as error:
        known = Fetched(stored.candles, stored.covered, str(error))
    hours = hour_statuses(market, window, known.candles, known.covered)
    reach = correction_reach(market, ws.policy, bool(ws.warehouse.grids.stops(market.symbol)))
    report, _ = ws.warehouse.replace_candles(market, window, known.candles, hours, run_id, reach)
    return StageReport(
        report.written_partitions,
        report.unchanged_partitions,
        {"candles": hours["present"], "hour_status": np.array(HOUR_STATUSES, dtype=object)[hours["status"]]},
        known.failure,
    )


def stored_answer(ws: Workspace, market: Market, window: Window) -> Fetched:
    """Return what is stored of a window as if a source had answered it."""
    hours = ws.warehouse.read_range("candle_hours", market, window, ["hour_start", "status"])
    candles = ws.warehouse.read_candles(market, *candle_span(market, window))
    return Fetched(candles, confirmed_spans(market, hours["hour_start"], hours["status"]))


def hourly_snapshots(ws: Workspace, run_id: int, market: Market, window: Window) -> StageReport:
    """Write one lean file per hour from the candles table; a correction makes a new revision beside the old file."""
    hours = ws.warehouse.read_range("candle_hours", market, window)
    _require_hours(hours, window, market, "raw_candles")
    candles = ws.warehouse.read_candles(market, *candle_span(market, window))
    spec = ws.universe.spec(market)
    snapshots = build_snapshots(
        candles,
        hours["status"],
        window,
        source=spec.source,
        config_hash=spec.config_hash,
        collected_at_ms=ws.clock(),
    )
    report = ws.snapshots.write(snapshots)
    ws.warehouse.clear_stale("hourly_snapshots", market, window, run_id)
    return StageReport(report.written + report.revised, report.unchanged, {"bars": hours["present"]})


def candle_regimes(ws: Workspace, run_id: int, market: Market, window: Window) -> StageReport:
    """Classify each candle that closed in the window, from the candles before it."""
    start, end = candle_span(market, window)
    lookback_ms = lookback_bars(ws.policy.candle_regime) * market.step_ms
    regimes = classify(ws.warehouse.read_candles(market, start - lookback_ms, end), ws.policy.candle_regime)
    inside = regimes.open_time_ms >= start
    rows: Columns = {
        "open_time": regimes.open_time_ms[inside],
        "state": regimes.state[inside],
        "confidence": regimes.confidence[inside],
    }
    report = ws.warehouse.replace_range("candle_regime", market, window, rows, run_id)
    hour = (hour_of_close(market, rows["open_time"]) - window.start_ms) // HOUR_MS
    counts = np.bincount(hour, minlength=len(window))
    undefined = np.bincount(hour[rows["state"] == 0], minlength=len(window))
    return StageReport(
        report.written_partitions, report.unchanged_partitions, {"candles": counts, "undefined": undefined}
    )


def snapshot_candles(ws: Workspace, market: Market, window: Window, lookback_bars: int) -> Candles:
    """Read the window's bars and `lookback_bars` before it from the snapshot files."""
    start, end = candle_span(market, _earlier(window, market.observation_ms // HOUR_MS))
    return ws.snapshots.read_candles(market, start - lookback_bars * market.step_ms, end)


def _require_snapshots(ws: Workspace, market: Market, window: Window, candles: Candles) -> None:
    """Refuse to go on where an hour of the window has no snapshot; looks at files only where bars do not tell."""
    is_whole = len(candles.between(*candle_span(market, window))) == len(bars_closing_in(market, window))
    if is_whole and market.step_ms <= HOUR_MS:  # a bar or more came from each hour's own file
        return
    present = ws.snapshots.hours_present(market, window.start_ms, window.end_ms)
    _require_hours({"hour_start": present}, window, market, "hourly_snapshots")


def features(ws: Workspace, run_id: int, market: Market, window: Window) -> StageReport:
    """Compute the raw features and discovered ranges at each hour's close from the snapshots alone."""
    candles = snapshot_candles(ws, market, window, feature_lookback_bars(ws.policy))
    _require_snapshots(ws, market, window, candles)
    rows = compute_features(candles, window.hours, ws.policy)
    return _write_hours(ws, "features", run_id, market, window, rows, {"status": _labels(rows, FEATURES, "status")})


def scores(ws: Workspace, run_id: int, market: Market, window: Window) -> StageReport:
    """Rank the features in their trailing observations and the null table, and blend them into the five scores."""
    history = ws.warehouse.read_range("features", market, _earlier(window, score_lookback_hours(market, ws.policy)))
    _require_hours(history, window, market, "features")
    rows = compute_scores(history, window.hours, market, ws.policy, ws.nulls)
    shown = {
        "status": _labels(rows, SCORES, "status"),
        "trend_score": rows["trend_score"],
        "range_quality_score": rows["range_quality_score"],
    }
    return _write_hours(ws, "scores", run_id, market, window, rows, shown)


def regime_verdicts(ws: Workspace, run_id: int, market: Market, window: Window) -> StageReport:
    """Decide the verdict of each hour, with its confidence and the weights of the alternatives."""
    span = _earlier(window, verdict_lookback_hours(market, ws.policy))
    feature_rows = ws.warehouse.read_range("features", market, span)
    score_rows = ws.warehouse.read_range("scores", market, span)
    _require_hours(score_rows, window, market, "scores")
    rows = decide_verdicts(feature_rows, score_rows, window.hours, market, ws.policy)
    ws.record_policy(_verdicts_hash(ws.policy, ws.nulls))
    shown = {"verdict": np.array(VERDICTS, dtype=object)[rows["verdict"]], "confidence": rows["confidence"]}
    return _write_hours(ws, "regime_verdicts", run_id, market, window, rows, shown)


def grid_advice(ws: Workspace, run_id: int, market: Market, window: Window) -> StageReport:
    """Compare each hour's verdict and range with the grid that was configured then, and say what to do with it."""
    history = ws.warehouse.grids.history(market.symbol)
    whole = _since(probation_from_ms(window.hours, history), window)
    verdict_rows = ws.warehouse.read_range("regime_verdicts", market, whole)
    _require_hours(verdict_rows, window, market, "regime_verdicts")
    feature_rows = ws.warehouse.read_range("features", market, window)
    candles = snapshot_candles(ws, market, whole, advice_lookback_bars(ws.policy))
    gates = gates_of(ws, market, window, history)
    score_rows = ws.warehouse.read_range("scores", market, window, ["hour_start", *VARIANCES])
    _require_hours(score_rows, window, market, "scores")
    rows = grid_advice_rows(
        window.hours, verdict_rows, feature_rows, candles, history, ws.policy, gates, score_rows, ws.nulls.hold
    )
    for policy_hash in set(rows["advice_hash"].tolist()):
        ws.record_policy(policy_hash)
    shown = {name: _labels(rows, GRID_ADVICE, name) for name in ("action", "gate_state")}
    return _write_hours(ws, "grid_advice", run_id, market, window, rows, shown)


def gates_of(ws: Workspace, market: Market, window: Window, grids: Sequence[GridConfig]) -> Columns:
    """Replay the restart gates of every stop that is in force in the window, from the stop on."""
    stops = ws.warehouse.grids.stops(market.symbol)
    since = first_needed_ms(window.hours, stops, grids)
    if since is None:
        return without_stop(len(window))
    whole = _since(since, window)
    history = GateHistory(
        candles=ws.snapshots.read_candles(market, since, window.end_ms),
        features=ws.warehouse.read_range("features", market, whole),
        scores=ws.warehouse.read_range("scores", market, whole, ["hour_start", "as_of_bar", "mean_rev_score"]),
        verdicts=ws.warehouse.read_range("regime_verdicts", market, whole, ["hour_start", "as_of_bar", "verdict"]),
    )
    return gate_rows(window.hours, history, stops, grids, ws.policy)


def _since(start_ms: int | None, window: Window) -> Window:
    """The window, begun earlier where that is needed."""
    return window if start_ms is None else Window(min(start_ms // HOUR_MS * HOUR_MS, window.start_ms), window.end_ms)


def dashboard_hours(ws: Workspace, run_id: int, market: Market, window: Window) -> StageReport:
    """Flatten verdict, scores, candle regime and the hour's prices into the row that dashboards read."""
    verdict_rows = ws.warehouse.read_range("regime_verdicts", market, window)
    _require_hours(verdict_rows, window, market, "regime_verdicts")
    score_rows = ws.warehouse.read_range("scores", market, window)
    feature_rows = ws.warehouse.read_range("features", market, window, NEEDED["features"])
    rows = dashboard_rows(
        window,
        reasons=reasons_of(factors_of(ws, verdict_rows, score_rows, feature_rows)),
        verdicts=verdict_rows,
        scores=score_rows,
        hours=ws.warehouse.read_range("candle_hours", market, window),
        candles=snapshot_candles(ws, market, window, 0),
        regimes=ws.warehouse.read_range("candle_regime", market, _earlier(window, market.observation_ms // HOUR_MS)),
    )
    shown = {"verdict": np.array(VERDICTS, dtype=object)[rows["verdict"]], "close": rows["close"]}
    return _write_hours(ws, "dashboard_hours", run_id, market, window, rows, shown)


def _labels(rows: Columns, layout: tuple[Any, ...], name: str) -> NDArray[Any]:
    categories = next(column.categories for column in layout if column.name == name)
    return np.array(categories, dtype=object)[rows[name]]


def _write_hours(
    ws: Workspace, table: str, run_id: int, market: Market, window: Window, rows: Columns, shown: Columns
) -> StageReport:
    report = ws.warehouse.replace_range(table, market, window, _within(rows, window), run_id)
    return StageReport(report.written_partitions, report.unchanged_partitions, shown)


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


def _no_hash(_policy: Policy, _nulls: NullTable) -> str:
    return ""


def _verdicts_hash(policy: Policy, nulls: NullTable) -> str:
    return verdict_hash(scores_hash(policy, nulls), policy)


def _advice_hash(policy: Policy, nulls: NullTable) -> str:
    return advice_hash(_verdicts_hash(policy, nulls), policy)


STAGES = (
    Stage("raw_candles", "candles", raw_candles, _no_hash),
    Stage("hourly_snapshots", "", hourly_snapshots, _no_hash),
    Stage("candle_regimes", "candle_regime", candle_regimes, lambda policy, _: policy.candle_regime.hash),
    Stage("features", "features", features, lambda policy, _: features_hash(policy)),
    Stage("scores", "scores", scores, scores_hash),
    Stage("regime_verdicts", "regime_verdicts", regime_verdicts, _verdicts_hash),
    Stage("grid_advice", "grid_advice", grid_advice, _advice_hash),
    Stage("dashboard_hours", "dashboard_hours", dashboard_hours, _verdicts_hash),
)
"""The chain in order."""


def config_hashes(policy: Policy, nulls: NullTable) -> dict[str, str]:
    """Return the hash of the policy that each stage's rows depend on, by stage; empty where they depend on none."""
    return {stage.name: stage.config_hash(policy, nulls) for stage in STAGES}


def stale_hours(ws: Workspace) -> dict[str, dict[Market, int]]:
    """Return by stage and market how many stored hours another policy wrote; materialize these again.

    Notes
    -----
    Exact: an hour is stale if and only if the sections that its stage reads have other thresholds now. Of listed
    markets, hours outside of the partitions are left out, since nothing can materialize them.
    """
    hashes = config_hashes(ws.policy, ws.nulls)
    found = {stage.name: _stale_of(ws, stage.table, hashes[stage.name]) for stage in STAGES}
    return {name: found[name] for name, config_hash in hashes.items() if config_hash and found[name]}


def _stale_of(ws: Workspace, table: str, config_hash: str) -> dict[Market, int]:
    """Hours of a table that another policy wrote: of listed markets those with a partition, of others all."""
    listed = ws.universe.markets
    inside = ws.warehouse.stale_hours(table, config_hash, ws.universe.start_ms, ws.universe.end_ms)
    every = ws.warehouse.stale_hours(table, config_hash, 0, None)
    return inside | {market: hours for market, hours in every.items() if market not in listed}
