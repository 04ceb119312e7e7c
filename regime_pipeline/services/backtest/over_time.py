"""A market's rows over time as what the dashboard's own scripts draw: a payload, and a small picture without scripts.

Charts of figures stand in `charts`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.dashboard.payload import VERSION, coded, decimal
from regime_pipeline.dashboard.prices import DrawnPrices
from regime_pipeline.dashboard.strips import Strip, strip
from regime_pipeline.dashboard.words import decimals_of
from regime_pipeline.domain.candles import Float64
from regime_pipeline.domain.layout import DIRECTIONS, VERDICTS
from regime_pipeline.domain.market import HOUR_MS
from regime_pipeline.domain.window import Window
from regime_pipeline.services.backtest.hours import MarketHours
from regime_pipeline.services.judgement.tracks import ABSTAIN, CLASSES

LABELS: Final = ("truth", "hindsight")
"""Kinds of labels, each a ribbon below that of the verdicts where there are any."""
INKS: Final = ("RANGE_OK", "TREND", "TRANSITION")
"""By code into `CLASSES`, the verdict that says the same: its colour and shape are the label's."""


def chart_payload(hours: MarketHours, window: Window) -> dict[str, Any]:
    """Return a market's rows as `static/codec.js` of the dashboard reads them (see `dashboard.payload`).

    Parameters
    ----------
    hours : MarketHours
        The rows; a row above the hour stands for every hour of its bar.
    window : Window
        The span, which is the calendar; nothing is drawn beyond it.
    """
    columns = {
        "close": decimal(on_calendar(hours, hours.close, window), decimals_of(hours.price_scale)),
        "verdict": coded(on_calendar(hours, hours.verdict, window), VERDICTS),
        "confidence": decimal(on_calendar(hours, hours.confidence, window), 2),
        "direction": coded(on_calendar(hours, hours.direction, window), DIRECTIONS),
    }
    if hours.market.observation_ms == HOUR_MS:
        columns["close"] = {"of": "bars", "scale": columns["close"]["scale"]}
    for name in labels_of(hours):
        codes = getattr(hours, name)
        known = np.where(codes == ABSTAIN, np.nan, codes)
        columns[name] = coded(on_calendar(hours, known, window), CLASSES, INKS)
    return {
        "version": VERSION,
        "market": hours.market.key,
        "price_scale": hours.price_scale,
        "start_ms": window.start_ms,
        "hours": len(window),
        "bars": [_bars(hours, window)],
        "columns": columns,
        "outcomes": [],
        "factors": [],
        "grids": [],
        "events": [],
    }


def labels_of(hours: MarketHours) -> list[str]:
    """Return the kinds of labels that the market has."""
    return [name for name in LABELS if np.any(getattr(hours, name) != ABSTAIN)]


def picture(hours: MarketHours, window: Window) -> Strip:
    """Return the span as a small picture that needs no script."""
    close, verdict = (on_calendar(hours, column, window) for column in (hours.close, hours.verdict))
    return strip(close, verdict, f"Verdicts of {len(window)} hours")


def on_calendar(hours: MarketHours, values: NDArray[Any], window: Window) -> Float64:
    """Return a column for every hour of the window, shape (n,); NaN where no row is."""
    column = np.full(len(window), np.nan)
    end = (hours.hour_start - window.start_ms) // HOUR_MS
    for back in range(hours.market.observation_ms // HOUR_MS):
        inside = (end - back >= 0) & (end - back < len(window))
        column[end[inside] - back] = values[inside]
    return column


def _bars(hours: MarketHours, window: Window) -> dict[str, Any]:
    """The closes on the calendar of observations."""
    step_ms = hours.market.observation_ms
    first = window.start_ms // step_ms * step_ms
    close = np.full((window.end_ms - first) // step_ms, np.nan)
    close[(hours.hour_start + HOUR_MS - first) // step_ms - 1] = hours.close * hours.price_scale
    return DrawnPrices.of(first, step_ms, close).document
