"""Candles of a payload: those of the market, exact or as near as is said, and longer ones made of what is there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from regime_pipeline.dashboard.data.candles import EXACT_BARS, OLDER_BARS, OWN_BARS, VOLUME_RATIO, candle_payload
from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.domain.market_data.market import HOUR_MS, MINUTE_MS, Market
from regime_pipeline_tests.dashboard.data.test_integer_codec import counts, unpack
from regime_pipeline_tests.dashboard.factories import make_rows

Bar = tuple[float, float, float, float, float]


def with_bodies(rows: MarketRows) -> MarketRows:
    """The same closes with bodies, wicks and volumes; every ninth bar traded nothing."""
    bars, rng = rows.bars, np.random.default_rng(5)
    opened = np.concatenate([bars.close[:1], bars.close[:-1]]) + rng.integers(-3, 4, len(bars))
    high = np.maximum(opened, bars.close) + rng.integers(0, 40, len(bars))
    low = np.minimum(opened, bars.close) - rng.integers(0, 40, len(bars))
    volume = np.where(np.arange(len(bars)) % 9 == 4, 0.0, rng.lognormal(3, 1, len(bars)))
    return replace(rows, bars=replace(bars, open=opened, high=high, low=low, volume=volume))


def bars_of(part: dict[str, Any]) -> dict[int, Bar]:
    """Open, high, low, close in ticks and volume by the time of the open: the inverse, written from its description."""
    found: dict[int, Bar] = {}
    gaps, ups, downs, volumes = (*(counts(part[name]) for name in ("gap", "up", "down")), unpack(part["volume"]))
    step, before, at = part["price_step_ticks"], None, 0
    for place, close in enumerate(unpack(part["close"])):
        if close is None:
            continue
        gap, up, down, power = gaps[at], ups[at], downs[at], volumes[place]
        assert gap is not None
        assert up is not None
        assert down is not None
        opened = (close if before is None else before) + (-(gap + 1) // 2 if gap % 2 else gap // 2)
        prices = (opened, max(opened, close) + up, min(opened, close) - down, close)
        volume = 0.0 if power is None else VOLUME_RATIO**power
        found[part["start_ms"] + place * part["step_ms"]] = (*(step * price for price in prices), volume)
        before, at = close, at + 1
    return found


def stored(rows: MarketRows, step_ms: int) -> dict[int, Bar]:
    """The market's bars, or longer ones made of those that are there."""
    groups: dict[int, list[Bar]] = {}
    bars = rows.bars
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    for open_ms, *bar in zip(bars.open_time_ms.tolist(), *(column.tolist() for column in columns), strict=True):
        groups.setdefault(open_ms // step_ms * step_ms, []).append(tuple(bar))
    return {
        open_ms: (
            found[0][0], max(bar[1] for bar in found), min(bar[2] for bar in found), found[-1][3],
            sum(bar[4] for bar in found),
        )
        for open_ms, found in groups.items()
    }  # fmt: skip


@pytest.mark.parametrize(
    ("timeframe", "hours", "steps"),
    [
        ("1m", 30 * 24, (5, 1)),
        ("1m", 120 * 24, (60, 1)),
        ("3m", 45 * 24, (15, 3)),
        ("15m", 240, (15,)),
        ("30m", 366 * 24, (60, 30)),
        ("1h", 366 * 24, (60,)),
        ("2h", 240, (120,)),
        ("4h", 240, (240,)),
    ],
)
def test_every_candle_comes_back(timeframe: str, hours: int, steps: tuple[int, ...]) -> None:
    rows = with_bodies(make_rows(hours, Market("ALFA-USDT", timeframe), absent=(30, 31), without_bars=(70,)))

    parts = candle_payload(rows)["parts"]

    assert tuple(dict.fromkeys(part["step_ms"] // MINUTE_MS for part in parts)) == steps
    known = {minutes * MINUTE_MS: stored(rows, minutes * MINUTE_MS) for minutes in steps}
    told: dict[int, Bar] = {}
    for part in parts:
        expected, found = known[part["step_ms"]], bars_of(part)
        assert not told.keys() & found.keys()
        told |= found
        for open_ms, bar in found.items():
            assert max(abs(one - other) for one, other in zip(bar[:4], expected[open_ms][:4], strict=True)) <= (
                part["price_step_ticks"] / 2
            )
            assert bar[4] == pytest.approx(expected[open_ms][4], rel=0.026)
    last = parts[-1]["step_ms"]
    assert max(told) + last == rows.bars.close_time_ms[-1]
    assert min(told) == rows.bars.open_time_ms[0]
    newest = [open_ms for part in parts if part["step_ms"] == last for open_ms in bars_of(part)]
    assert len(newest) >= min(OWN_BARS, len(rows.bars))
    assert len(told) <= OWN_BARS + 60 + OLDER_BARS


@pytest.mark.parametrize(
    ("timeframe", "hours", "is_exact"), [("1h", 720, True), ("15m", EXACT_BARS // 4, True), ("15m", 720, False)]
)
def test_few_bars_are_exact(timeframe: str, hours: int, is_exact: bool) -> None:
    rows = with_bodies(make_rows(hours, Market("ALFA-USDT", timeframe)))

    assert ({part["price_step_ticks"] for part in candle_payload(rows)["parts"]} == {1}) is is_exact


def test_a_longer_candle_is_made_of_the_bars_that_are_there_and_none_of_none() -> None:
    rows = with_bodies(make_rows(30 * 24, Market("ALFA-USDT", "1m"), without_bars=(70,)))
    is_kept = rows.bars.open_time_ms != rows.start_ms + 7 * MINUTE_MS
    rows = replace(rows, bars=rows.bars[is_kept])

    found = bars_of(candle_payload(rows)["parts"][0])

    assert found[rows.start_ms + 5 * MINUTE_MS][:4] == stored(rows, 5 * MINUTE_MS)[rows.start_ms + 5 * MINUTE_MS][:4]
    assert not any(rows.start_ms + 70 * HOUR_MS <= open_ms < rows.start_ms + 71 * HOUR_MS for open_ms in found)


def test_a_market_without_bars_has_no_candles() -> None:
    rows = make_rows(24)

    (part,) = candle_payload(replace(rows, bars=rows.bars[:0]))["parts"]

    assert bars_of(part) == {}
