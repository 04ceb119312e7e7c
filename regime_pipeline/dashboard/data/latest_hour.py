"""The newest hour of a market in short, and the order in which markets need attention.

See `formatting` for wording, the templates for markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from regime_pipeline.dashboard.data.grid_now import GridNow, grid_now
from regime_pipeline.dashboard.data.last_day import LastDay, last_day
from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.dashboard.formatting import decimals_of
from regime_pipeline.domain.factors import deciding
from regime_pipeline.domain.grids.schema import ACTIONS, GATE_STATES
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.restart_gates.machine import GATES, StopEvent, stop_in_force
from regime_pipeline.domain.schema import DIRECTIONS, HOUR_STATUSES, RISKS, VERDICTS

STALE_HOURS: Final = 2
"""Data that ends so much earlier than another market's, or than now, is stale."""
ATTENTION: Final = ("OUTSIDE", "RESTART", "ACT", "LATE", "")
"""What a market asks for, most urgent first: the price has left the enabled grid; a restart is permitted; other advice
to act on; the data ends before that of other markets; nothing."""
_BEST_FIRST: Final = ("RANGE_OK", "RANGE_WEAK", "TRANSITION", "TREND", "INSUFFICIENT_DATA")


@dataclass(frozen=True, slots=True)
class AdviceSummary:
    """Advice on the configured grid: the action, whether it asks somebody to act, whether there is a grid, and why."""

    action: str
    is_actionable: bool
    has_grid: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Gates:
    """Restart gates of the stop in force at the newest hour.

    Parameters
    ----------
    state : str
        One of `GATE_STATES`, never NONE.
    passed, total : int
        Gates passed, of how many.
    bars, held : int
        Observations since the stop, and in a row that gate 3 has held.
    stop : StopEvent
        When, by whom and why.
    checks : sequence of dict
        Conditions looked at: gate, name, value, threshold, is_met, sentence.
    restart : dict or None
        The fresh grid that is permitted, and a sentence.
    """

    state: str
    passed: int
    bars: int
    held: int
    stop: StopEvent
    checks: Sequence[dict[str, Any]]
    restart: dict[str, Any] | None
    total: int = GATES

    @property
    def at_risk(self) -> int:
        """A passed gate that fails this hour, and is lost if it fails the next one too; 0 if all hold."""
        return next((int(check["gate"]) for check in self.checks if self._fails(check)), 0)

    def _fails(self, check: dict[str, Any]) -> bool:
        return check["gate"] <= self.passed and not check["is_met"]


@dataclass(frozen=True, slots=True)
class LatestHour:
    """The newest hour of one market.

    Parameters
    ----------
    through_ms : int
        Close of the hour, epoch milliseconds UTC.
    is_lagging : bool
        The data ends more than `STALE_HOURS` before that of another market of the site, although more is expected.
    end_note : str
        Why no newer hours are expected; empty where they are.
    verdict, direction, dominant_risk, hour_status, reason, policy_hash : str
        As stored.
    confidence : float
        0..1.
    close, range_low, range_high : float
        Quote currency; NaN where there is none. The close is the newest one there is.
    decimals : int
        Of prices.
    quality : float
        Range quality score, 0..100; NaN where there is none.
    advice, gates, grid : AdviceSummary, Gates, GridNow or None
        None where the site shows no advice, where no stop is in force, and where no grid is configured.
    day : LastDay
        Since when the verdict holds, and what the last day changed.
    """

    market: Market
    through_ms: int
    is_lagging: bool
    end_note: str
    verdict: str
    confidence: float
    direction: str
    dominant_risk: str
    hour_status: str
    close: float
    range_low: float
    range_high: float
    decimals: int
    reason: str
    policy_hash: str
    advice: AdviceSummary | None
    gates: Gates | None
    quality: float
    grid: GridNow | None
    day: LastDay

    @property
    def attention(self) -> str:
        """One of `ATTENTION`."""
        if self.grid is not None and self.grid.is_outside:
            return "OUTSIDE"
        if self.gates is not None and self.gates.state == "PERMITTED":
            return "RESTART"
        if self.advice is not None and self.advice.is_actionable and self.gates is None:
            return "ACT"
        return "LATE" if self.is_lagging else ""

    @property
    def is_startable(self) -> bool:
        """The market ranges well, nothing else needs attention, and neither a grid is enabled nor a stop in force."""
        is_free = self.gates is None and not (self.grid is not None and self.grid.enabled)
        return self.verdict == "RANGE_OK" and is_free and not self.attention


def latest_hour_of(rows: MarketRows, through_ms: int) -> LatestHour:
    """Return the newest hour of a market; `through_ms` is the newest close of any market of the site."""
    last = {name: column[-1] for name, column in rows.hours.items()}
    closes = rows.hours["close"][~np.isnan(rows.hours["close"])]
    close = float(closes[-1]) if len(closes) else float("nan")
    factors = rows.documents("factors")[-1]
    return LatestHour(
        market=rows.market,
        through_ms=rows.through_ms,
        is_lagging=not rows.end_note and is_lagging(rows.through_ms, through_ms),
        end_note=rows.end_note,
        verdict=VERDICTS[last["verdict"]],
        confidence=float(last["confidence"]),
        direction=DIRECTIONS[last["direction"]],
        dominant_risk=RISKS[last["dominant_risk"]],
        hour_status=HOUR_STATUSES[last["hour_status"]],
        close=close,
        range_low=float(last["range_low"]),
        range_high=float(last["range_high"]),
        decimals=decimals_of(rows.bars.price_scale),
        reason=deciding(factors).sentence if factors else str(last["reason"]),
        policy_hash=str(last["policy_hash"]),
        advice=_advice(rows),
        gates=_gates(rows),
        quality=float(last["range_quality_score"]),
        grid=grid_now(rows, close, _last_advice(rows)),
        day=last_day(rows),
    )


def is_lagging(end_ms: int, through_ms: int) -> bool:
    """Say whether data that goes through `end_ms` lies behind the newest of the site."""
    return through_ms - end_ms > STALE_HOURS * HOUR_MS


def by_need(markets: Sequence[LatestHour]) -> list[LatestHour]:
    """Order markets: what needs attention, then where a grid can be started, then the best verdicts and ranges."""

    def need(newest: LatestHour) -> tuple[int, bool, int, float]:
        quality = 0.0 if np.isnan(newest.quality) else newest.quality
        place = _BEST_FIRST.index(newest.verdict)
        return ATTENTION.index(newest.attention), not newest.is_startable, place, -quality

    return sorted(markets, key=need)


def _advice(rows: MarketRows) -> AdviceSummary | None:
    last = _last_advice(rows)
    if last is None:
        return None
    reason = deciding(last["reasons"]).sentence
    return AdviceSummary(ACTIONS[last["action"]], bool(last["is_actionable"]), bool(last["config_version"]), reason)


def _gates(rows: MarketRows) -> Gates | None:
    """The gates of the stop in force, from the stop on: before an hour has closed since then they wait at the first."""
    last, stop = _last_advice(rows), stop_in_force(rows.stops, rows.grids)
    if last is None or stop is None:
        return None
    if int(last["stopped_at"]) != stop.stopped_at_ms:
        return Gates("GATE_1", 0, 0, 0, stop, (), None)
    code, checks = int(last["gate_state"]), last["gate_checks"]
    passed, bars, held = min(code - 1, GATES), int(last["gate_bars"]), int(last["gate_held"])
    return Gates(GATE_STATES[code], passed, bars, held, stop, checks, last["restart_grid"])


def _last_advice(rows: MarketRows) -> dict[str, Any] | None:
    """The advice of the newest hour; None where that hour has none."""
    found = rows.advice
    if found is None or not len(found["hour_start"]) or int(found["hour_start"][-1]) + HOUR_MS != rows.through_ms:
        return None
    return {name: column[-1] for name, column in found.items()}
