"""Resampling of candles against pandas, bar by bar and for incomplete hours."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.candles import Candles, concatenate
from regime_pipeline.domain.market_data.market import HOUR_MS, MINUTE_MS, Market
from regime_pipeline.domain.market_data.resample import resample, resample_complete

DAY = 1_581_206_400_000
PANDAS_RULES = {"5m": "5min", "15m": "15min", "1h": "1h", "4h": "4h", "1d": "1D"}
COLUMNS = ("open", "high", "low", "close", "volume")


def random_minutes(seed: int, count: int, share_absent: float, offset: int = 0) -> Candles:
    random = np.random.default_rng(seed)
    times = DAY + (offset + np.arange(count, dtype=np.int64)) * MINUTE_MS
    times = times[random.random(count) >= share_absent]
    ends = random.integers(900, 1_100, (2, len(times)))
    high, low = (
        ends.max(axis=0) + random.integers(0, 9, len(times)),
        ends.min(axis=0) - random.integers(0, 9, len(times)),
    )
    return Candles(Market("BTC-USDT", "1m"), 100, times, ends[0], high, low, ends[1], random.random(len(times)))


def oracle(base: Candles, timeframe: str) -> pd.DataFrame:
    index = pd.to_datetime(base.open_time_ms, unit="ms", utc=True)
    frame = pd.DataFrame({name: getattr(base, name) for name in COLUMNS}, index=index)
    rules = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    bars = frame.resample(PANDAS_RULES[timeframe]).agg(rules)
    return bars[frame["open"].resample(PANDAS_RULES[timeframe]).count() > 0]


@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 3_000),
    absent=st.sampled_from([0.0, 0.01, 0.9]),
    offset=st.integers(0, 1_500),
    timeframe=st.sampled_from(sorted(PANDAS_RULES)),
)
def test_bars_are_those_of_pandas(seed: int, count: int, absent: float, offset: int, timeframe: str) -> None:
    base = random_minutes(seed, count, absent, offset)
    bars, expected = resample(base, timeframe), oracle(base, timeframe)
    assert bars.market == Market("BTC-USDT", timeframe)
    assert bars.open_time_ms.tolist() == (expected.index.as_unit("ms").asi8).tolist()
    for name in COLUMNS[:4]:
        assert getattr(bars, name).tolist() == expected[name].tolist()
    np.testing.assert_allclose(bars.volume, expected["volume"], rtol=1e-12)


@given(seed=st.integers(0, 10_000), cut=st.integers(1, 47), timeframe=st.sampled_from(["5m", "1h"]))
def test_a_bar_depends_on_its_own_minutes_alone(seed: int, cut: int, timeframe: str) -> None:
    base = random_minutes(seed, 2_880, 0.02)
    middle = DAY + cut * HOUR_MS
    parts = [base.between(0, middle), base.between(middle, 2**62)]
    joined, whole = concatenate([resample(part, timeframe) for part in parts]), resample(base, timeframe)
    for name in ("open_time_ms", *COLUMNS):
        assert getattr(joined, name).tobytes() == getattr(whole, name).tobytes()


@given(
    seed=st.integers(0, 10_000),
    holes=st.sets(st.integers(0, 48 * 60 - 1), max_size=6),
    timeframe=st.sampled_from(["15m", "1h", "4h"]),
)
def test_a_bar_is_made_of_its_own_minutes_whatever_lacks_beside_it(seed: int, holes: set[int], timeframe: str) -> None:
    minutes = random_minutes(seed, 48 * 60, 0.0)
    dropped = np.isin((minutes.open_time_ms - DAY) // MINUTE_MS, list(holes))
    bars = resample_complete(minutes[~dropped], timeframe)
    step = bars.market.step_ms
    expected = [
        start
        for start in range(DAY, DAY + 48 * HOUR_MS, step)
        if not holes & set(range((start - DAY) // MINUTE_MS, (start - DAY + step) // MINUTE_MS))
    ]
    assert bars.open_time_ms.tolist() == expected
    whole = resample(minutes, timeframe)
    kept = np.isin(whole.open_time_ms, expected)
    assert bars.volume.tobytes() == whole.volume[kept].tobytes()
    assert bars.high.tolist() == whole.high[kept].tolist()


def test_no_bars_come_of_nothing() -> None:
    empty = Candles.empty(Market("BTC-USDT", "1m"), 100)
    assert len(resample(empty, "1h")) == 0
    assert resample_complete(empty, "4h").market == Market("BTC-USDT", "4h")


def test_a_partly_covered_hour_has_a_bar_but_is_not_complete() -> None:
    minutes = random_minutes(1, 120, 0.0)[3:]
    assert resample(minutes, "1h").open_time_ms.tolist() == [DAY, DAY + HOUR_MS]
    assert resample_complete(minutes, "1h").open_time_ms.tolist() == [DAY + HOUR_MS]


def test_a_timeframe_that_is_not_a_multiple_is_refused() -> None:
    with pytest.raises(UsageError, match=r"BTC-USDT_1h cannot be resampled to 15m\. Choose a multiple"):
        resample(Candles.empty(Market("BTC-USDT", "1h"), 100), "15m")
