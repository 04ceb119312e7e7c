"""What a probationary grid did since its start, hour by hour, against an account kept bar by bar."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.graduation import (
    _range_ok_bars,
    graduation_rows,
    has_graduated,
    is_probationary,
    probation_from_ms,
)
from regime_pipeline.domain.grids.grid_run import simulate_grid
from regime_pipeline.domain.grids.named_conditions import condition_of
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline_tests.domain.grids.factories import POLICY, START_MS, bars, grid

RULES = POLICY.grids.graduation
OK, WEAK = VERDICTS.index("RANGE_OK"), VERDICTS.index("RANGE_WEAK")
COARSE = {"tick": "1", "lower": "90", "upper": "110", "levels": 5, "limit_lower": None, "limit_upper": None}
BEFORE = grid(**COARSE, valid_from=to_iso(START_MS - 10 * HOUR_MS), enabled=False)


def probationary(start_ms: int, **update: Any) -> GridConfig:
    origin = {"origin": "RESTART", "enabled": True, "version": 2, "supersedes": 1, "valid_from": to_iso(start_ms)}
    return grid(**(COARSE | origin | update))


@st.composite
def days(draw: st.DrawFn) -> tuple[Candles, list[int]]:
    """Bars between 80 and 120, and a verdict for each hour."""
    rows, verdicts = [], []
    for number in range(draw(st.integers(3, 40))):
        start = draw(st.integers(92, 108) if not number else st.integers(85, 115))
        close = draw(st.integers(85, 115))
        rows.append(
            [start, max(start, close) + draw(st.integers(0, 3)), min(start, close) - draw(st.integers(0, 3)), close]
        )
        verdicts.append(draw(st.sampled_from([OK, OK, OK, WEAK])))
    return bars(rows, scale=1), verdicts


def verdict_rows(verdicts: list[int]) -> dict[str, Any]:
    hours = START_MS + HOUR_MS * np.arange(len(verdicts), dtype=np.int64)
    return {"hour_start": hours, "as_of_bar": hours, "verdict": np.array(verdicts, dtype=np.int8)}


def account(
    config: GridConfig, candles: Candles, verdicts: list[int], close_ms: int, recent_bars: int
) -> dict[str, float]:
    """What the grid has done by a moment, and how the market was of late, counted from scratch."""
    start = config.valid_from_ms
    seen = [k for k in range(len(candles)) if start < START_MS + (k + 1) * HOUR_MS <= close_ms]
    whole = [k for k in seen if START_MS + k * HOUR_MS >= start]
    newest = [k for k in whole if START_MS + (k + 1) * HOUR_MS > close_ms - recent_bars * HOUR_MS]
    beyond = [max(90 - int(candles.close[k]), int(candles.close[k]) - 110, 0) / 4 for k in newest]
    trips, net = 0.0, 0.0
    if whole:
        try:
            run = simulate_grid(config, candles[whole[0] : whole[-1] + 1])
            trips, net = float(run.round_trips[-1]), float(run.net_quote[-1])
        except UsageError:
            trips = net = float("nan")
    count = close_ms // HOUR_MS - start // HOUR_MS
    recent = seen[-recent_bars:]
    share = sum(verdicts[k] == OK for k in recent) / len(recent) if recent else 0.0
    values = (count, share, trips, max(beyond, default=0.0), net)
    return dict(zip(("BARS", "RANGE_OK_SHARE", "ROUND_TRIPS", "EXCURSION", "NET"), values, strict=True))


@given(days(), st.integers(0, 20), st.integers(0, HOUR_MS - 1), st.integers(1, 24))
@settings(max_examples=80, deadline=None)
def test_property_39_2_every_hour_is_judged_by_what_was_done_up_to_its_close(
    drawn: tuple[Candles, list[int]], begun: int, offset: int, recent_bars: int
) -> None:
    candles, verdicts = drawn
    config = probationary(START_MS + begun * HOUR_MS + offset)
    hours = START_MS + HOUR_MS * np.arange(len(candles), dtype=np.int64)

    rules = RULES.model_copy(update={"recent_bars": recent_bars})
    rows = graduation_rows(hours, [BEFORE, config], candles, verdict_rows(verdicts), rules)

    for place, hour in enumerate(hours.tolist()):
        stored = json.loads(rows[place])
        if hour + HOUR_MS < config.valid_from_ms:
            assert stored == []
            continue
        found = {made["name"]: condition_of(made).value for made in stored}
        expected = account(config, candles, verdicts, hour + HOUR_MS, recent_bars)
        assert found == pytest.approx(expected, nan_ok=True)
        known = {name: column[: place + 1] for name, column in verdict_rows(verdicts).items()}
        alone = graduation_rows(hours[place : place + 1], [BEFORE, config], candles[: place + 1], known, rules)
        assert alone[0] == rows[place]


def test_only_a_running_probationary_grid_is_judged_and_needs_its_past() -> None:
    hours = START_MS + HOUR_MS * np.arange(6, dtype=np.int64)
    config = probationary(START_MS + 2 * HOUR_MS)
    ended = probationary(START_MS + 4 * HOUR_MS, version=3, supersedes=2, enabled=False)
    own = probationary(START_MS + 4 * HOUR_MS, version=3, supersedes=2, origin="SET")
    candles = bars([[100, 101, 99, 100]] * 6, scale=1)

    for after in (ended, own):
        assert not is_probationary(after)
        rows = graduation_rows(hours, [BEFORE, config, after], candles, verdict_rows([OK] * 6), RULES)
        assert [text != "[]" for text in rows] == [False, True, True, False, False, False]
    assert probation_from_ms(hours, [BEFORE, config, ended]) == config.valid_from_ms
    assert probation_from_ms(hours[4:], [BEFORE, config, ended]) is None
    assert probation_from_ms(hours[:0], [BEFORE, config]) is None
    second = probationary(START_MS + 5 * HOUR_MS, version=4, supersedes=3)
    assert probation_from_ms(hours, [BEFORE, config, ended, second]) == config.valid_from_ms
    assert probation_from_ms(hours[4:], [BEFORE, config, ended, second]) == second.valid_from_ms
    assert not has_graduated(())


def test_a_grid_that_the_price_left_graduates_a_day_after_it_came_back() -> None:
    """Decision 23: a bad hour is forgotten after `recent_bars`, and a wick is none."""
    count = 60
    closes = [97, 103] * (count // 2)
    closes[3], closes[20] = 115, 98
    rows = [[before, max(before, close, 114), 86, close] for before, close in zip([100, *closes], closes, strict=False)]
    candles, hours = bars(rows, scale=1), START_MS + HOUR_MS * np.arange(count, dtype=np.int64)

    stored = graduation_rows(hours, [BEFORE, probationary(START_MS)], candles, verdict_rows([OK] * count), RULES)

    graduated = [has_graduated([condition_of(made) for made in json.loads(text)]) for text in stored]
    assert graduated == [False] * (4 + 23) + [True] * (count - 27)
    excursions = [condition_of(json.loads(text)[3]).value for text in stored]
    assert excursions == [0.0] * 3 + [1.25] * 24 + [0.0] * (count - 27)


def test_a_grid_that_cannot_be_run_over_the_bars_does_not_graduate() -> None:
    """The price opened outside its bounds: what it earned is unknown, and unknown is not enough."""
    hours = START_MS + HOUR_MS * np.arange(30, dtype=np.int64)
    config = probationary(START_MS)
    candles = bars([[120, 121, 119, 120]] * 30, scale=1)

    rows = graduation_rows(hours, [BEFORE, config], candles, verdict_rows([OK] * 30), RULES)

    checks = {made["name"]: made for made in json.loads(rows[-1])}
    assert (checks["ROUND_TRIPS"]["value"], checks["ROUND_TRIPS"]["is_met"]) == (None, False)
    assert checks["BARS"]["is_met"]


def test_only_observations_since_the_start_count_as_range() -> None:
    hours = START_MS + HOUR_MS * np.arange(6, dtype=np.int64)
    config, still = probationary(START_MS + 2 * HOUR_MS), bars([[100, 101, 99, 100]] * 6, scale=1)

    found = _range_ok_bars(hours[2:] + HOUR_MS, config.valid_from_ms, 100, verdict_rows([OK] * 6), still)
    assert found.tolist() == [1.0, 2.0, 3.0, 4.0]
