"""The consensus of the five range methods, touches, traversals and failed breakouts."""

import numpy as np
import pytest

from regime_pipeline.domain.features.ranges.consensus import METHODS, discover_ranges
from regime_pipeline.domain.features.ranges.kernels import consensus, edge_evidence
from regime_pipeline_tests.domain.verdicts.factories import POLICY, from_closes, newest_window

NAN = np.nan


def agree(*edges: tuple[float, float]) -> list[float]:
    lower, upper = np.array(edges, dtype=float).T
    return [float(value) for value in consensus(lower[:, None].copy(), upper[:, None].copy()).ravel()]


def test_consensus_is_the_median_edge_and_the_mean_overlap_of_pairs() -> None:
    methods, low, high, agreement = agree((0, 10), (0, 5), (5, 10), (NAN, NAN))

    assert (methods, low, high) == (3, 0, 10)
    assert agreement == pytest.approx((0.5 + 0.5 + 0.0) / 3)


def test_a_method_without_width_has_not_returned() -> None:
    methods, low, high, agreement = agree((3, 3), (NAN, NAN))

    assert methods == 0
    assert np.isnan([low, high, agreement]).all()
    assert agree((0, 10), (5, 5))[0] == 1


def swinging(height: int, bars: int = 200) -> np.ndarray:
    return 100_000 + np.rint(height * np.sin(np.arange(bars) * np.pi / 8)).astype(int)


def test_a_clean_range_is_found_by_all_five_methods() -> None:
    windows = newest_window(from_closes(swinging(1_000), spread=30))

    found = {k: v[0] for k, v in discover_ranges(windows, np.array([300.0]), np.array([0.0]), POLICY.ranges).items()}

    assert found["range_methods"] == len(METHODS) == 5
    assert 98_500 < found["range_low"] < 99_300
    assert 100_700 < found["range_high"] < 101_500
    assert found["range_confidence"] == found["range_agreement"] > 0.6
    assert found["touches_low"] >= 4 <= found["touches_high"]
    assert found["traversals"] >= 8
    assert found["range_width_atr"] == pytest.approx((found["range_high"] - found["range_low"]) / 300)


@pytest.mark.parametrize(
    ("update", "is_found"), [({}, True), ({"min_methods": 5}, False), ({"min_agreement": 1.0}, False)]
)
def test_too_few_methods_or_too_little_agreement_give_no_consensus(update: dict[str, float], is_found: bool) -> None:
    policy = POLICY.ranges.model_copy(update=update)
    windows = newest_window(from_closes(swinging(1_000), spread=30))

    found = discover_ranges(windows, np.array([300.0]), np.array([5.0]), policy)

    assert found["range_methods"][0] == 4
    assert np.isfinite(found["range_low"][0]) == np.isfinite(found["range_high"][0]) == is_found
    assert np.isfinite(found["containment"][0])
    assert found["range_confidence"][0] == pytest.approx(found["range_agreement"][0] * 0.8)


def evidence(closes: list[int], bars: int | None = None) -> list[float]:
    """Containment, touches low and high, traversals, failed breakouts in the range 100..200 with ATR 20."""
    candles = from_closes(closes)
    found = edge_evidence(
        candles.close, candles.close, candles.close, np.array([len(closes) - 1]),
        np.array([100.0]), np.array([200.0]), np.array([20.0]), bars or len(closes), 0.25, 0.5, 3,
    )  # fmt: skip
    return [float(value) for value in found.ravel()]


@pytest.mark.parametrize(
    ("closes", "touches"),
    [
        ([150, 195, 150], 1),
        ([150, 194, 150], 0),
        ([150, 205, 150], 1),
        ([150, 206, 150], 0),
        ([150, 195, 191, 195], 1),
        ([150, 195, 190, 195], 1),
        ([150, 195, 189, 195], 2),
    ],
)
def test_a_touch_is_near_the_edge_and_must_leave_before_the_next(closes: list[int], touches: int) -> None:
    assert evidence(closes)[2] == touches
    assert evidence([300 - close for close in closes])[1] == touches


def test_traversals_go_from_edge_zone_to_opposite_edge_zone() -> None:
    assert evidence([150, 100, 150, 200, 150, 200, 100, 150, 200])[3] == 3
    assert evidence([150, 100, 150, 100])[3] == 0


@pytest.mark.parametrize(
    ("closes", "share"),
    [
        ([150, 150], NAN),
        ([150, 250], NAN),
        ([150, 250, 150], 1.0),
        ([150, 250, 250, 250, 150], 1.0),
        ([250, 250, 250, 250, 150], 0.75),
        ([150, 250, 250, 250, 250], 0.0),
        ([250, 150, 50, 50, 50, 50], 0.5),
    ],
)
def test_a_breakout_has_failed_when_a_close_comes_back_within_three_bars(closes: list[int], share: float) -> None:
    assert evidence(closes)[4] == pytest.approx(share, nan_ok=True)


def test_containment_is_the_share_of_closes_inside() -> None:
    assert evidence([100, 200, 99, 201])[0] == 0.5
    assert evidence([99, 99, 150, 150], bars=2)[0] == 1.0
