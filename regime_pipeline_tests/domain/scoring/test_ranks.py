"""Trailing ranks: mid-ranks, least history, the share of the null, forgetting by time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.features.observations import Observations
from regime_pipeline.domain.schema import FEATURES, RANKED
from regime_pipeline.domain.scoring.kernels import trailing_ranks
from regime_pipeline.domain.scoring.ranks import as_evidence, blended_ranks
from regime_pipeline_tests.domain.verdicts.factories import HOURLY, NULLS, POLICY, blank_rows

VALUES = st.lists(st.sampled_from([0.0, 1.0, 2.0, 2.5, np.nan]), min_size=1, max_size=30)


@settings(deadline=None)
@given(VALUES, st.integers(1, 12))
def test_a_rank_counts_strictly_earlier_values_and_half_of_the_equal_ones(values: list[float], window: int) -> None:
    at = np.arange(len(values))

    ranks, counts = trailing_ranks(np.array([values]), at, np.maximum(at - window, 0))

    for place in at:
        earlier = [v for v in values[max(0, place - window) : place] if not np.isnan(v)]
        assert counts[place] == len(earlier)
        if earlier and not np.isnan(values[place]):
            less, equal = sum(v < values[place] for v in earlier), sum(v == values[place] for v in earlier)
            assert ranks[0, place] == (less + equal / 2) / len(earlier)
        else:
            assert np.isnan(ranks[0, place])


def test_the_rank_of_the_newest_ignores_what_comes_after_it() -> None:
    values = np.random.default_rng(1).normal(size=(2, 40))
    longer = np.hstack([values, 100 + values])

    before, after = (trailing_ranks(each, np.array([39]), np.array([19]))[0] for each in (values, longer))

    assert before.tolist() == after.tolist()


@pytest.mark.parametrize(("earlier", "is_ranked"), [(149, False), (150, True)])
def test_fewer_than_150_observations_give_no_rank(earlier: int, is_ranked: bool) -> None:
    rows = blank_rows(FEATURES, earlier + 1, adx=np.arange(earlier + 1))

    ranks, counts = blended_ranks(Observations.of(rows, HOURLY), np.array([earlier]), POLICY.scores, NULLS)

    assert counts.tolist() == [earlier]
    assert set(ranks) == set(RANKED)
    assert np.isfinite(ranks["adx"][0]) == is_ranked


def test_a_rank_is_half_the_market_s_own_and_half_the_null_s() -> None:
    rows = blank_rows(FEATURES, 401, adx=np.append(np.arange(400), 100.0))

    rank = blended_ranks(Observations.of(rows, HOURLY), np.array([400]), POLICY.scores, NULLS)[0]["adx"][0]

    assert rank == pytest.approx(50 * (100.5 / 400) + 50 * 1.0)


def test_observations_older_than_500_are_forgotten_by_time_not_by_number() -> None:
    adx = np.r_[np.full(10, 99.0), np.full(499, 1.0), 50.0]
    rows = blank_rows(FEATURES, 510, adx=adx)
    whole = blended_ranks(Observations.of(rows, HOURLY), np.array([509]), POLICY.scores, NULLS)
    kept = np.delete(np.arange(510), np.arange(100, 300))
    holed = {name: column[kept] for name, column in rows.items()}
    with_gap = blended_ranks(Observations.of(holed, HOURLY), np.array([509]), POLICY.scores, NULLS)

    assert whole[1].tolist() == [500]
    assert with_gap[1].tolist() == [300]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("adx", [-2, 0, 3]), ("slope_t", [2, 0, 3]), ("ou_t", [2, 0, -3]), ("autocorrelation", [2, 0, -3])],
)
def test_evidence_points_the_way_its_score_reads_it(name: str, expected: list[float]) -> None:
    assert as_evidence(name, np.array([-2.0, 0.0, 3.0])).tolist() == expected
