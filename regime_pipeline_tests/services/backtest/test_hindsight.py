"""Tests of `services.backtest.hindsight` against a plain loop."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.services.backtest.classes import ABSTAIN, RANGE, TREND, VOLATILE
from regime_pipeline.services.backtest.hindsight import HindsightRule, hindsight_classes

SHORT = HindsightRule(bars=4, volatile_from=1.5, trend_from=0.5)


def ahead(closes: Sequence[float], at: int, bars: int) -> list[float] | None:
    """Returns of the bars after a moment; None where one is not known."""
    prices = closes[at : at + bars + 1]
    if len(prices) <= bars or any(math.isnan(price) for price in prices):
        return None
    return [math.log(b / a) for a, b in itertools.pairwise(prices)]


def by_loop(closes: Sequence[float], rule: HindsightRule) -> list[tuple[float, float] | None]:
    """Volatility over its median, and efficiency ratio, of each moment."""
    moves = [ahead(closes, at, rule.bars) for at in range(len(closes))]
    sizes = [None if m is None else math.sqrt(sum(x * x for x in m) / rule.bars) for m in moves]
    known = [size for size in sizes if size is not None]
    median = statistics.median(known) if known else 0.0
    found: list[tuple[float, float] | None] = []
    for move, size in zip(moves, sizes, strict=True):
        if move is None or size is None:
            found.append(None)
            continue
        path = sum(abs(x) for x in move)
        found.append(
            (size / median if median else math.inf * size if size else 0.0, abs(sum(move)) / path if path else 0.0)
        )
    return found


@given(st.lists(st.one_of(st.sampled_from([100.0, 101.0, 103.0, 107.0, 120.0]), st.just(math.nan)), max_size=60))
def test_labels_are_those_of_a_plain_loop(closes: list[float]) -> None:
    labels = hindsight_classes(np.array(closes, dtype=np.float64), SHORT)

    for label, expected in zip(labels.tolist(), by_loop(closes, SHORT), strict=True):
        if expected is None:
            assert label == ABSTAIN
        elif min(abs(expected[0] - SHORT.volatile_from), abs(expected[1] - SHORT.trend_from)) > 1e-9:
            wanted = RANGE if expected[1] < SHORT.trend_from else TREND
            assert label == (VOLATILE if expected[0] >= SHORT.volatile_from else wanted)


def test_each_class_by_hand() -> None:
    quiet = [100.0, 101.0] * 20
    rising = [101.0 * 1.01**bar for bar in range(1, 21)]
    wild = [rising[-1] * factor for factor in (1.2, 1.0) * 5]

    labels = hindsight_classes(np.array([*quiet, *rising, *wild]), HindsightRule(bars=6))

    assert labels[:30].tolist() == [RANGE] * 30
    assert labels[40:50].tolist() == [TREND] * 10
    assert labels[60:64].tolist() == [VOLATILE] * 4
    assert labels[-6:].tolist() == [ABSTAIN] * 6


def test_a_label_knows_the_future_and_not_the_past() -> None:
    closes = np.array([100.0 + (bar % 3) for bar in range(60)])
    past, future = closes.copy(), closes.copy()
    past[:20] = closes[:20] * 1.001 ** np.arange(20)
    future[21:30] = 101.0 * 1.02 ** np.arange(9)

    label = hindsight_classes(closes, SHORT)[20]

    assert hindsight_classes(past, SHORT)[20] == label == RANGE
    assert hindsight_classes(future, SHORT)[20] != label


@pytest.mark.parametrize("closes", [[], [1.0], [1.0] * 4, [math.nan] * 30])
def test_without_enough_closes_there_is_no_label(closes: list[float]) -> None:
    assert set(hindsight_classes(np.array(closes, dtype=np.float64), SHORT).tolist()) <= {ABSTAIN}


def test_a_price_that_stands_still_is_a_range() -> None:
    assert hindsight_classes(np.full(10, 5.0), SHORT).tolist() == [RANGE] * 6 + [ABSTAIN] * 4
