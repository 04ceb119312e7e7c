"""Whatever is given as candles is read or refused in a sentence: nothing but a `RegimeError` comes back."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import regime_pipeline as rp
from regime_pipeline_tests.python_api.factories import candles, frame_of

FRAME = frame_of(candles(12))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.binary(max_size=4),
    st.datetimes(),
    st.datetimes(timezones=st.timezones()),
    st.dates(),
    st.decimals(allow_nan=False),
    st.complex_numbers(),
    st.sampled_from([pd.NaT, pd.NA, np.datetime64("NaT"), 10**30, -1, "2026-01-01T00:00:00Z", 1_700_000_000_000]),
)
NAMES = st.sampled_from(["open_time", "date", "open", "High", "low", "close", "volume", "Volume", "o", "", 7, None])
NESTED = st.recursive(
    SCALARS, lambda each: st.lists(each, max_size=7) | st.dictionaries(NAMES, each, max_size=7), max_leaves=30
)


def read_or_refused(given_: Any) -> None:
    with suppress(rp.RegimeError):
        assert isinstance(rp.read(given_), pd.DataFrame)
    with suppress(rp.RegimeError):
        assert isinstance(rp.classify_candles(given_, "1h"), pd.DataFrame)
    with suppress(rp.RegimeError):
        rp.StreamingClassifier("1h").update(given_)


@given(NESTED)
def test_whatever_python_can_hold(given_: Any) -> None:
    read_or_refused(given_)


@given(name=st.sampled_from(list(FRAME)), values=st.lists(SCALARS, min_size=12, max_size=12))
def test_a_frame_with_one_column_of_anything(name: str, values: list[Any]) -> None:
    frame = FRAME.astype({name: object})
    for row, value in enumerate(values):
        frame.at[row, name] = value

    read_or_refused(frame)
    read_or_refused({**FRAME.to_dict("list"), name: values})


NAIVE = (datetime(9999, 12, 31, 23), datetime(1, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize("value", [date(2026, 1, 1), *NAIVE, b"2026", (), {}])
def test_a_time_that_is_none(value: Any) -> None:
    read_or_refused(FRAME.assign(open_time=[value] * 12))
    read_or_refused({**FRAME.iloc[0].to_dict(), "open_time": value})
