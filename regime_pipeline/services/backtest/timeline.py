"""The chart over time: closes above, and below them a strip of verdicts and one of each kind of label.

Long spans are thinned to what a screen shows; nothing else is left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.candles import Float64
from regime_pipeline.domain.layout import VERDICTS
from regime_pipeline.domain.market import DAY_MS, HOUR_MS
from regime_pipeline.domain.window import Int64, Window, to_iso
from regime_pipeline.services.backtest import svg
from regime_pipeline.services.backtest.hours import MarketHours
from regime_pipeline.services.backtest.svg import Svg
from regime_pipeline.services.judgement.tracks import ABSTAIN, CLASSES

LETTERS: Final = {
    "RANGE_OK": "O", "RANGE_WEAK": "W", "TREND": "T", "TRANSITION": "X", "INSUFFICIENT_DATA": "?",
    "RANGE": "R", "VOLATILE": "V",
}  # fmt: skip
"""What stands in a strip, so that colour is never the only sign."""
_LEFT: Final = 86.0
_RIGHT: Final = svg.WIDTH - 4
_PRICE: Final = 190.0
_STRIP: Final = 24.0
_COLUMNS: Final = 800
_LEAST_LETTER: Final = 13.0
_TICK_DAYS: Final = (1, 2, 7, 14, 30, 61, 91, 182, 365)
_MOST_TICKS: Final = 11


class Span(NamedTuple):
    """A run of one value over joined hours, epoch milliseconds UTC."""

    start_ms: int
    end_ms: int
    code: int


def timeline(hours: MarketHours, window: Window) -> Svg:
    """Draw a market's closes and strips over the window."""
    strips: list[tuple[str, NDArray[Any], tuple[str, ...]]] = [("verdict", hours.verdict, VERDICTS)]
    if (hours.truth != ABSTAIN).any():
        strips.append(("truth", hours.truth, CLASSES))
    if (hours.hindsight != ABSTAIN).any():
        strips.append(("hindsight", hours.hindsight, CLASSES))
    bottom = _PRICE + _STRIP * len(strips) + 8
    parts = [*_days(window, bottom), *_prices(hours, window)]
    for at, (name, codes, names) in enumerate(strips):
        y = _PRICE + 8 + at * _STRIP
        parts.append(svg.label(0, y + 15, name))
        for span in runs(hours, codes):
            parts += _run(span, names[span.code], y, window)
    low, high = _range(hours.close)
    told = f"{hours.market}: closes from {low:g} to {high:g}, with strips of {', '.join(name for name, *_ in strips)}."
    return svg.drawing(bottom + 20, told, parts)


def runs(hours: MarketHours, codes: NDArray[Any]) -> list[Span]:
    """Return the maximal runs of one code over joined hours, ABSTAIN left out; each ends with its last hour."""
    if not len(codes):
        return []
    is_first = ~hours.is_joined
    is_first[1:] |= np.diff(codes) != 0
    first = np.flatnonzero(is_first)
    last = np.append(first[1:], len(codes)) - 1
    step = hours.market.observation_ms
    ends = hours.hour_start + HOUR_MS
    return [
        Span(int(ends[a]) - step, int(ends[b]), int(codes[a]))
        for a, b in zip(first.tolist(), last.tolist(), strict=True)
        if codes[a] != ABSTAIN
    ]


def _run(span: Span, name: str, y: float, window: Window) -> list[Svg]:
    x, end = _x(span.start_ms, window), _x(span.end_ms, window)
    length = (span.end_ms - span.start_ms) / HOUR_MS
    said = f"{name}, {to_iso(span.start_ms)} to {to_iso(span.end_ms)}, {length:g} h"
    parts = [svg.rectangle(x, y, end - x, _STRIP - 4, f"v {name}", said)]
    if end - x >= _LEAST_LETTER:
        parts.append(svg.label((x + end) / 2, y + 15, LETTERS[name], "on", "middle"))
    return parts


def _x(moment_ms: float, window: Window) -> float:
    """Place of a moment; what lies outside the window is drawn at its edge."""
    part = (moment_ms - window.start_ms) / (window.end_ms - window.start_ms)
    return _LEFT + min(max(part, 0.0), 1.0) * (_RIGHT - _LEFT)


def _range(close: Float64) -> tuple[float, float]:
    known = close[~np.isnan(close)]
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)


def _prices(hours: MarketHours, window: Window) -> list[Svg]:
    """The closes as lines broken at gaps, and two prices at the side."""
    low, high = _range(hours.close)
    if not high:
        return [svg.label(_LEFT, _PRICE / 2, "no closes")]
    scale = (_PRICE - 24) / ((high - low) or 1.0)
    parts = []
    for price in (high, (low + high) / 2, low):
        y = 12 + (high - price) * scale
        parts += [svg.line(_LEFT, y, _RIGHT, y, "grid"), svg.label(_LEFT - 8, y + 4, f"{price:,.6g}", "tick", "end")]
    ends = hours.hour_start + HOUR_MS
    for times, closes in pieces(ends, hours.close, hours.market.observation_ms):
        at = thinned(closes, _COLUMNS * len(closes) // max(len(window), 1) + 2)
        points = " ".join(
            f"{svg.number(_x(moment, window))},{svg.number(12 + (high - price) * scale)}"
            for moment, price in zip(times[at].tolist(), closes[at].tolist(), strict=True)
        )
        parts.append(svg.element("polyline", class_="price", points=points))
    return parts


def pieces(times: Int64, close: Float64, step_ms: int) -> list[tuple[Int64, Float64]]:
    """Return the stretches without a gap and without an absent close."""
    known = ~np.isnan(close)
    times, close = times[known], close[known]
    cuts = np.flatnonzero(np.diff(times) != step_ms) + 1
    return [(t, c) for t, c in zip(np.split(times, cuts), np.split(close, cuts), strict=True) if len(t)]


def thinned(values: Float64, columns: int) -> Int64:
    """Return the places of the least and the greatest value of each of so many columns, and of both ends, ascending.

    Every place if there are no more than two values to a column.
    """
    if len(values) <= 2 * columns:
        return np.arange(len(values))
    chosen = {0, len(values) - 1}
    edges = np.linspace(0, len(values), columns + 1).astype(np.int64).tolist()
    for first, end in itertools.pairwise(edges):
        part = values[first:end]
        chosen |= {first + int(part.argmin()), first + int(part.argmax())}
    return np.array(sorted(chosen), dtype=np.int64)


def _days(window: Window, bottom: float) -> list[Svg]:
    """Lines at midnights, as many as can be read, dated below."""
    parts = []
    for moment in day_ticks(window):
        x = _x(moment, window)
        date = datetime.fromtimestamp(moment / 1000, tz=UTC)
        parts += [svg.line(x, 4, x, bottom, "grid"), svg.label(x, bottom + 14, f"{date:%d %b}", "tick", "middle")]
    return parts


def day_ticks(window: Window) -> Sequence[int]:
    """Return up to `_MOST_TICKS` midnights of the window at equal distances, epoch milliseconds UTC."""
    first = -(-window.start_ms // DAY_MS)
    last = (window.end_ms - 1) // DAY_MS
    days = next((d for d in _TICK_DAYS if (last - first) // d < _MOST_TICKS), (last - first) // _MOST_TICKS + 1)
    return [day * DAY_MS for day in range(first, last + 1, days)]
