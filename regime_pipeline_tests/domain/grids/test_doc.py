"""docs/grids.md names every field, action, trigger and foreign field there is."""

from __future__ import annotations

import pytest

from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.formats import to_freqtrade, to_hummingbot, to_threecommas
from regime_pipeline.domain.grids.quick_stops import GridHealth, quick_stops
from regime_pipeline.domain.grids.schema import ACTIONS, ADVICE_STATUSES
from regime_pipeline_tests.conftest import REPOSITORY
from regime_pipeline_tests.domain.grids.factories import POLICY, grid

PAGE = (REPOSITORY / "docs" / "grids.md").read_text("utf-8")
OTHERS = {
    "type",
    "connector_name",
    "side",
    "triple_barrier_config",
    "order_currency_type",
    "position_adjustment_enable",
}
CALM = GridHealth((100.0,), 1.0, 0.0, 0.0, (), 0.0, 0)


def foreign_fields() -> set[str]:
    config = grid()
    exports = to_hummingbot(config, "binance"), to_threecommas(config), to_freqtrade(config)
    return {name for export in exports for name in export if not name.endswith("_enabled")} - OTHERS


@pytest.mark.parametrize(
    "name",
    sorted(
        set(GridConfig.model_fields)
        | foreign_fields()
        | set(ACTIONS)
        | set(ADVICE_STATUSES) - {"OK"}
        | {made.name for made in quick_stops(grid(), CALM, POLICY)}
    ),
)
def test_the_page_names_it(name: str) -> None:
    assert f"`{name}`" in PAGE or f"`{name}, " in PAGE
