"""Tests of `python_api.plots`: the figure shows the closes, ranges and labels of the rows, and leaves gaps open."""

from __future__ import annotations

import io
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.dates import date2num

import regime_pipeline as rp
from regime_pipeline.domain.candle_regimes.states import COLORS
from regime_pipeline.python_api.plots import VERDICT_COLORS
from regime_pipeline_tests.python_api.factories import candles, frame_of

FRAME = frame_of(candles(700)).drop(index=range(600, 610)).reset_index(drop=True)


def test_the_figure_shows_what_the_rows_say() -> None:
    figure = rp.plot_regimes(FRAME, title="CANDLES-USDT 1h")
    price, verdict, regime = figure.axes
    rows, regimes = rp.verdicts(FRAME), rp.classify_candles(FRAME)

    assert price.get_title("left") == "CANDLES-USDT 1h"
    moments, closes = price.lines[0].get_data()
    is_close = ~np.isnan(closes)
    assert closes[is_close].tolist() == FRAME["close"].tolist()
    assert moments[is_close].tolist() == date2num(regimes["known_at"].to_numpy("M8[ms]")).tolist()
    assert (~is_close).sum() == 1
    for axes, found, colors in (
        (verdict, rows["verdict"], VERDICT_COLORS),
        (regime, regimes["simplified_regime"], COLORS),
    ):
        hours = {to_hex(bars.get_facecolor()[0]): hours_of(bars) for bars in axes.collections}
        assert hours == {colors[name]: count for name, count in found.value_counts().items() if count}
    assert plt.get_fignums() == []
    figure.savefig(io.BytesIO())


def hours_of(bars: object) -> int:
    """Hours that the bars of one label cover."""
    return round(sum(24 * np.ptp(path.vertices[:, 0]) for path in bars.get_paths()))  # type: ignore[attr-defined]


def test_a_short_frame_and_another_timeframe_are_drawn_too() -> None:
    figure = rp.plot_regimes(frame_of(candles(40, "4h")))

    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == ["insufficient data"]


def test_a_frame_that_is_not_candles_is_refused() -> None:
    with pytest.raises(rp.RegimeError, match="no column low"):
        rp.plot_regimes(FRAME.drop(columns="low"))
    with pytest.raises(rp.RegimeError, match="fewer than two candles"):
        rp.plot_regimes(pd.DataFrame(columns=FRAME.columns))


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(rp.RegimeError, match=r"pip install 'regime-pipeline\[plot\]'"):
        rp.plot_regimes(FRAME)
