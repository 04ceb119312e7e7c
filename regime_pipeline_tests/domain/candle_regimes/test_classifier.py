"""Tests of `domain.classifier`: rules, confidence, and independence of where the data start or end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.candle_regimes.classifier import classify, is_provisional, lookback_bars
from regime_pipeline.domain.candle_regimes.indicators import Indicators, compute_indicators
from regime_pipeline.domain.candle_regimes.states import REGIME_STATES, SIMPLIFIED, SIMPLIFIED_OF_STATE
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline_tests.domain.candle_regimes.factories import POLICY, from_closes, walk, without

WALK = walk(3000, 11)
WHOLE = classify(WALK, POLICY)
LOOKBACK = lookback_bars(POLICY)


def share_above(values: np.ndarray, i: int, window: int, percentile: float) -> bool:
    return bool(values[i] > np.percentile(values[i - window : i], percentile))


def naive_label(x: Indicators, close: np.ndarray, i: int) -> str:
    """The rules of regimes.md section 2, one bar at a time, straight from the text."""
    trend = "NEUTRAL"
    if x.adx[i] >= 25 and close[i] > x.sma_fast[i] > x.sma_slow[i]:
        trend = "UPTREND"
    elif x.adx[i] >= 25 and close[i] < x.sma_fast[i] < x.sma_slow[i]:
        trend = "DOWNTREND"
    is_high = share_above(x.atr_share, i, 100, 70) or share_above(x.band_width, i, 100, 70)
    bulls = sum((bool(x.roc[i] > 0), bool(x.macd_histogram[i] > 0), bool(x.rsi[i] > 55)))
    bears = sum((bool(x.roc[i] < 0), bool(x.macd_histogram[i] < 0), bool(x.rsi[i] < 45)))
    momentum = "BULLISH" if bulls >= 2 else "BEARISH" if bears >= 2 else "WEAK"
    return f"{trend}_{'HIGH' if is_high else 'LOW'}VOL_{momentum}"


def test_every_label_is_that_of_the_rules() -> None:
    indicators, close = compute_indicators(WALK, POLICY), WALK.close.astype(np.float64)

    for i in range(POLICY.min_history_bars - 1, len(WALK)):
        assert REGIME_STATES[WHOLE.state[i]].full_regime == naive_label(indicators, close, i), i


def test_most_states_occur_in_the_walk() -> None:
    """Otherwise the comparison above would compare little."""
    assert len(set(WHOLE.state.tolist())) >= 17


def test_warm_up_is_undefined_and_never_a_range() -> None:
    assert set(WHOLE.state[: POLICY.min_history_bars - 1].tolist()) == {0}
    assert (WHOLE.confidence[: POLICY.min_history_bars - 1] == 0).all()
    assert WHOLE.state[POLICY.min_history_bars - 1] != 0


def test_behind_a_long_gap_the_warm_up_begins_again() -> None:
    count = POLICY.holes.longest_bars + 1
    broken = classify(without(WALK, 1000, count), POLICY)

    assert (broken.state[1000 : 1000 + POLICY.min_history_bars - 1] == 0).all()
    assert broken.state[1000 + POLICY.min_history_bars - 1] != 0
    np.testing.assert_array_equal(broken.state[:1000], WHOLE.state[:1000])
    np.testing.assert_array_equal(broken.state[1000 + LOOKBACK :], WHOLE.state[1000 + count + LOOKBACK :])


@pytest.mark.parametrize("count", [1, POLICY.holes.longest_bars])
def test_a_tolerated_gap_blinds_only_the_candle_behind_it(count: int) -> None:
    broken = classify(without(WALK, 1000, count), POLICY)

    first = POLICY.min_history_bars - 1
    assert (np.flatnonzero(broken.state[first:] == 0) + first).tolist() == [1000]
    np.testing.assert_array_equal(broken.state[1000 + LOOKBACK :], WHOLE.state[1000 + count + LOOKBACK :])


def test_more_absent_candles_than_the_share_are_not_tolerated() -> None:
    """Holes of two candles, one behind the other: labels end while too many lie within reach, and only then."""
    holes, reach = POLICY.holes.tolerated(POLICY.min_history_bars) // 2 + 1, POLICY.min_history_bars
    broken = WALK
    for place in range(holes):
        broken = without(broken, 1000 + 10 * place, 2)
    is_blind = classify(broken, POLICY).state == 0

    last = 1000 + 10 * (holes - 1)
    assert is_blind[last : 1000 + reach - 1].all()
    assert not is_blind[1000 + reach - 1 :].any()


@st.composite
def broken_walks(draw: st.DrawFn) -> Candles:
    """The walk with up to twelve holes, tolerated ones and longer ones, behind the first warm-up."""
    candles = WALK
    for place in sorted(draw(st.lists(st.integers(250, 2800), min_size=1, max_size=12)), reverse=True):
        candles = without(candles, place, draw(st.integers(1, POLICY.holes.longest_bars + 2)))
    return candles


@settings(max_examples=25, deadline=None)
@given(broken_walks(), st.data())
def test_prefix_and_start_change_nothing_where_candles_are_absent(broken: Candles, data: st.DataObject) -> None:
    whole = classify(broken, POLICY)
    start, end = data.draw(st.integers(0, 1500)), data.draw(st.integers(1600, len(broken)))

    part = classify(broken[start:end], POLICY)

    reached = broken.open_time_ms[start] + LOOKBACK * broken.market.step_ms
    first = int(np.searchsorted(broken.open_time_ms, reached)) - start
    np.testing.assert_array_equal(part.state[first:], whole.state[start + first : end])
    np.testing.assert_array_equal(
        part.confidence[first:].view(np.int64), whole.confidence[start + first : end].view(np.int64)
    )


@settings(max_examples=25, deadline=None)
@given(broken_walks(), st.integers(100, 3000))
def test_in_pieces_of_any_size_the_bits_are_the_same(broken: Candles, size: int) -> None:
    whole = classify(broken, POLICY)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("regime_pipeline.domain.candle_regimes.classifier._PIECE_BARS", size)
        pieces = classify(broken, POLICY)

    np.testing.assert_array_equal(pieces.state, whole.state)
    np.testing.assert_array_equal(pieces.confidence.view(np.int64), whole.confidence.view(np.int64))
    assert len(pieces) == len(broken)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1500))
def test_any_start_early_enough_gives_the_same_bits(start: int) -> None:
    later = classify(WALK[start:], POLICY)

    np.testing.assert_array_equal(later.state[LOOKBACK:], WHOLE.state[start + LOOKBACK :])
    np.testing.assert_array_equal(
        later.confidence[LOOKBACK:].view(np.int64), WHOLE.confidence[start + LOOKBACK :].view(np.int64)
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 2999))
def test_the_future_changes_nothing(end: int) -> None:
    prefix = classify(WALK[:end], POLICY)

    np.testing.assert_array_equal(prefix.state, WHOLE.state[:end])
    np.testing.assert_array_equal(prefix.confidence, WHOLE.confidence[:end])


def test_a_label_needs_no_more_than_a_thousand_and_24_bars() -> None:
    assert LOOKBACK <= 1024
    assert is_provisional(np.array([LOOKBACK - 1, LOOKBACK]), POLICY).tolist() == [True, False]
    assert len(WHOLE) == len(WALK)


def test_confidence_lies_in_bounds() -> None:
    assert ((WHOLE.confidence >= 0) & (WHOLE.confidence <= 1)).all()


def test_ranges_are_as_confident_as_trends_on_the_same_market() -> None:
    """Regression: with confidence from ADX alone ranges scored .40 at most, and trends up to .95."""
    simplified = SIMPLIFIED_OF_STATE[WHOLE.state]
    medians = {
        name: float(np.median(WHOLE.confidence[simplified == SIMPLIFIED.index(name)]))
        for name in ("RANGE", "TREND_UP", "TREND_DOWN")
    }

    assert abs(medians["RANGE"] - medians["TREND_UP"]) < 0.1
    assert abs(medians["RANGE"] - medians["TREND_DOWN"]) < 0.1


def test_a_clean_range_and_a_clean_trend_are_confident() -> None:
    random = np.random.default_rng(3)
    quiet = 100 + 0.6 * np.sin(np.arange(1200) / 2) * np.linspace(2.0, 0.5, 1200) + random.normal(0, 0.05, 1200)
    rising = 100 * np.exp(np.cumsum(np.full(1200, 0.004) + random.normal(0, 0.0004, 1200)))

    confident = {}
    for name, closes in (("RANGE", quiet), ("TREND_UP", rising)):
        found = classify(from_closes(closes, scale=10_000), POLICY)
        is_it = SIMPLIFIED_OF_STATE[found.state] == SIMPLIFIED.index(name)
        assert is_it[300:].mean() > 0.6, name
        confident[name] = float(np.median(found.confidence[300:][is_it[300:]]))

    assert confident["RANGE"] > 0.55
    assert confident["TREND_UP"] > 0.55


@pytest.mark.parametrize(("name", "step"), [("adx", 1.0), ("rsi", 1.0), ("roc", 0.1), ("macd_histogram", 50.0)])
def test_confidence_is_monotone_in_the_margin(name: str, step: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Property 73: the further a deciding input moves into an up trend, the higher the confidence, all else equal."""
    import regime_pipeline.domain.candle_regimes.classifier as module

    base = compute_indicators(WALK, POLICY)
    is_up = SIMPLIFIED_OF_STATE[WHOLE.state] == SIMPLIFIED.index("TREND_UP")
    assert is_up.sum() > 50
    last = WHOLE.confidence
    for pushes in range(1, 6):
        pushed = replace(base, **{name: getattr(base, name) + pushes * step})
        monkeypatch.setattr(module, "compute_indicators", lambda *_, pushed=pushed: pushed)
        found = classify(WALK, POLICY).confidence
        assert (found[is_up] >= last[is_up]).all()
        last = found
    assert (last[is_up] >= WHOLE.confidence[is_up]).all()


def test_votes_on_the_threshold_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """77 up ticks against 63 down ticks make an RSI of exactly 55: not above it."""
    import regime_pipeline.domain.candle_regimes.classifier as module

    base = compute_indicators(WALK, POLICY)
    at = replace(base, rsi=np.full(len(WALK), 55.0), roc=np.zeros(len(WALK)), macd_histogram=np.ones(len(WALK)))
    monkeypatch.setattr(module, "compute_indicators", lambda *_: at)
    found = classify(WALK, POLICY)
    names = [SIMPLIFIED[code] for code in SIMPLIFIED_OF_STATE[found.state]]

    assert {REGIME_STATES[code].momentum_state for code in found.state[at.is_known]} == {"weak"}
    assert {"CHOPPY", "NEUTRAL"} <= set(names)
    assert (found.confidence[np.isin(names, ["CHOPPY", "NEUTRAL"])] == 0).all()


def test_a_shorter_history_than_the_slow_average_compares_with_the_fast_one() -> None:
    policy = POLICY.model_copy(update={"min_history_bars": 125})
    rising = from_closes(100 * np.exp(np.arange(160) * 0.004))

    found = classify(rising, policy)

    assert (found.state[:124] == 0).all()
    assert {REGIME_STATES[code].trend_state for code in found.state[124:]} == {"uptrend"}
