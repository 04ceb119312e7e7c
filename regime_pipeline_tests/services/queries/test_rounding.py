"""Tests of `services.queries.rounding`: each unit has its digits, and none is printed that rounding did not leave."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.domain.schema import FEATURES, SCORES, VERDICT_COLUMNS
from regime_pipeline.services.queries.rounding import rounded, rounded_frame


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("confidence", 0.594747784267871, 0.5947),
        ("weight_trend", 0.00004, 0.0),
        ("hold_24h", 0.99995001, 1.0),
        ("trend_score", 57.248889014979845, 57.25),
        ("rank_adx", 62.601023706896555, 62.6),
        ("range_high", 1051.0950000000003, 1051.095),
        ("close", 0.00001234, 0.00001234),
        ("close", 123456.78, 123456.78),
        ("variance_24h", 7.722972810957852e-06, 7.72297e-06),
        ("slope_t", -16.4064180535061, -16.4064),
        ("ou_half_life_bars", 1234567.8, 1234568.0),
        ("ou_t", 0.0, 0.0),
    ],
)
def test_a_number_has_the_digits_of_its_unit(name: str, value: float, expected: float) -> None:
    assert rounded(name, value).item() == expected


def test_every_column_in_a_known_unit_has_its_decimals() -> None:
    columns = [column for column in (*FEATURES, *SCORES, *VERDICT_COLUMNS) if column.kind == "float"]
    of_unit = {
        c.name for c in columns if "0..1" in c.meaning and "0..100" not in c.meaning and "-1..1" not in c.meaning
    }
    percent = {c.name for c in columns if "0..100" in c.meaning}

    assert len(of_unit) >= 20
    assert len(percent) > 15
    assert {rounded(name, 0.123456789).item() for name in of_unit} == {0.1235}
    assert {rounded(name, 12.3456789).item() for name in percent} == {12.35}


@given(st.floats(1e-12, 1e12), st.sampled_from([1, -1]))
def test_six_digits_are_printed_and_no_more(size: float, sign: int) -> None:
    value = sign * size
    found = rounded("slope_t", value).item()

    assert found == (float(f"{value:.6g}") if size < 1e5 else pytest.approx(value, abs=0.5))
    assert len(f"{abs(found):e}".partition("e")[0].rstrip("0").replace(".", "")) <= 7


def test_what_is_absent_stays_absent_and_what_is_not_a_number_untouched() -> None:
    frame = pd.DataFrame(
        {
            "confidence": [0.12345, math.nan],
            "touches_low": np.array([1, 2], dtype=np.int32),
            "verdict": pd.Categorical(["TREND", "RANGE_OK"]),
            "known_at": pd.to_datetime([0, 1], unit="h", utc=True),
        }
    )
    found = rounded_frame(frame)

    assert found["confidence"].iloc[0] == 0.1234
    assert math.isnan(found["confidence"].iloc[1])
    pd.testing.assert_frame_equal(found.drop(columns="confidence"), frame.drop(columns="confidence"))
    assert math.isnan(rounded("ou_t", math.nan).item())
