"""Tests of `domain.market_data.sorted_times`: what NumPy's set operations say, for any order and any repetition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.sorted_times import (
    common_rows,
    difference,
    distinct,
    is_in,
    symmetric_difference,
    union,
)

Times = NDArray[np.int64]
Operation = Callable[[Any, Any], Any]


def as_times(values: list[int]) -> Times:
    return np.array(values, dtype=np.int64)


FEW = st.lists(st.integers(-4, 4), max_size=12)
"""Small numbers, so that times are repeated, shared and out of order."""
WIDE = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=6)
TIMES = st.one_of(FEW.map(as_times), FEW.map(sorted).map(as_times), WIDE.map(sorted).map(as_times))


@pytest.mark.parametrize(
    ("ours", "numpys"),
    [(is_in, np.isin), (union, np.union1d), (difference, np.setdiff1d), (symmetric_difference, np.setxor1d)],
)
@given(times=TIMES, others=TIMES)
def test_two_sets_are_compared_as_numpy_does(ours: Operation, numpys: Operation, times: Times, others: Times) -> None:
    given_before = times.copy(), others.copy()

    found = ours(times, others)

    expected = numpys(times, others)
    assert found.dtype == expected.dtype
    assert found.tolist() == expected.tolist()
    np.testing.assert_array_equal(np.concatenate([times, others]), np.concatenate(given_before))


@given(times=TIMES)
def test_each_time_comes_once(times: Times) -> None:
    found = distinct(times)

    assert found.dtype == np.int64
    assert found.tolist() == np.unique(times).tolist()


@given(times=TIMES, others=TIMES)
def test_rows_of_common_times_are_those_of_numpy(times: Times, others: Times) -> None:
    ours, theirs = common_rows(times, others)

    _, expected_ours, expected_theirs = np.intersect1d(times, others, return_indices=True)
    assert ours.tolist() == expected_ours.tolist()
    assert theirs.tolist() == expected_theirs.tolist()
