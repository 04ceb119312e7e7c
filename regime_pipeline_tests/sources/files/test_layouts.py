from __future__ import annotations

import pytest

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.sources.files.layouts import ReadOptions, positions_by_name


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"layout": "binance"}, r"'binance' is not a layout\. Use one of auto, kucoin, lean"),
        ({"timezone": "Europe/Berlin"}, "cannot be read as 'Europe/Berlin'. Only UTC"),
        ({"columns": ("time", "open", "high", "low", "close")}, "--columns must name volume once"),
        ({"columns": ("time", "time", "open", "high", "low", "close", "volume")}, "--columns must name time once"),
        ({"price_scale": -1}, "A price scale of -1 is not possible"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        ReadOptions(**options)  # type: ignore[arg-type]


def test_of_several_time_columns_the_open_time_wins() -> None:
    names = ["date", "unix", "Open Time", "open", "high", "low", "close", "volume"]
    assert positions_by_name(names) == [2, 3, 4, 5, 6, 7]
