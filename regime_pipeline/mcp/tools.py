"""The tools as agents see them: name, what it answers in which units, when to use it, an example.

See the modules of the tools for how they answer, `server` for the protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.mcp import arguments as ask
from regime_pipeline.mcp.grid_tools import compare_grid
from regime_pipeline.mcp.history_tools import grid_events, verdict_history
from regime_pipeline.mcp.hold_tools import HoldToolQuery, hold_probability
from regime_pipeline.mcp.markets import list_markets
from regime_pipeline.mcp.regime_tools import confidence_stats, find_periods, regime_performance, transition_stats
from regime_pipeline.mcp.responses import encode
from regime_pipeline.mcp.verdict_tools import current_regime, explain_verdict
from regime_pipeline.services.chain.workspace import Workspace

_Asked = TypeVar("_Asked", bound=ask.Query)

INSTRUCTIONS: Final = (
    "Regimes of crypto markets, read-only. Two families: (1) candle regimes, one per candle: simplified_regime is "
    "TREND_UP, TREND_DOWN, RANGE, CHOPPY, NEUTRAL or UNDEFINED (warm-up), from trend x volatility x momentum; "
    "(2) hourly verdicts for grid bots: RANGE_OK, RANGE_WEAK, TREND, TRANSITION or INSUFFICIENT_DATA. "
    "Start with list_markets. Times are ISO-8601 in UTC and need an offset when you give them; confidence and shares "
    "are 0..1, scores 0..100, prices in the quote currency, returns in basis points or per cent as the field name "
    "says. Every answer is one JSON object with total, returned, truncated and next_cursor; while next_cursor is not "
    "null, ask again with it as cursor and everything else unchanged. hold_probability alone looks ahead. Nothing uses "
    "the future: a row depends on candles closed by its known_at; use it from then on. Verdicts describe markets; "
    "they are not advice to trade."
)
_SPAN: Final = " start and end choose candles by open time, end exclusive; without them everything stored is used."


@dataclass(frozen=True)
class RegimeTool(Generic[_Asked]):
    """One tool.

    Parameters
    ----------
    title : str
        For people.
    description : str
        For agents.
    arguments : type
        What may be asked.
    answer : callable
        Gives the answer, JSON values.
    """

    title: str
    description: str
    arguments: type[_Asked]
    answer: Callable[[Workspace, _Asked], dict[str, Any]]

    def call(self, ws: Workspace, name: str, given: Mapping[str, Any]) -> str:
        """Return the answer as JSON text; a `RegimeError` says what the caller can do."""
        return encode(self.answer(ws, ask.read_arguments(self.arguments, name, given)))


TOOLS: Final[dict[str, RegimeTool[Any]]] = {
    "list_markets": RegimeTool(
        "List the markets",
        "Every stored market and what it does now: first_candle, last_close, newest verdict, since when, confidence, "
        "hold_24h and hold_72h (probability that the discovered range holds), close against range and configured grid "
        "(edge_distance_*: negative outside), advice (action, is_actionable), the stop in force (stopped_at, by, "
        "stop_why, gate_state, permitted_until), data_age_seconds, verdict_expected_at where there is no verdict, and "
        "attention: OUTSIDE, RESTART, ACT, LATE or empty. Use it first, to learn names, and for 'where can I start a "
        'grid now\' (action ENABLE) or \'what needs me\'. Example: {"timeframe": "1h"}.',
        ask.MarketsQuery,
        list_markets,
    ),
    "current_regime": RegimeTool(
        "The regime now",
        "The newest state of one market: candle_regime (simplified_regime, its three dimensions, confidence 0..1, "
        "since when it holds; without a label, when the next one comes) and the newest hourly verdict (verdict, "
        "confidence, five scores 0..100, discovered range in quote currency, competing verdicts with weights, factors "
        "in sentences), each with data_age_seconds. A null "
        "block has nothing stored; a text in `stale` says why a verdict no longer holds. Use it for what a market is "
        'doing now and whether the data is fresh. Example: {"symbol": "ETH-USDT", "timeframe": "1h"}.',
        ask.MarketQuery,
        current_regime,
    ),
    "find_periods": RegimeTool(
        "Find periods of a regime",
        "Unbroken runs of one candle regime, oldest first: start (open of the first candle), end (close of the last), "
        "regime, candles, hours, mean_confidence 0..1. Use it for questions such as 'all TREND_UP periods in 2024'. A "
        "run is cut where the asked span begins or ends, and the newest may still go on."
        + _SPAN
        + ' Example: {"symbol": "BTC-USDT", "timeframe": "1h", "regime": "TREND_UP", "start": "2024-01-01T00:00:00Z", '
        '"end": "2025-01-01T00:00:00Z"}.',
        ask.PeriodsQuery,
        find_periods,
    ),
    "transition_stats": RegimeTool(
        "Find and count regime changes",
        "Changes from one candle regime to the next without a gap. `counts`: how often each pair occurred, and share "
        "0..1 of all changes out of `from`. `rows`: every change, oldest first, with its time (open of the first "
        "candle of the new regime), candles_before and candles_after (lengths of the two runs)."
        + _SPAN
        + ' Use it for \'when did CHOPPY become TREND_UP\'. Example: {"symbol": "BTC-USDT", "from_regime": "CHOPPY", '
        '"to_regime": "TREND_UP"}.',
        ask.TransitionsQuery,
        transition_stats,
    ),
    "confidence_stats": RegimeTool(
        "Distribution of confidence",
        "How sure the candle regimes were: `all` (every candle but UNDEFINED ones) and each regime with candles, mean, "
        "quartiles (25, 50, 75 %) and a histogram of ten equal bins from 0 to 1."
        + _SPAN
        + ' Use it to choose a threshold of confidence, or to compare regimes. Example: {"symbol": "ETH-USDT"}.',
        ask.ByRegimeQuery,
        confidence_stats,
    ),
    "regime_performance": RegimeTool(
        "Compare regimes by what followed",
        "Per candle regime: share of the candles 0..1, number and length of its periods in hours, mean_confidence; and "
        "`bar_after`, what the price did in the candle after each candle of the regime: bars, mean_return_bps and "
        "volatility_bps (log returns per candle, basis points), share_up 0..1, total_return_pct (compounded over those "
        "candles, per cent). Null where there are too few. No fees, no hindsight."
        + _SPAN
        + ' Use it for \'compare RANGE with TREND_UP\'. Example: {"symbol": "ETH-USDT", "timeframe": "1h"}.',
        ask.ByRegimeQuery,
        regime_performance,
    ),
    "explain_verdict": RegimeTool(
        "Explain an hour's verdict",
        "The stored hourly verdict of the hour that holds `time`, with confidence, scores, discovered range, competing "
        "verdicts, the deciding `reason`, and `factors`: each rule with inputs, threshold, margin (positive = met), "
        "outcome (decided, met, not met) and a sentence. Use it for 'why was this a TRANSITION'. Example: "
        '{"symbol": "ETH-USDT", "time": "2024-03-12T10:00:00Z", "timeframe": "1h"}.',
        ask.ExplainQuery,
        explain_verdict,
    ),
    "compare_grid": RegimeTool(
        "Compare the grid with the market",
        "A symbol's configured grid (amounts as exact decimal texts) beside the range discovered in the newest hour, "
        "or in the hour of `time` with the version valid then: overlap iou 0..1, edge offsets in ATR (discovered less "
        "configured), capacity 0..100, net gain per round trip in basis points; with that hour's stored advice "
        "(action, reasons) and restart gates, and `stop`: the stop in force, who, when, why and what its gates wait "
        "for. is_of_configured_version is false where the advice is of another one. Use it for 'does my grid fit' "
        'and \'why was it stopped\'. Example: {"symbol": "ETH-USDT", "timeframe": "1h"}.',
        ask.GridQuery,
        compare_grid,
    ),
    "grid_events": RegimeTool(
        "What happened to a grid",
        "Oldest first, in words with numbers: versions of the grid, stops, changes of advice, of restart gates and of "
        "the verdict, graduation; each with time, kind, text, and who and why where somebody did it. The last seven "
        "days without start. Use it for 'what happened to my grid in the last day' and 'why was it stopped'. Example: "
        '{"symbol": "ETH-USDT", "start": "2024-03-12T00:00:00Z"}.',
        ask.HistoryQuery,
        grid_events,
    ),
    "verdict_history": RegimeTool(
        "Which verdicts a market had",
        "Runs of one hourly verdict, oldest first: start (of its first hour), end (close of its last), verdict, hours, "
        "mean_confidence 0..1. The last seven days without start. Use it for 'when did it stop ranging'. Example: "
        '{"symbol": "ETH-USDT", "start": "2024-03-01T00:00:00Z", "end": "2024-04-01T00:00:00Z"}.',
        ask.HistoryQuery,
        verdict_history,
    ),
    "hold_probability": RegimeTool(
        "How long a band will hold",
        "The calibrated probability 0..1 that every close of the next `hours` (12 to 168) stays between lower and "
        "upper, from the market's newest close; and `band`, the lower and upper edge that hold with `probability`. "
        "Give both edges or neither. hold_probability is null without edges and 0 where the close is outside; hours "
        "count from known_at. The only answer about the future: verdicts describe the window that is past. Timeframes "
        "1m to 4h. Use it for 'will my grid between 2300 and 2500 survive the weekend'. Example: "
        '{"symbol": "ETH-USDT", "lower": 2300, "upper": 2500, "hours": 72}.',
        HoldToolQuery,
        hold_probability,
    ),
}


def call_tool(ws: Workspace, name: str, given: Mapping[str, Any]) -> str:
    """Return a tool's answer as JSON text.

    Raises
    ------
    RegimeError
        There is no such tool, or it refuses; says what to do.
    """
    if name not in TOOLS:
        raise UsageError(f"There is no tool '{name[:40]}'.", f"Use one of {', '.join(TOOLS)}.")
    return TOOLS[name].call(ws, name, given)
