"""The null table: mid-ranks, the scale of its quantiles, its hash and the shipped values."""

import numpy as np
import pytest

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.schema import RANKED
from regime_pipeline.domain.scoring.null_table import NullTable
from regime_pipeline_tests.domain.verdicts.factories import NULLS, POLICY

TABLE = NullTable(
    "x", {"adx": np.array([1.0, 2.0, 2.0, 3.0])}, {"trend_score": np.array([0.0, 20.0, 40.0, 80.0, 100.0])}
)


def test_ranks_are_mid_ranks_among_the_quantiles() -> None:
    ranks = TABLE.rank("adx", np.array([0.0, 1.0, 2.0, 2.5, 9.0, np.nan]))

    assert np.array_equal(ranks, [0.0, 0.125, 0.5, 0.75, 1.0, np.nan], equal_nan=True)


def test_the_scale_puts_the_null_s_quantiles_at_30_50_and_70() -> None:
    raw = np.array([0.0, 20.0, 40.0, 60.0, 80.0, 100.0, np.nan])

    scaled = TABLE.scale("trend_score", raw)

    assert np.array_equal(scaled, [0, 30, 50, 60, 70, 100, np.nan], equal_nan=True)


def test_a_policy_of_other_thresholds_is_refused() -> None:
    other = POLICY.features.model_copy(update={"er_bars": 47})
    other.__dict__.pop("hash", None)

    with pytest.raises(UsageError, match="evaluation.calibrate"):
        NULLS.check_policy(POLICY.model_copy(update={"features": other}))
    NULLS.check_policy(POLICY)


def test_the_hash_changes_with_any_value() -> None:
    moved = NullTable("x", {"adx": np.array([1.0, 2.0, 2.0, 3.1])}, TABLE.knots)
    renamed = NullTable("y", TABLE.quantiles, TABLE.knots)

    assert len({TABLE.hash, moved.hash, renamed.hash}) == 3
    assert NullTable("x", TABLE.quantiles, TABLE.knots).hash == TABLE.hash


def test_the_shipped_table_covers_every_ranked_feature_in_order() -> None:
    assert set(NULLS.quantiles) == set(RANKED)
    for name, values in NULLS.quantiles.items():
        assert (np.diff(values) >= 0).all(), name
    for name, knots in NULLS.knots.items():
        assert (np.diff(knots) > 0).all(), name
    assert NULLS.quantile("efficiency_ratio", 0.9) == pytest.approx(0.37, abs=0.02)
