"""One market's rows as a compact payload that JSON can hold and `static/market.js` draws.

Markup and files do not belong here; the same rows always make the same payload.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from regime_pipeline.dashboard.events import grid_events, grid_spans
from regime_pipeline.dashboard.packing import pack, printed
from regime_pipeline.dashboard.rows import MarketRows
from regime_pipeline.dashboard.sentences import OUTCOMES, pack_factors
from regime_pipeline.dashboard.words import decimals_of
from regime_pipeline.domain.candles import Candles, Float64
from regime_pipeline.domain.gates.machine import GATE_STATES
from regime_pipeline.domain.grids.layout import ACTIONS
from regime_pipeline.domain.layout import DIRECTIONS, HOUR_STATUSES, RISKS, VERDICTS
from regime_pipeline.domain.regime_state import REGIME_STATES, SIMPLIFIED, SIMPLIFIED_OF_STATE

VERSION: Final = 1
SCORE_COLUMNS: Final = (
    "trend_score",
    "mean_rev_score",
    "vol_change_score",
    "range_quality_score",
    "grid_capacity_score",
)
EXACT_BARS: Final = 10_000
"""Up to so many bars prices are exact; beyond it they are drawn in steps that no eye can see."""
_STEPS_PER_MOVE: Final = 4
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
        scale) and `labels` where numbers are codes; `bars` (closes in ticks of `price_scale`); `factors`; `grids`;
        `events`. Columns of advice and gates are there only where the market has advice.
    """
    return {
        "version": VERSION,
        "market": rows.market.key,
        "price_scale": rows.bars.price_scale,
        "start_ms": rows.start_ms,
        "hours": len(rows),
        "bars": _bars(rows),
        "columns": _columns(rows),
        "outcomes": OUTCOMES,
        "factors": pack_factors(rows.documents("factors"), _printed_scores(rows)),
        "grids": grid_spans(rows),
        "events": [{"ms": event.time_ms, "kind": event.kind, "text": event.text} for event in grid_events(rows)],
    }


def price_step_ticks(bars: Candles) -> int:
    """Return in which steps a market's prices are drawn, in ticks.

    Notes
    -----
    1 up to `EXACT_BARS` bars; beyond, the largest 1, 2 or 5 times a power of ten that is at most a quarter of the
    median move from bar to bar, so that a month of minutes stays small.
    """
    if len(bars) <= EXACT_BARS:
        return 1
    finest = float(np.median(np.abs(np.diff(bars.close)))) / _STEPS_PER_MOVE
    power = 10 ** int(np.floor(np.log10(max(finest, 1.0))))
    return int(max(power * nice for nice in (1, 2, 5) if power * nice <= max(finest, 1.0)))


def _bars(rows: MarketRows) -> dict[str, Any]:
    """Closes of the bars on their own calendar."""
    bars, step_ms = rows.bars, rows.market.step_ms
    first, step = rows.start_ms // step_ms * step_ms, price_step_ticks(bars)
    inside = bars.open_time_ms >= first
    close = np.full(max((rows.through_ms - first) // step_ms, 0), np.nan)
    close[(bars.open_time_ms[inside] - first) // step_ms] = np.rint(bars.close[inside] / step)
    return {"start_ms": first, "step_ms": step_ms, "price_step_ticks": step, "close": pack(close)}


def _columns(rows: MarketRows) -> dict[str, dict[str, Any]]:
    state, decimals = rows.on_calendar("candle_state"), decimals_of(rows.bars.price_scale)
    columns = {
        "hour_status": _labels(rows.on_calendar("hour_status"), HOUR_STATUSES),
        "close": _decimal(rows.on_calendar("close"), decimals),
        "verdict": _labels(rows.on_calendar("verdict"), VERDICTS),
        "confidence": _decimal(rows.on_calendar("confidence"), _SHARE),
        "direction": _labels(rows.on_calendar("direction"), DIRECTIONS),
        "dominant_risk": _labels(rows.on_calendar("dominant_risk"), RISKS),
        **{name: _decimal(rows.on_calendar(name), _SCORE) for name in SCORE_COLUMNS},
        "range_low": _decimal(rows.on_calendar("range_low"), decimals),
        "range_high": _decimal(rows.on_calendar("range_high"), decimals),
        "range_confidence": _decimal(rows.on_calendar("range_confidence"), _SHARE),
        "candle_regime": _labels(simplified(state), SIMPLIFIED),
        "candle_regime_full": _labels(state, [found.full_regime for found in REGIME_STATES]),
        "candle_confidence": _decimal(rows.on_calendar("candle_confidence"), _SHARE),
        **_weights(rows),
    }
    return columns | (_advice(rows) if rows.advice is not None else {})


def simplified(state: Float64) -> Float64:
    """Return the code of the simplified regime of each 3D state; NaN stays."""
    known = ~np.isnan(state)
    codes = np.full(len(state), np.nan)
    codes[known] = SIMPLIFIED_OF_STATE[state[known].astype(np.int64)]
    return codes


def _weights(rows: MarketRows) -> dict[str, dict[str, Any]]:
    """Weights of the competing verdicts by verdict, in whole percent; missing for the verdict itself."""
    found = {name: np.full(len(rows), np.nan) for name in VERDICTS[1:]}
    for hour, competing in enumerate(rows.documents("competing")):
        for rival in competing:
            found[rival["verdict"]][hour] = rival["weight"]
    return {
        f"weight_{name.lower()}": {"data": pack(np.rint(column * 100)), "scale": 100} for name, column in found.items()
    }


def _advice(rows: MarketRows) -> dict[str, dict[str, Any]]:
    return {
        "action": _labels(rows.advice_on_calendar("action"), ACTIONS),
        "gate_state": _labels(rows.advice_on_calendar("gate_state"), GATE_STATES),
        "gate_held": {"data": pack(rows.advice_on_calendar("gate_held")), "scale": 1},
    }


def _labels(codes: Float64, labels: Sequence[str]) -> dict[str, Any]:
    return {"data": pack(codes), "labels": list(labels)}


def _decimal(values: Float64, decimals: int) -> dict[str, Any]:
    return {"data": pack(printed(values, decimals)), "scale": 10**decimals}


def _printed_scores(rows: MarketRows) -> dict[str, list[str]]:
    """Each hour's scores as the sentences print them."""
    return {name: [f"{value:.1f}" for value in rows.on_calendar(name).tolist()] for name in SCORE_COLUMNS}
