"""Known episodes of real markets, `episodes.toml`: verdicts as reviewed, each with its reason."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path
from typing import Any

import pytest

from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.resample import resample_complete
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.domain.verdicts.engine import analyze, reach_hours
from regime_pipeline.services.imports.plan import read_files
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline_tests.domain.verdicts.factories import NULLS, POLICY

EPISODES = tomllib.loads(Path(__file__).with_name("episodes.toml").read_text("utf-8"))["episodes"]
MINUTES = Market("BTC-USDT", "1m")
LATER = to_ms("2026-01-01T00:00:00Z")


@pytest.mark.parametrize("episode", EPISODES, ids=lambda episode: episode["name"])
def test_a_known_episode_has_the_reviewed_verdicts(shared_data: Path, episode: dict[str, Any]) -> None:
    folder = shared_data / "binance-vision/data/spot/daily/klines/BTCUSDT/1m"
    start = to_ms(episode["start"])
    window = Window(start, start + sum(hours for _, hours in episode["runs"]) * HOUR_MS)
    files = sorted(path for pattern in episode["files"] for path in folder.glob(pattern))
    candles = read_files(files, MINUTES, ReadOptions(), LATER).candles
    if episode["timeframe"] != "1m":
        candles = resample_complete(candles, episode["timeframe"])
    reach_ms = reach_hours(candles.market, POLICY) * HOUR_MS

    rows = analyze(candles.between(start - reach_ms, window.end_ms), window.hours, POLICY, NULLS).verdicts

    names = [VERDICTS[code] for code in rows["verdict"]]
    assert [[name, len(list(run))] for name, run in itertools.groupby(names)] == episode["runs"], episode["reason"]


def test_every_episode_has_a_reason() -> None:
    assert len(EPISODES) == 3
    assert all(len(episode["reason"].split()) > 20 for episode in EPISODES)
