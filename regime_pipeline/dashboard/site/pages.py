"""What the pages show, gathered for the templates, and the templates rendered.

Every text that a template prints is escaped. See `parts` for the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from regime_pipeline.dashboard import formatting
from regime_pipeline.dashboard.components.sparklines import Sparkline
from regime_pipeline.dashboard.components.tables import Table, dwell_table, moves_table
from regime_pipeline.dashboard.components.templates import environment
from regime_pipeline.dashboard.data.grid_history import shown_events
from regime_pipeline.dashboard.data.latest_hour import LatestHour, by_need
from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.dashboard.data.payload import SCORE_COLUMNS, simplified
from regime_pipeline.dashboard.data.prices import drawn_prices
from regime_pipeline.dashboard.glossary import GLOSSARY
from regime_pipeline.domain.candle_regimes.states import REGIME_STATES, SIMPLIFIED
from regime_pipeline.domain.factors import deciding
from regime_pipeline.domain.grids.schema import ACTIONS, GATE_STATES
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.market import HOUR_MS, TIMEFRAME_MINUTES, Market
from regime_pipeline.domain.schema import HOUR_STATUSES, VERDICTS
from regime_pipeline.domain.spells import dwells, named_transitions

TABLE_HOURS: Final = 24
"""Newest hours in the table that needs no script."""
SCORE_NAMES: Final = {
    "trend_score": "Trend",
    "vol_change_score": "Vol change",
    "mean_rev_score": "Mean rev",
    "range_quality_score": "Range quality",
    "grid_capacity_score": "Capacity",
}
"""Scores in the order of the heat map, with the names that the pages print."""
Assets = Mapping[str, str]
"""Address of each shared file by name, relative to the pages."""


def index_page(
    newest: Sequence[LatestHour], strips: Mapping[str, Sparkline], empty: Sequence[Market], assets: Assets
) -> str:
    """Render the overview.

    Parameters
    ----------
    newest : sequence of LatestHour
        Every market with data, in any order.
    strips : mapping of str to Sparkline
        By market.
    empty : sequence of Market
        Markets that have no data yet.
    assets : mapping of str to str
        See `Assets`.
    """
    ordered = by_need(newest)
    return _render(
        "index.html", markets=ordered, strips=strips, empty=empty, assets=assets,
        attention=[one for one in ordered if one.attention], startable=[one for one in ordered if one.is_startable],
        timeframes=_timeframes(ordered), heat=_heat(ordered),
    )  # fmt: skip


def _timeframes(markets: Sequence[LatestHour]) -> list[str]:
    """The timeframes of the site, the shortest first."""
    return [one for one in TIMEFRAME_MINUTES if any(newest.market.timeframe == one for newest in markets)]


def _heat(markets: Sequence[LatestHour]) -> dict[str, dict[str, LatestHour]]:
    """The newest hour by symbol, in alphabetical order, and timeframe."""
    found: dict[str, dict[str, LatestHour]] = {one.market.symbol: {} for one in sorted(markets, key=_symbol)}
    for one in markets:
        found[one.market.symbol][one.market.timeframe] = one
    return found


def _symbol(newest: LatestHour) -> str:
    return newest.market.symbol


def market_page(rows: MarketRows, newest: LatestHour, siblings: Sequence[Market], assets: Assets) -> str:
    """Render the page of one market; `siblings` are those of its symbol that have a page."""
    market, verdict = rows.market, rows.on_calendar("verdict")
    return _render(
        "market.html",
        market=market,
        newest=newest,
        rows=rows,
        timeframes=siblings,
        assets=assets,
        decimals=newest.decimals,
        factors=rows.documents("factors")[-1],
        weights=formatting.whole_percents(rows.documents("weights")[-1]),
        facts=_facts(rows, newest),
        tables=_tables(verdict, simplified(rows.on_calendar("candle_state"))),
        hours=_table(rows),
        coarse=_coarse(rows),
        holes=_holes(rows),
        completeness=float(np.mean(rows.on_calendar("hour_status") == HOUR_STATUSES.index("complete"))),
        policies=len(set(rows.hours["policy_hash"])),
        events=shown_events(rows)[::-1],
        has_gates=rows.advice is not None,
        verdicts=VERDICTS,
        simplified=SIMPLIFIED,
    )


def _facts(rows: MarketRows, newest: LatestHour) -> list[tuple[str, str]]:
    """The newest hour in short, as `static/readout.js` tells every hour."""
    edges = (formatting.number(edge, newest.decimals) for edge in (newest.range_low, newest.range_high))
    state = REGIME_STATES[int(rows.hours["candle_state"][-1])]
    return [
        ("Close", formatting.number(float(rows.hours["close"][-1]), newest.decimals)),
        ("Range", "none agreed on" if np.isnan(newest.range_low) else formatting.TO.join(edges)),
        ("Confidence", formatting.number(newest.confidence)),
        ("Direction", newest.direction),
        ("Risk", formatting.name(newest.dominant_risk)),
        ("3D regime", state.full_regime.replace("_", " ").lower()),
        ("Candles", formatting.name(newest.hour_status)),
        *((name, formatting.number(float(rows.hours[column][-1]), 1)) for column, name in SCORE_NAMES.items()),
        *_grid_facts(rows),
    ]


def _grid_facts(rows: MarketRows) -> list[tuple[str, str]]:
    """Advice and gate of the newest hour, where that hour has them."""
    action, gate = (rows.advice_on_calendar(name)[-1] for name in ("action", "gate_state"))
    if np.isnan(action):
        return []
    state = GATE_STATES[int(gate)]
    said = "No stop" if state == "NONE" else formatting.name(state)
    return [("Advice", formatting.action(ACTIONS[int(action)])), ("Gate", said)]


def _table(rows: MarketRows) -> list[dict[str, Any]]:
    """The newest hours, newest first; an hour without a row says so."""
    factors = rows.documents("factors")
    names = ("verdict", "confidence", "hour_status", "close", "range_low", "range_high", *SCORE_COLUMNS)
    columns = {column: rows.on_calendar(column) for column in names}
    regime = simplified(rows.on_calendar("candle_state"))
    shown = []
    for hour in reversed(range(max(len(rows) - TABLE_HOURS, 0), len(rows))):
        row: dict[str, Any] = {"ms": rows.start_ms + hour * HOUR_MS, "verdict": None}
        if not np.isnan(columns["verdict"][hour]):
            row |= {column: float(values[hour]) for column, values in columns.items()}
            decided = deciding(factors[hour]) if factors[hour] else None
            row |= {
                "verdict": VERDICTS[int(row["verdict"])],
                "hour_status": HOUR_STATUSES[int(row["hour_status"])],
                "regime": SIMPLIFIED[int(regime[hour])],
                "reason": decided.sentence if decided else "",
            }
        shown.append(row)
    return shown


def _tables(verdict: Float64, regime: Float64) -> list[Table]:
    """What follows what, and how long it lasts."""
    verdicts, regimes = "Verdict of the next hour", "3D regime at the next hour's close"
    return [
        moves_table(f"{verdicts}, count and share of the row", named_transitions(verdict, VERDICTS)),
        moves_table(f"{regimes}, count and share of the row", named_transitions(regime, SIMPLIFIED)),
        dwell_table("How long verdicts last", dwells(verdict, VERDICTS)),
        dwell_table("How long 3D regimes last, from hour to hour", dwells(regime, SIMPLIFIED)),
    ]


def _coarse(rows: MarketRows) -> str:
    """Which closes the price chart leaves out, in formatting; empty where it shows every one."""
    parts = drawn_prices(rows)
    newest = next(part for part in parts if part.step_ms == parts[-1].step_ms)
    if newest is parts[0]:
        return ""
    return f"one close in {formatting.duration(parts[0].step_ms / HOUR_MS)} before {formatting.moment(newest.start_ms)}"


def _holes(rows: MarketRows) -> dict[str, int]:
    """Hours of the period by what they lack: no row at all, or candles that are not complete."""
    status = rows.on_calendar("hour_status")
    counts = {label: int(np.sum(status == code)) for code, label in enumerate(HOUR_STATUSES)}
    return {"no row": int(np.isnan(status).sum()), **counts}


def _render(template: str, **context: Any) -> str:
    return environment().get_template(template).render(words=GLOSSARY, **context)
