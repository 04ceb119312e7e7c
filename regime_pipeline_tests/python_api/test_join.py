"""Tests of `python_api.join`: each candle gets the newest row known at its close, and nothing of the future."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import regime_pipeline as rp
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import TIMEFRAME_MINUTES
from regime_pipeline.domain.market_data.resample import resample
from regime_pipeline_tests.python_api.factories import candles, frame_of

BASE = candles(4_000, "15m")
"""Ten days past the warm-up of the hourly verdicts."""
TIMEFRAMES = ("15m", "30m", "1h", "2h", "4h")
RANKED = 2_700
"""From this candle on hours have verdicts."""


@cache
def rows_of(found: Candles, timeframe: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Verdicts and regimes of the candles on a timeframe."""
    bars = frame_of(resample(found, timeframe))
    return (
        rp.verdicts(bars, timeframe, price_scale=found.price_scale),
        rp.classify_candles(bars, timeframe, price_scale=found.price_scale),
    )


def other_future(cut: int, factor: int) -> Candles:
    """The candles up to a row, and others from there on."""
    price = np.ones(len(BASE), dtype=np.int64)
    price[cut:] = factor
    columns = {name: getattr(BASE, name) * price for name in ("open", "high", "low", "close")}
    return Candles(BASE.market, BASE.price_scale, BASE.open_time_ms, **columns, volume=BASE.volume * price)


def known_before(found: Candles, cut: int, rows_on: str, onto: str) -> list[pd.DataFrame]:
    """The joined candles that close by the open of a base candle."""
    bars = frame_of(resample(found, onto))
    closes = bars["open_time"] + pd.Timedelta(minutes=TIMEFRAME_MINUTES[onto])
    joined = [rp.join(bars, rows, onto) for rows in rows_of(found, rows_on)]
    moment = pd.Timestamp(int(BASE.open_time_ms[cut]), unit="ms", tz="UTC")
    return [frame[closes <= moment] for frame in joined]


@settings(max_examples=12, deadline=None)
@given(
    cut=st.integers(RANKED, len(BASE) - 1),
    factor=st.integers(2, 9),
    rows_on=st.sampled_from(TIMEFRAMES),
    onto=st.sampled_from(TIMEFRAMES),
)
def test_another_future_changes_no_candle_before_it(cut: int, factor: int, rows_on: str, onto: str) -> None:
    ours = known_before(BASE, cut, rows_on, onto)
    others = known_before(other_future(cut, factor), cut, rows_on, onto)

    for one, other in zip(ours, others, strict=True):
        assert len(one) > RANKED * 15 // TIMEFRAME_MINUTES[onto] - 2
        assert one["known_at"].notna().any()
        pd.testing.assert_frame_equal(one, other)


def test_merging_on_the_open_time_looks_ahead_below_an_hour() -> None:
    cut = RANKED + 1  # a quarter past
    one, other = (
        frame_of(found).merge(rows_of(found, "15m")[0], "left", "open_time") for found in (BASE, other_future(cut, 2))
    )

    assert not one[:cut]["trend_score"].equals(other[:cut]["trend_score"])


@pytest.mark.parametrize("onto", TIMEFRAMES)
@pytest.mark.parametrize("rows_on", TIMEFRAMES)
def test_each_candle_gets_the_newest_row_known_at_its_close(rows_on: str, onto: str) -> None:
    bars, (rows, _) = frame_of(resample(BASE, onto)), rows_of(BASE, rows_on)
    closes = bars["open_time"] + pd.Timedelta(minutes=TIMEFRAME_MINUTES[onto])
    moments = closes.astype(rows["known_at"].dtype).rename("at").to_frame()
    expected = pd.merge_asof(moments, rows, left_on="at", right_on="known_at")

    joined = rp.join(bars, rows, onto)

    for name in ("known_at", "verdict", "confidence", "range_low"):
        assert joined[name].astype(object).where(joined[name].notna(), None).tolist() == (
            expected[name].astype(object).where(expected[name].notna(), None).tolist()
        )
    assert (joined["known_at"].dropna() <= closes[joined["known_at"].notna()]).all()


def test_the_frame_keeps_its_columns_index_and_order() -> None:
    rows, regimes = rows_of(BASE, "1h")
    bars = frame_of(BASE).assign(signal=1).set_index("open_time").iloc[::-1]

    joined = rp.join(rp.join(bars, rows[["known_at", "verdict"]]), regimes, prefix="regime_")

    pd.testing.assert_frame_equal(joined[list(bars)], bars)
    assert list(joined)[len(bars.columns) :][:4] == ["known_at", "verdict", "regime_known_at", "regime_trend_state"]
    pd.testing.assert_frame_equal(
        joined.iloc[::-1], rp.join(rp.join(bars[::-1], rows[["known_at", "verdict"]]), regimes, prefix="regime_")
    )


def test_rows_of_the_api_and_candles_of_ccxt_are_joined_too() -> None:
    bars, (rows, regimes) = frame_of(BASE), rows_of(BASE, "1h")
    verdict = rows[["known_at", "verdict", "confidence"]]
    seconds = regimes["known_at"].astype("datetime64[s, UTC]").astype("int64")
    as_ccxt = [
        [time, *values] for time, values in zip(BASE.open_time_ms.tolist(), bars.iloc[:, 1:].to_numpy(), strict=True)
    ]

    as_answered = verdict.assign(known_at=[f"{time.isoformat()}" for time in verdict["known_at"]])[::-1].to_dict(
        "records"
    )
    found = rp.join(as_ccxt, as_answered)
    flat = rp.join(bars, regimes.assign(known_at=seconds).to_dict("records"))

    assert found["verdict"].tolist()[100:] == rp.join(bars, verdict)["verdict"].tolist()[100:]
    assert flat["full_regime"].tolist()[4:] == rp.join(bars, regimes)["full_regime"].tolist()[4:]


def test_rows_in_any_order_and_none_at_all_are_joined() -> None:
    bars, (rows, _) = frame_of(BASE), rows_of(BASE, "1h")

    pd.testing.assert_frame_equal(rp.join(bars, rows.sample(frac=1, random_state=1)), rp.join(bars, rows))
    assert rp.join(bars, rows[:0])["verdict"].isna().all()


def test_what_cannot_be_joined_is_refused() -> None:
    bars, (rows, _) = frame_of(BASE), rows_of(BASE, "1h")

    for wrong, says in (
        (rows.drop(columns="known_at"), "no column known_at"),
        (rows.assign(known_at=rows["known_at"].dt.tz_localize(None)), "are naive"),
        (pd.concat([rows.assign(symbol="A-USDT"), rows.assign(symbol="B-USDT")]), "more than one symbol"),
        (rows.assign(volume=1.0), "have volume already. Name a prefix"),
    ):
        with pytest.raises(rp.RegimeError, match=says):
            rp.join(bars, wrong)
