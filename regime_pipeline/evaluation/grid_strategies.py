"""Whole grids over a market: always on, stopped and gated, or filtered by the verdict, and what each earned.

Nothing here looks ahead of the bar it decides on. See `restart_rules` for restarts after labelled stops.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from regime_pipeline.domain.errors import RegimeError
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.defaults import defaults_for
from regime_pipeline.domain.grids.grid_run import simulate_grid
from regime_pipeline.domain.grids.quick_stops import GridHealth, quick_stops
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.domain.restart_gates.machine import GateState
from regime_pipeline.domain.restart_gates.replay import GateHistory, replay
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.evaluation.datasets import LabelledMarket
from regime_pipeline.policy import Policy

SEGMENT_BARS: Final = 500
"""An always-on grid is laid around the price again after so many bars: three weeks of hours."""
ARMS: Final = ("always on", "stopped and gated", "verdict-filtered")


@dataclass(frozen=True, slots=True)
class ArmResult:
    """What one arm did on one market.

    Parameters
    ----------
    active_share : float
        Share of the bars on which a grid stood, 0..1.
    runs : int
        Grids laid.
    closed_pct, kept_pct : float
        Gain over all runs in percent of the capital of one, after fees: inventory sold at the end of its run for the
        close less a taker fee, or kept and worth the last close of the market.
    worst_run_pct : float
        Gain of the worst run with its inventory sold; 0 without a run.
    """

    active_share: float
    runs: int
    closed_pct: float
    kept_pct: float
    worst_run_pct: float


def grid_around(candles: Candles, row: int, policy: Policy) -> GridConfig:
    """Return the default grid of the policy around the close of a bar, enabled, valid from its close on."""
    tick = Decimal(1) / candles.price_scale
    fields = defaults_for(candles.market.symbol, int(candles.close[row]) * tick, tick, policy)
    kept = {"version": 1, "reason": "benchmark", "who": "benchmark", "enabled": True}
    return GridConfig(**(fields | kept | {"valid_from": to_iso(int(candles.close_time_ms[row]))}))


def run_arm(arm: str, market: LabelledMarket, first: int, policy: Policy) -> ArmResult:
    """Return what an arm of `ARMS` does on a market from row `first` on; it decides at each close for the next bar."""
    spans = {"always on": _always, "stopped and gated": _gated, "verdict-filtered": _filtered}[arm]
    runs = [
        found
        for start, end in spans(market, first, policy)
        if (found := _run(market.candles, start, end, policy)) is not None
    ]
    closed = [sold for _, sold, _ in runs]
    bars = sum(count for count, _, _ in runs)
    return ArmResult(
        active_share=bars / (len(market.candles) - 1 - first),
        runs=len(runs),
        closed_pct=float(np.sum(closed)),
        kept_pct=float(np.sum([kept for _, _, kept in runs])),
        worst_run_pct=min(closed, default=0.0),
    )


Spans = list[tuple[int, int]]
"""Rows `[start, end)`: laid at the close of `start`, standing on the bars after it up to and including `end`."""


def _always(market: LabelledMarket, first: int, _policy: Policy) -> Spans:
    last = len(market.candles) - 1
    return [(start, min(start + SEGMENT_BARS, last)) for start in range(first, last, SEGMENT_BARS)]


def _filtered(market: LabelledMarket, first: int, _policy: Policy) -> Spans:
    """From each close whose verdict is RANGE_OK to the first whose is not."""
    last = len(market.candles) - 1
    is_ok = market.analysis.verdicts["verdict"] == VERDICTS.index("RANGE_OK")
    edges = np.flatnonzero(np.diff(np.concatenate(([False], is_ok[first:last], [False])).astype(np.int8))) + first
    return [(int(start), min(int(end), last)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _gated(market: LabelledMarket, first: int, policy: Policy) -> Spans:
    """Laid again like the always-on grid, ended by a quick stop, and laid again only when the gates permit it."""
    spans, start, last = [], first, len(market.candles) - 1
    history = GateHistory(market.candles, *market.analysis)
    while start < last:
        config, end = grid_around(market.candles, start, policy), min(start + SEGMENT_BARS, last)
        stop = next((row for row in range(start + 1, end) if _is_stopped(market, row, config, policy)), None)
        spans.append((start, end if stop is None else stop))
        if stop is None:
            start = end
            continue
        state, until = GateState(int(market.candles.close_time_ms[stop])), int(market.candles.close_time_ms[-1])
        steps = enumerate(replay(state, until, history, config, policy), stop + 1)
        start = next((row for row, taken in steps if taken.state.is_permitted), last)
    return spans


def _is_stopped(market: LabelledMarket, row: int, config: GridConfig, policy: Policy) -> bool:
    """Whether a quick stop is met that market data alone can tell."""
    rows = market.analysis
    health = GridHealth(
        closes=market.candles[max(row - 3, 0) : row + 1].prices("close").tolist(),
        atr=float(rows.features["atr"][row]),
        vol_change_score=float(rows.scores["vol_change_score"][row]),
        trend_score=float(rows.scores["trend_score"][row]),
        base_shares=(),
        drawdown_quote=0.0,
        data_age_bars=0.0,
    )
    return any(made.is_met for made in quick_stops(config, health, policy))


def _run(candles: Candles, start: int, end: int, policy: Policy) -> tuple[int, float, float] | None:
    """Bars, and gains in percent with the inventory sold and kept; None where the next open is outside the grid."""
    config = grid_around(candles, start, policy)
    try:
        run = simulate_grid(config, candles[start + 1 : end + 1])
    except RegimeError:
        return None
    capital, fee = float(config.allocation_quote), float(config.taker_fee_bps) / 1e4
    held = float(run.inventory[-1] * run.unit) * candles.price_scale
    close, last = (float(candles.prices("close")[row]) for row in (end, -1))
    worth = float(run.equity_quote[-1])
    sold, kept = worth - held * close * fee, worth + held * (last - close)
    return end - start, 100.0 * (sold / capital - 1.0), 100.0 * (kept / capital - 1.0)
