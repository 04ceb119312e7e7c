"""A market's candles in a payload of their own, which a page loads once its reader asks for candles.

Open, high, low, close and volume: the newest bars as they are, earlier ones at a longer timeframe, so that a symbol's
month stays as small as the page's own payload. See `price_steps` for how prices are rounded, `static/candles.js` for
how longer candles are made of these as the reader zooms out.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np

from regime_pipeline.dashboard.data.integer_codec import pack, pack_counts
from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.dashboard.data.price_steps import price_steps, runs_of
from regime_pipeline.dashboard.data.prices import longer_steps_ms
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.market import HOUR_MS

OWN_BARS: Final = 2_880
"""So many newest bars, two days of minutes, are candles of their own."""
OLDER_BARS: Final = 10_000
"""So many earlier candles at most: they are of the shortest timeframe, up to the hour, that needs no more."""
EXACT_BARS: Final = 1_000
"""Up to so many bars every price is exact."""
VOLUME_RATIO: Final = 1.05
"""Volumes are powers of it, so they are right to 2.5 %."""


@dataclass(frozen=True, eq=False)
class BarColumns:
    """Bars on an unbroken calendar, columns of shape (n,): prices in ticks, base volume; NaN where one is missing."""

    open: Float64
    high: Float64
    low: Float64
    close: Float64
    volume: Float64

    @classmethod
    def of(cls, rows: MarketRows) -> BarColumns:
        """Return a market's bars from `rows.first_bar_ms` on."""
        return cls(*(rows.bars_on_calendar(column.name) for column in fields(cls)))

    def __getitem__(self, kept: slice) -> BarColumns:
        """Return the bars in places of the calendar."""
        return BarColumns(*(getattr(self, column.name)[kept] for column in fields(self)))

    def __len__(self) -> int:
        """Bars of the calendar, missing ones included."""
        return len(self.close)

    def in_groups(self, bars: int) -> BarColumns:
        """Return longer bars of so many each, made of those that are there; a rest at the end is left out."""
        open_, high, low, close, volume = (
            getattr(self, column.name)[: len(self) // bars * bars].reshape(-1, bars) for column in fields(self)
        )
        is_there, rows = ~np.isnan(close), np.arange(len(close))
        return BarColumns(
            open_[rows, is_there.argmax(axis=1)],
            np.fmax.reduce(high, axis=1),
            np.fmin.reduce(low, axis=1),
            close[rows, bars - 1 - is_there[:, ::-1].argmax(axis=1)],
            np.where(is_there.any(axis=1), np.nansum(volume, axis=1), np.nan),
        )


def candle_payload(rows: MarketRows) -> dict[str, Any]:
    """Return the candles of a market.

    Parameters
    ----------
    rows : MarketRows
        The market's period.

    Returns
    -------
    dict
        `price_scale`, `volume_ratio`, and `parts`, the oldest first, each with `start_ms`, `step_ms`,
        `price_step_ticks`, and columns in such steps: `close` (packed); of the bars that are there `gap` (from the
        close before to the open, folded as `pack` folds), `up` and `down` (from the body to high and low) as counts;
        `volume`, packed powers of `volume_ratio`, missing where nothing was traded.
    """
    return {
        "price_scale": rows.bars.price_scale,
        "volume_ratio": VOLUME_RATIO,
        "parts": [_document(*part) for part in _parts(rows)],
    }


def _older_step_ms(step_ms: int, bars: int) -> int:
    """How long the candles before the newest `OWN_BARS` are."""
    older_ms = max(bars - OWN_BARS, 0) * step_ms
    return next(
        (ms for ms in (step_ms, *longer_steps_ms(step_ms)) if older_ms <= OLDER_BARS * ms), max(step_ms, HOUR_MS)
    )


def _parts(rows: MarketRows) -> list[tuple[int, int, int, BarColumns]]:
    """Start, step, price step and bars of each part."""
    own, first, step_ms = BarColumns.of(rows), rows.first_bar_ms, rows.market.step_ms
    longer_ms = _older_step_ms(step_ms, len(own))
    if longer_ms == step_ms:
        return _in_steps(first, step_ms, own, 0)
    bars = longer_ms // step_ms
    cut = (len(own) - OWN_BARS) // bars
    older = own[: cut * bars].in_groups(bars)
    return [*_in_steps(first, longer_ms, older, 0), *_in_steps(first, step_ms, own, cut * bars)]


def _in_steps(start_ms: int, step_ms: int, bars: BarColumns, cut: int) -> list[tuple[int, int, int, BarColumns]]:
    """The bars from a place on, in parts of one price step each."""
    steps = price_steps(start_ms, step_ms, bars.close)
    if len(bars) <= EXACT_BARS:
        steps[:] = 1
    return [
        (start_ms + at * step_ms, step_ms, int(steps[at]), bars[at:end])
        for at, end in runs_of(steps, slice(cut, len(bars)))
    ]


def _document(start_ms: int, step_ms: int, price_step: int, bars: BarColumns) -> dict[str, Any]:
    is_there = ~np.isnan(bars.close)
    open_, high, low, close = (
        np.rint(getattr(bars, name)[is_there] / price_step).astype(np.int64)
        for name in ("open", "high", "low", "close")
    )
    gap = open_ - np.concatenate([close[:1], close[:-1]])
    traded = np.where(bars.volume > 0, bars.volume, np.nan)
    return {
        "start_ms": start_ms,
        "step_ms": step_ms,
        "price_step_ticks": price_step,
        "close": pack(np.rint(bars.close / price_step)),
        "gap": pack_counts(np.where(gap < 0, -2 * gap - 1, 2 * gap)),
        "up": pack_counts(high - np.maximum(open_, close)),
        "down": pack_counts(np.minimum(open_, close) - low),
        "volume": pack(np.rint(np.log(traded) / np.log(VOLUME_RATIO))),
    }
