"""Tools on the state of a market: the newest candle regime and verdict, and the verdict of an hour in sentences.

See `domain.verdicts` for how a verdict is decided.
"""

from __future__ import annotations

from typing import Any, Final

from regime_pipeline.domain.candle_regimes.classifier import lookback_bars
from regime_pipeline.domain.candle_regimes.label_windows import label_expected_ms, label_windows
from regime_pipeline.domain.candle_regimes.states import REGIME_STATES
from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.factors import deciding
from regime_pipeline.domain.known_at import bar_known_at
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso, to_ms
from regime_pipeline.domain.schema import STATUSES
from regime_pipeline.domain.verdicts.explanation import competing
from regime_pipeline.mcp.arguments import ExplainQuery, MarketQuery, moment_ms
from regime_pipeline.mcp.markets import stored_market
from regime_pipeline.mcp.responses import single
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.explanations import EXPLAINED, verdict_factors
from regime_pipeline.services.queries.candle_regimes import EVERY_BAR, RegimeSeries, regime_periods, regime_series
from regime_pipeline.services.queries.freshness import Freshness
from regime_pipeline.services.queries.json_records import records

_TABLE: Final = "regime_verdicts"
_SCORES: Final = ("trend_score", "mean_rev_score", "vol_change_score", "range_quality_score", "grid_capacity_score")
_VERDICT: Final = (
    *("verdict", "instant_verdict", "confidence", "completeness", "consensus", "direction", "dominant_risk"),
    "is_rule_override",
)
_RANGE: Final = ("range_low", "range_high", "range_confidence")
_LOOKBACKS: Final = (500, 20_000, EVERY_BAR)


def current_regime(ws: Workspace, query: MarketQuery) -> dict[str, Any]:
    """Answer `current_regime`."""
    market = stored_market(ws, query.symbol, query.timeframe)
    hour = ws.warehouse.latest(market, _TABLE)
    verdict = None if hour is None else verdict_at(ws, market, hour)
    if verdict is not None:
        verdict["factors"] = [factor["sentence"] for factor in verdict["factors"]]
    head = {"symbol": market.symbol, "timeframe": market.timeframe, "now": to_iso(ws.clock())}
    return single({**head, "candle_regime": _newest_candle(ws, market), "verdict": verdict})


def explain_verdict(ws: Workspace, query: ExplainQuery) -> dict[str, Any]:
    """Answer `explain_verdict`."""
    moment = moment_ms("time", query.time)
    market = stored_market(ws, query.symbol, query.timeframe)
    hour = moment // HOUR_MS * HOUR_MS
    verdict = verdict_at(ws, market, hour)
    if verdict is None:
        raise no_verdict(ws, market, hour)
    head = {"symbol": market.symbol, "timeframe": market.timeframe, "now": to_iso(ws.clock())}
    return single({**head, **verdict})


def verdict_at(ws: Workspace, market: Market, hour: int) -> dict[str, Any] | None:
    """Return the verdict of the hour that starts then, with its scores, range and factors; None without one."""
    window = Window.hour(hour)
    found = records(ws.warehouse.read_frame(_TABLE, market, window))
    if not found:
        return None
    row, stored = found[0], ws.warehouse.read_range(_TABLE, market, window, EXPLAINED)
    factors = verdict_factors(ws, market, window, stored)[0]
    scores = records(ws.warehouse.read_frame("scores", market, window, _SCORES))
    closed = to_ms(row["as_of_bar"]) + market.step_ms
    return {
        "hour_start": row["hour_start"],
        "hour_end": row["known_at"],
        "known_at": row["known_at"],
        "as_of_close": to_iso(closed),
        "data_age_seconds": (ws.clock() - closed) // 1000,
        **{name: row[name] for name in _VERDICT},
        "scores": scores[0] if scores else None,
        "range": {name.removeprefix("range_"): row[name] for name in _RANGE},
        "competing": competing(stored)[0],
        "reason": deciding(factors).sentence,
        "factors": [factor.document() for factor in factors],
        "policy_hash": row["policy_hash"],
        "stale": Freshness(ws, market).stale_reason(market, _TABLE, hour, row["policy_hash"]),
    }


def no_verdict(ws: Workspace, market: Market, hour: int) -> MissingDataError:
    """Return the error of an hour without a verdict, naming the hours that have one."""
    first, last = ws.warehouse.oldest(market, _TABLE), ws.warehouse.latest(market, _TABLE)
    if first is None or last is None:
        todo = "It has none at all: materialize its chain, e.g. with `regime backfill`."
    else:
        todo = f"Ask for a time from {to_iso(first)} to before {to_iso(last + HOUR_MS)}."
    return MissingDataError(f"{market} has no verdict for the hour of {to_iso(hour)}.", todo)


def _newest_candle(ws: Workspace, market: Market) -> dict[str, Any] | None:
    """The newest candle's regime, and since when its simplified regime holds; None without a candle."""
    found = _newest_candles(ws, market)
    if not len(found.regimes):
        return None
    opened = int(found.regimes.open_time_ms[-1])
    closed = bar_known_at(market, opened)
    state = REGIME_STATES[int(found.regimes.state[-1])]
    runs = regime_periods(found)
    return {
        "open_time": to_iso(opened),
        "known_at": to_iso(closed),
        "data_age_seconds": (ws.clock() - closed) // 1000,
        "simplified_regime": state.simplified_regime,
        "full_regime": state.full_regime,
        "trend_state": state.trend_state,
        "volatility_state": state.volatility_state,
        "momentum_state": state.momentum_state,
        "confidence": float(found.regimes.confidence[-1]),
        **_label_window(ws, market, opened),
        "since": to_iso(int(runs.start_ms[-1])),
        "candles_since": int(runs.candles[-1]),
        "source": found.source,
    }


def _label_window(ws: Workspace, market: Market, opened_ms: int) -> dict[str, Any]:
    """State of the newest candle's window; without a label, when the next one comes if nothing is missing."""
    policy, step = ws.policy.candle_regime, market.step_ms
    candles = ws.warehouse.read_candles(market, opened_ms - lookback_bars(policy) * step, opened_ms + step)
    windows, expected = label_windows(candles, policy), label_expected_ms(candles, policy)
    return {
        "status": STATUSES[windows.status[-1]],
        "absent_bars": int(windows.absent[-1]),
        "regime_expected_at": None if expected is None else to_iso(expected),
    }


def _newest_candles(ws: Workspace, market: Market) -> RegimeSeries:
    """As many of the newest candles as their last run of one regime needs; every one where it never changed."""
    for limit in _LOOKBACKS:
        found = regime_series(ws, market, limit=limit)
        if len(found.regimes) < limit or len(regime_periods(found).start_ms) > 1:
            break
    return found
