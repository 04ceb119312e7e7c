"""One market's rows as a compact payload that JSON can hold and `static/market.js` draws.

The same rows always give the same payload. See `site` for markup and files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from regime_pipeline.dashboard.data.factor_codec import pack_factors
from regime_pipeline.dashboard.data.grid_history import grid_spans, marked_events
from regime_pipeline.dashboard.data.integer_codec import pack, printed
from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.dashboard.data.prices import DrawnPrices, drawn_prices
from regime_pipeline.dashboard.formatting import decimals_of, whole_percents
from regime_pipeline.domain.candle_regimes.states import REGIME_STATES, SIMPLIFIED, SIMPLIFIED_OF_STATE
from regime_pipeline.domain.factors import OUTCOMES
from regime_pipeline.domain.grids.schema import ACTIONS, GATE_STATES
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.schema import DIRECTIONS, HOUR_STATUSES, RISKS, VERDICTS

VERSION: Final = 2
SCORE_COLUMNS: Final = (
    "trend_score",
    "mean_rev_score",
    "vol_change_score",
    "range_quality_score",
    "grid_capacity_score",
)
_SHARE: Final = 2
_SCORE: Final = 1
"""Decimals that pages print of shares and of scores."""


def market_payload(rows: MarketRows) -> dict[str, Any]:
    """Return everything that the page of one market draws.

    Parameters
    ----------
    rows : MarketRows
        The market's period.

    Returns
    -------
    dict
        `start_ms` and `hours` (the calendar); `columns`, each with `data` (see `packing`), `scale` (value = number /
        scale) and `labels` where numbers are codes, or `of`, what it follows from; `bars` (see `prices`); `factors`;
        `grids`; `events`. Columns of advice and gates are there only where the market has advice.
    """
    bars = drawn_prices(rows)
    return {
        "version": VERSION,
        "market": rows.market.key,
        "price_scale": rows.bars.price_scale,
        "start_ms": rows.start_ms,
        "hours": len(rows),
        "bars": [part.document for part in bars],
        "columns": _columns(rows, bars),
        "outcomes": OUTCOMES,
        "factors": pack_factors(rows.documents("factors"), {name: rows.on_calendar(name) for name in SCORE_COLUMNS}),
        "grids": grid_spans(rows),
        "events": [{"ms": event.time_ms, "kind": event.kind, "text": event.text} for event in marked_events(rows)],
    }


def _columns(rows: MarketRows, bars: Sequence[DrawnPrices]) -> dict[str, dict[str, Any]]:
    state, decimals = rows.on_calendar("candle_state"), decimals_of(rows.bars.price_scale)
    columns = {
        "hour_status": coded(rows.on_calendar("hour_status"), HOUR_STATUSES),
        "close": _close(rows, bars, decimals),
        "verdict": coded(rows.on_calendar("verdict"), VERDICTS),
        "confidence": decimal(rows.on_calendar("confidence"), _SHARE),
        "direction": coded(rows.on_calendar("direction"), DIRECTIONS),
        "dominant_risk": coded(rows.on_calendar("dominant_risk"), RISKS),
        **{name: decimal(rows.on_calendar(name), _SCORE) for name in SCORE_COLUMNS},
        "range_low": decimal(rows.on_calendar("range_low"), decimals),
        "range_high": decimal(rows.on_calendar("range_high"), decimals),
        "candle_regime_full": coded(state, [found.full_regime for found in REGIME_STATES]),
        "candle_regime": {"of": "candle_regime_full", "codes": SIMPLIFIED_OF_STATE.tolist(), "labels": SIMPLIFIED},
        **_weights(rows),
    }
    return columns | (_advice(rows) if rows.advice is not None else {})


def simplified(state: Float64) -> Float64:
    """Return the code of the simplified regime of each 3D state; NaN stays."""
    known = ~np.isnan(state)
    codes = np.full(len(state), np.nan)
    codes[known] = SIMPLIFIED_OF_STATE[state[known].astype(np.int64)]
    return codes


def _close(rows: MarketRows, bars: Sequence[DrawnPrices], decimals: int) -> dict[str, Any]:
    """The hours' closes: what the drawn bars that close with the hour lack to them, nothing where they lack nothing."""
    close, scale = printed(rows.on_calendar("close"), decimals), 10**decimals
    ends = rows.start_ms + HOUR_MS * np.arange(1, len(rows) + 1)
    drawn = np.full(len(rows), np.nan)
    for part in bars:
        found = part.ticks_at(ends)
        drawn = np.where(np.isnan(found), drawn, found)
    if scale != rows.bars.price_scale or not np.array_equal(np.isnan(drawn), np.isnan(close)):
        return {"data": pack(close), "scale": scale}
    lacking = close - drawn
    return {"of": "bars", "scale": scale} | ({"data": pack(lacking)} if np.any(lacking[~np.isnan(lacking)]) else {})


def _weights(rows: MarketRows) -> dict[str, dict[str, Any]]:
    """Weights of the verdicts but the last in whole percent, missing without enough data."""
    shown = [whole_percents(weights) for weights in rows.documents("weights")]
    return {
        f"weight_{name.lower()}": {"data": pack(np.array([hour.get(name, np.nan) for hour in shown])), "scale": 100}
        for name in VERDICTS[1:-1]
    }


def _advice(rows: MarketRows) -> dict[str, dict[str, Any]]:
    return {
        "action": coded(rows.advice_on_calendar("action"), ACTIONS),
        "gate_state": coded(rows.advice_on_calendar("gate_state"), GATE_STATES),
        "gate_held": {"data": pack(rows.advice_on_calendar("gate_held")), "scale": 1},
    }


def coded(codes: Float64, labels: Sequence[str], inks: Sequence[str] = ()) -> dict[str, Any]:
    """Return a column of codes, NaN where there is none; `inks` are the states whose colour and shape labels take."""
    return {"data": pack(codes), "labels": list(labels)} | ({"inks": list(inks)} if inks else {})


def decimal(values: Float64, decimals: int) -> dict[str, Any]:
    """Return a column of numbers with so many decimals, as printing rounds them; NaN where there is none."""
    return {"data": pack(printed(values, decimals)), "scale": 10**decimals}
