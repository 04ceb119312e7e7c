"""The known layouts of candle files: options that contradict each other, names of columns."""

from __future__ import annotations

import pytest

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.sources.files.layouts import ReadOptions, normalize


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"layout": "binance"}, r"'binance' is not a value of --layout\. Use one of auto, kucoin, lean"),
        ({"timezone": "Europe/Berlin"}, "cannot be read as 'Europe/Berlin'. Only UTC"),
        ({"columns": ("time", "open", "high", "low", "close")}, "--columns must name volume once"),
        ({"columns": ("time", "time", "open", "high", "low", "close", "volume")}, "--columns must name time once"),
        ({"price_scale": -1}, "A price scale of -1 is not possible"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        ReadOptions(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "normalized"),
    [
        ("Volume BTC", "volume_btc"),
        ("quoteVolume", "quote_volume"),
        ("<OPEN>", "open"),
        ("Vol.", "vol"),
        ("Volume_(BTC)", "volume_btc"),
        ("Eröffnung", "eroffnung"),
        ("Unnamed: 0", "unnamed_0"),
    ],
)
def test_names_are_compared_as_plain_words(name: str, normalized: str) -> None:
    assert normalize(name) == normalized
