"""Tests of `evaluation.timeframe_report`: rows are figures of decided hours alone, of the same minutes."""

from __future__ import annotations

import numpy as np

from regime_pipeline.domain.market_data.market import TIMEFRAME_MINUTES
from regime_pipeline.evaluation.timeframe_report import JUDGED, judged_hours, timeframe_table
from regime_pipeline.policy import default_policy

DAYS = 70


def test_judged_hours_are_decided_ones_after_the_warm_up() -> None:
    found = judged_hours("SPAN0-USDT", "1h", DAYS, default_policy())

    assert 0 < len(found.truth) <= (DAYS - 60) * 24
    assert set(found.truth.tolist()) | set(found.said.tolist()) <= {0, 1, 2}
    assert ((found.confidence > 0) & (found.confidence < 1)).all()


def test_a_row_is_what_its_hours_say() -> None:
    found = judged_hours("SPAN0-USDT", "30m", DAYS, default_policy())

    *_, row = timeframe_table(["SPAN0-USDT"], DAYS, ["30m"]).splitlines()

    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[0] == "30m"
    assert cells[3] == f"{np.mean(found.truth == found.said):.3f}"
    assert cells[4] == f"{found.confidence.mean():.3f}"


def test_every_timeframe_but_the_day_is_judged() -> None:
    assert set(JUDGED) == set(TIMEFRAME_MINUTES) - {"1d"}
