"""Small pictures that need no script: the last days' price and verdicts of a market as shapes of an SVG.

Colours belong to the style sheet, larger charts to `static/market.js`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from regime_pipeline.dashboard.rows import MarketRows
from regime_pipeline.dashboard.runs import find_runs
from regime_pipeline.dashboard.words import name, percent
from regime_pipeline.domain.candles import Float64
from regime_pipeline.domain.layout import VERDICTS

STRIP_HOURS: Final = 168
PRICE_HEIGHT: Final = 28.0
_MARGIN: Final = 2.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A run of one verdict: where it begins and how long it is, hours."""

    verdict: str
    x: int
    width: int


@dataclass(frozen=True, slots=True)
class Strip:
    """The newest `hours` of a market: an SVG path of the price, broken where there is none, bars, and both in words."""

    hours: int
    price_path: str
    bars: tuple[Bar, ...]
    text: str


def strip_of(rows: MarketRows) -> Strip:
    """Return the picture of a market's newest week, or of what there is of it."""
    close, verdict = (rows.on_calendar(column)[-STRIP_HOURS:] for column in ("close", "verdict"))
    runs = find_runs(verdict)
    bars = zip(runs.code.tolist(), runs.first.tolist(), runs.count.tolist(), strict=True)
    shares = [(np.mean(verdict == code), label) for code, label in enumerate(VERDICTS) if np.any(verdict == code)]
    said = ", ".join(f"{name(label)} {percent(float(share))}" for share, label in sorted(shares, reverse=True))
    return Strip(
        hours=len(close),
        price_path=_path(close),
        bars=tuple(Bar(VERDICTS[code], x, width) for code, x, width in bars),
        text=f"Verdicts of the last {len(close)} hours: {said or 'none'}",
    )


def _path(close: Float64) -> str:
    """Closes as an SVG path in hours and a height of `PRICE_HEIGHT`; a gap begins a new line."""
    known = np.flatnonzero(~np.isnan(close))
    if not len(known):
        return ""
    low, high = float(np.nanmin(close)), float(np.nanmax(close))
    room = PRICE_HEIGHT - 2 * _MARGIN
    y = PRICE_HEIGHT - _MARGIN - room * (close - low) / (high - low if high > low else 1.0)
    is_first = np.diff(known, prepend=-2) > 1
    points = zip(known.tolist(), is_first.tolist(), strict=True)
    return "".join(f"{'M' if first else 'L'}{hour + 0.5:g} {y[hour]:.1f}" for hour, first in points)
