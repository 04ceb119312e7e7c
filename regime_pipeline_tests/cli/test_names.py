"""Tests of what a person types for a moment; markets are typed in the tests of the commands."""

from __future__ import annotations

import pytest

from regime_pipeline.cli.names import named_moment
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import to_ms

NOW = to_ms("2026-03-12T10:30:00Z")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", NOW),
        ("-90m", NOW - HOUR_MS * 3 // 2),
        ("-6h", NOW - 6 * HOUR_MS),
        ("-1d", NOW - 24 * HOUR_MS),
        ("-2w", NOW - 336 * HOUR_MS),
        ("2026-03-11", to_ms("2026-03-11T00:00:00Z")),
        ("2026-03-11T08:00", to_ms("2026-03-11T08:00:00Z")),
        ("2026-03-11T08:00+01:00", to_ms("2026-03-11T07:00:00Z")),
    ],
)
def test_a_moment_is_read_as_people_write_it(text: str, moment: int) -> None:
    assert named_moment(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "-1y", "--1d", "-d", "2026-13-01", "-9999999h"])
def test_any_other_text_is_refused_with_the_forms_that_are_read(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        named_moment(text, NOW)
