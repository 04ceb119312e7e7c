"""One picture of a user's candles: price with the discovered ranges, and ribbons of verdicts and 3D regimes.

See `dashboard` for pages on stored markets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from regime_pipeline.domain.candle_regimes.states import COLORS
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.python_api.candles import classify_candles
from regime_pipeline.python_api.inputs import PRICE_SCALE, read, timeframe_of, times_of
from regime_pipeline.python_api.verdicts import verdicts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VERDICT_COLORS: Final = {
    "RANGE_OK": "#15703a",
    "RANGE_WEAK": "#d69e2e",
    "TREND": "#bb2525",
    "TRANSITION": "#8d1fa3",
    "INSUFFICIENT_DATA": "#d1d5db",
}
_RANGE, _PRICE, _MUTED = "#2563eb", "#1f2937", "#545f6d"


def plot_regimes(
    candles: Any, timeframe: str | None = None, *, title: str = "", price_scale: int = PRICE_SCALE
) -> Figure:
    """Return a figure of closes with discovered ranges, verdicts and 3D regimes; needs the extra `plot`.

    Parameters
    ----------
    candles : DataFrame, table, rows or mapping
        As `read` takes them; ascending, closed candles only.
    timeframe : str, optional
        One of `1m 3m 5m 15m 30m 1h 2h 4h 1d`; None takes the commonest distance of two candles.
    title : str
        Above the figure, for example the market.
    price_scale : int
        Ticks per unit of quote currency.

    Returns
    -------
    matplotlib.figure.Figure
        A notebook shows it; `savefig` writes it. A range and a verdict are drawn where they are known: a range from its
        `known_at` on, ribbons over the bars that they describe.

    Raises
    ------
    BadCandlesError, UsageError
        As `verdicts`; or matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot as plt
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    except ImportError as error:
        raise UsageError("Plots need matplotlib.", "pip install 'regime-pipeline[plot]'") from error
    frame = read(candles, timeframe)
    timeframe = timeframe or timeframe_of(times_of(frame))
    rows = verdicts(frame, timeframe, price_scale=price_scale)
    regimes = classify_candles(frame, timeframe, price_scale=price_scale)
    figure, axes = plt.subplots(3, 1, sharex=True, figsize=(11, 5.5), height_ratios=(10, 1, 1), layout="constrained")
    plt.close(figure)  # a notebook shows the value of the cell, and not the figure a second time
    _draw_price(axes[0], regimes.assign(close=frame["close"]), rows)
    _draw_ribbon(axes[1], rows, "verdict", VERDICT_COLORS)
    _draw_ribbon(axes[2], regimes, "simplified_regime", COLORS)
    axes[0].set_title(title, loc="left", fontweight="bold")
    axes[2].xaxis.set_major_locator(locator := AutoDateLocator(tz="UTC"))
    axes[2].xaxis.set_major_formatter(ConciseDateFormatter(locator, tz="UTC"))
    axes[2].tick_params(bottom=True, labelbottom=True)
    axes[2].set_xlabel("UTC", loc="left", color=_MUTED, fontsize=8)
    axes[2].margins(x=0)
    return figure


def _draw_price(ax: Axes, bars: pd.DataFrame, rows: pd.DataFrame) -> None:
    """Closes, and the newest range known at each moment; broken where bars are absent."""
    at, close = _broken(bars, ["close"])
    ax.plot(at, close, color=_PRICE, linewidth=0.9, label="close")
    at, low, high = _broken(rows, ["range_low", "range_high"])
    ax.fill_between(at, low, high, step="post", color=_RANGE, alpha=0.16, lw=0, label="range")
    ax.legend(loc="upper left", frameon=False, ncols=2, fontsize=8)
    ax.grid(axis="y", color="#dde1e7", linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)


def _broken(rows: pd.DataFrame, names: list[str]) -> list[Float64]:
    """When each row is known, and its values, with NaN at the end of a row that has none right after it."""
    start, end = _dates(rows["open_time"]), _dates(rows["known_at"])
    gaps = np.flatnonzero(start[1:] > end[:-1]) + 1
    return [np.insert(end, gaps, end[gaps - 1])] + [
        np.insert(rows[name].to_numpy(float), gaps, np.nan) for name in names
    ]


def _draw_ribbon(ax: Axes, rows: pd.DataFrame, name: str, colors: dict[str, str]) -> None:
    """One bar a run of the same label; a gap in the rows stays a gap."""
    start, end, label = _dates(rows["open_time"]), _dates(rows["known_at"]), rows[name].astype(str).to_numpy()
    is_first = np.ones(len(rows), dtype=np.bool_)
    is_first[1:] = (label[1:] != label[:-1]) | (start[1:] > end[:-1])
    first = np.flatnonzero(is_first)
    last = np.append(first[1:], len(rows))[: len(first)] - 1
    for text, color in colors.items():
        spans = [(start[a], end[b] - start[a]) for a, b in zip(first, last, strict=True) if label[a] == text]
        if spans:
            ax.broken_barh(spans, (0, 1), color=color, linewidth=0, label=text.replace("_", " ").lower())
    ax.set(yticks=[], ylim=(0, 1))
    ax.set_ylabel(name.partition("_")[2] or name, rotation=0, ha="right", va="center", color=_MUTED, fontsize=8)
    ax.spines[:].set_visible(False)
    ax.tick_params(bottom=False)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=6, frameon=False, fontsize=7, borderaxespad=0.1)


def _dates(times: pd.Series) -> Float64:
    """Times as matplotlib counts them, days since 1970 UTC."""
    from matplotlib.dates import date2num

    return np.asarray(date2num(times.dt.tz_convert("UTC").to_numpy("M8[ms]")), dtype=np.float64)
