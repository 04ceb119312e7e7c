"""Properties 39.1 to 39.3 at the source: the policy cannot leave the seed's ranges."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from regime_pipeline.policy import default_policy
from regime_pipeline.policy.grids import GridsPolicy

BTC = {"half_width_pct": 5.0, "limit_distance_pct": 2.0, "levels": 10, "spacing": "geometric"}


def with_value(path: str, value: Any) -> dict[str, Any]:
    """The shipped section as plain values with one of them changed."""
    values = default_policy().grids.model_dump()
    *parents, name = path.split(".")
    place = values
    for parent in parents:
        place = place[parent]
    place[name] = value
    return values


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("outside_closes", 0, "greater than or equal to 1"),
        ("reposition_iou_below", 1.1, "less than or equal to 1"),
        ("reposition_gap_bars", 0, "greater than or equal to 1"),
        ("probation.allocation_share", 0.49, "greater than or equal to 0.5"),
        ("probation.allocation_share", 0.61, "less than or equal to 0.6"),
        ("probation.levels", 7, "less than or equal to 6"),
        ("probation.min_levels", 3, "greater than or equal to 4"),
        ("probation.min_levels", 6, "min_levels = 6 must not exceed levels = 5"),
        ("probation.spacing_atr", 0.44, "greater than or equal to 0.45"),
        ("probation.max_spacing_atr", 0.56, "less than or equal to 0.55"),
        ("probation.max_spacing_atr", 0.46, "spacing_atr = 0.5 must lie between min_spacing_atr = 0.45 and"),
        ("probation.min_spacing_atr", 0.51, "and max_spacing_atr = 0.55"),
        ("probation.min_post_stop_bars", 15, "greater than or equal to 16"),
        ("graduation.range_ok_share_from", 1.1, "less than or equal to 1"),
        ("graduation.min_round_trips", 0, "greater than or equal to 1"),
        ("graduation.recent_bars", 25, "recent_bars = 25 must not exceed min_bars = 24"),
        ("quick_stops.inventory_share_above", 0.4, "greater than or equal to 0.5"),
        ("quick_stops.edge_atr", 0.0, "greater than 0"),
        ("defaults.half_width_pct", 97.0, "half_width_pct + limit_distance_pct = 101 must stay below 100"),
        ("defaults.levels", 1, "greater than or equal to 2"),
        ("defaults.spacing", "fibonacci", "'arithmetic' or 'geometric'"),
        ("symbol_defaults.btcusdt", BTC, "should match pattern"),
    ],
)
def test_property_39_1_a_threshold_out_of_its_range_is_refused(path: str, value: Any, says: str) -> None:
    with pytest.raises(ValidationError) as raised:
        GridsPolicy.model_validate(with_value(path, value))

    (error,) = raised.value.errors()
    assert says in error["msg"]
    assert error["loc"][0] == path.split(".")[0]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("probation.allocation_share", 0.5),
        ("probation.allocation_share", 0.6),
        ("probation.levels", 6),
        ("probation.min_levels", 5),
        ("probation.spacing_atr", 0.45),
        ("probation.spacing_atr", 0.55),
        ("symbol_defaults.ETH-USDT", BTC),
    ],
)
def test_the_ends_of_the_ranges_are_accepted_and_change_the_hash(path: str, value: Any) -> None:
    assert GridsPolicy.model_validate(with_value(path, value)).hash != default_policy().grids.hash


def test_the_shipped_thresholds_are_the_specified_ones() -> None:
    grids = default_policy().grids
    probation, graduation, stops = grids.probation, grids.graduation, grids.quick_stops

    assert (probation.allocation_share, probation.levels, probation.spacing_atr) == (0.55, 5, 0.50)
    assert (graduation.min_bars, graduation.range_ok_share_from, graduation.min_round_trips) == (24, 0.8, 2)
    assert (graduation.excursion_spacings_below, graduation.net_quote_from) == (1.0, 0.0)
    assert graduation.recent_bars == 24
    assert (stops.edge_atr, stops.outside_closes, stops.inventory_share_above, stops.inventory_bars) == (
        0.5,
        2,
        0.8,
        12,
    )
    assert (stops.drawdown_spacings_above, stops.data_age_bars_above) == (1.5, 2)
