"""Small pictures without scripts: a market's last days of price and verdicts as SVG shapes.

See the style sheet for colours, `static/market.js` for the large charts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.dashboard.formatting import name, percent
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.domain.spells import find_runs

STRIP_HOURS: Final = 168
PRICE_HEIGHT: Final = 28.0
_MARGIN: Final = 2.0
_COLUMNS: Final = 180


@dataclass(frozen=True, slots=True)
class Sparkline:
    """Hours of a market: SVG paths of the price, broken where there is none, and of each verdict, and both in words."""

    hours: int
    price_path: str
    verdict_paths: Mapping[str, str]
    text: str


def strip_of(rows: MarketRows) -> Sparkline:
    """Return the picture of a market's newest week, or of what there is of it."""
    close, verdict = (rows.on_calendar(column)[-STRIP_HOURS:] for column in ("close", "verdict"))
    return strip(close, verdict, f"Verdicts of the last {len(close)} hours")


def strip(close: Float64, verdict: Float64, title: str) -> Sparkline:
    """Return the picture of an hourly calendar of closes and codes of verdicts, shape (n,); NaN where there is none.

    Longer ones show the least and the greatest close of each of `_COLUMNS` stretches.
    """
    shares = [(np.mean(verdict == code), label) for code, label in enumerate(VERDICTS) if np.any(verdict == code)]
    described = ", ".join(f"{name(label)} {percent(float(share))}" for share, label in sorted(shares, reverse=True))
    return Sparkline(len(close), _path(close), _verdict_paths(verdict), f"{title}: {described or 'none'}")


def _verdict_paths(verdict: Float64) -> dict[str, str]:
    """A box for each run of a verdict, below the price."""
    runs, paths = find_runs(verdict), dict.fromkeys(VERDICTS, "")
    for code, first, count in zip(runs.code.tolist(), runs.first.tolist(), runs.count.tolist(), strict=True):
        paths[VERDICTS[code]] += f"M{first} {PRICE_HEIGHT + 2:g}h{count}v8h-{count}z"
    return {label: path for label, path in paths.items() if path}


def _shown(close: Float64) -> NDArray[np.int64]:
    """Places of the closes to draw: all of a short calendar; of a long one each stretch's ends, least and greatest."""
    known = np.flatnonzero(~np.isnan(close))
    if len(close) <= 2 * _COLUMNS:
        return known
    kept: set[int] = set()
    for part in np.split(known, np.searchsorted(known, np.linspace(0, len(close), _COLUMNS + 1)[1:-1])):
        if len(part):
            kept |= {int(part[0]), int(part[close[part].argmin()]), int(part[close[part].argmax()]), int(part[-1])}
    return np.array(sorted(kept), dtype=np.int64)


def _path(close: Float64) -> str:
    """Closes as an SVG path in hours and a height of `PRICE_HEIGHT`; a gap begins a new line."""
    known = _shown(close)
    if not len(known):
        return ""
    low, high = float(np.nanmin(close)), float(np.nanmax(close))
    room = PRICE_HEIGHT - 2 * _MARGIN
    y = PRICE_HEIGHT - _MARGIN - room * (close - low) / (high - low if high > low else 1.0)
    holes = np.cumsum(np.isnan(close))
    is_first = np.diff(holes[known], prepend=-1) > 0
    points = zip(known.tolist(), is_first.tolist(), strict=True)
    return "".join(f"{'M' if first else 'L'}{hour + 0.5:g} {y[hour]:.1f}" for hour, first in points)
