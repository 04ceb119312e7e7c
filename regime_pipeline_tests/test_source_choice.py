"""Tests of `source_choice`: every source of a markets file is made as the file says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from regime_pipeline import bootstrap as source_choice
from regime_pipeline.bootstrap import open_workspace
from regime_pipeline.settings import Settings
from regime_pipeline.sources.archive import ArchiveSource
from regime_pipeline.sources.derived import EndedSource, ResampledSource
from regime_pipeline.sources.exchange import ExchangeSource
from regime_pipeline.sources.imported import ImportedSource
from regime_pipeline.sources.simulated import SimulatedSource

FILE = """
[partitions]
start = 2026-09-01T00:00:00Z

[[markets]]
symbol = "A-USDT"
timeframes = ["1m"]
source = "archive"
exchange = "binance"
until = 2026-10-01T00:00:00Z

[[markets]]
symbol = "A-USDT"
timeframes = ["1h"]
source = "resampled"

[[markets]]
symbol = "B-USDT"
timeframes = ["1h", "15m"]
source = "archive"
exchange = "binance"

[[markets]]
symbol = "C-USDT"
timeframes = ["1h"]
source = "exchange"
exchange = "kucoin"

[[markets]]
symbol = "D-USDT"
timeframes = ["1h"]
source = "files"

[[markets]]
symbol = "E-USDT"
timeframes = ["1h"]
source = "simulated"
"""


def test_each_market_has_the_source_that_the_file_names(home: Path, make_database: Callable[[], str]) -> None:
    (home / "markets.toml").write_text(FILE, "utf-8")
    settings = Settings(home=home, exchange_url="http://127.0.0.1:1", archive_url="http://127.0.0.1:1")

    with open_workspace(settings) as workspace:
        sources = [workspace.source_of(market) for market in workspace.universe.markets]

    kinds = [type(source) for source in sources]
    assert kinds == [
        EndedSource, ResampledSource, ArchiveSource, ArchiveSource, ExchangeSource, ImportedSource, SimulatedSource,
    ]  # fmt: skip
    assert sources[2] is sources[3], "one archive, one client"
    assert [source.venue for source in sources[2:5]] == ["binance", "binance", "kucoin"]


@pytest.mark.parametrize(("total", "is_terminal", "is_shown"), [(30, True, True), (3, True, False), (30, False, False)])
def test_progress_is_for_people_with_much_to_wait_for(total: int, is_terminal: bool, is_shown: bool) -> None:
    days = [None] * total
    with patch.object(source_choice.sys.stderr, "isatty", lambda: is_terminal, create=True):
        shown = source_choice._shown(days, total)

    assert (shown is not days) == is_shown
    assert list(shown) == days
