"""The range-quality score: its parts, their weights, and the cap without consensus."""

import numpy as np
import pytest

from regime_pipeline.domain.schema import FEATURES
from regime_pipeline.domain.scoring.scores import quality_parts, range_quality
from regime_pipeline_tests.domain.verdicts.factories import POLICY, blank_rows

P = POLICY.scores
CLEAN = {
    "range_low": 90.0, "range_high": 110.0, "range_width_atr": 6.0, "containment": 0.95, "touches_low": 4,
    "touches_high": 4, "traversals": 3, "net_displacement": 0.0, "failed_breakouts": 1.0,
}  # fmt: skip


def score(**values: float) -> float:
    return float(range_quality(blank_rows(FEATURES, 1, **(CLEAN | values)), P)[0])


def part(name: str, **values: float) -> float:
    return float(quality_parts(blank_rows(FEATURES, 1, **(CLEAN | values)), P)[name][0])


def test_a_clean_range_scores_a_hundred() -> None:
    assert score() == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("name", "column", "corners"),
    [
        ("containment", "containment", {0.5: 0, 0.70: 0, 0.825: 0.5, 0.95: 1, 1.0: 1}),
        ("touches", "touches_low", {0: 0, 1: 0.3, 2: 0.6, 3: 0.8, 4: 1, 9: 1}),
        ("touches", "touches_high", {0: 0, 2: 0.6}),
        ("traversals", "traversals", {0: 0, 1: 0.4, 2: 0.7, 3: 1, 9: 1}),
        ("net_displacement", "net_displacement", {0.0: 1, 0.25: 0.75, 1.0: 0}),
        ("failed_breakouts", "failed_breakouts", {0.0: 0, 0.5: 0.5}),
        ("width", "range_width_atr", {2.9: 0, 3.0: 1, 20.0: 1, 20.1: 0}),
    ],
)
def test_parts_have_the_corners_of_the_definition(name: str, column: str, corners: dict[float, float]) -> None:
    weight = getattr(P.quality_weights, name)
    for value, expected in corners.items():
        others = (
            {"touches_high": 99} if column == "touches_low" else {"touches_low": 99} if column == "touches_high" else {}
        )
        assert part(name, **{column: value}, **others) == pytest.approx(expected)
        assert score(**{column: value}, **others) == pytest.approx(100 * (1 - weight * (1 - expected)))


def test_without_a_close_outside_the_other_parts_share_the_weight() -> None:
    assert score(failed_breakouts=np.nan) == pytest.approx(100.0)
    assert score(failed_breakouts=np.nan, traversals=0) == pytest.approx(100 * (1 - 0.20 / 0.90))


def test_without_consensus_the_score_is_capped() -> None:
    assert score(range_low=np.nan) == 29.0
    assert score(range_low=np.nan, containment=0.0, touches_low=0, traversals=0, net_displacement=1.0) < 29.0


def test_without_any_range_the_score_is_zero_and_without_data_it_is_absent() -> None:
    assert score(range_low=np.nan, range_width_atr=np.nan) == 0.0
    assert np.isnan(score(status=1))
