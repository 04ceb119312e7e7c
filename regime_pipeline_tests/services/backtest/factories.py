"""Backtests for tests: rows drawn by hypothesis, snapshots of simulated markets without a database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.completeness import hour_statuses
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.snapshot import build_snapshots
from regime_pipeline.domain.market_data.window import Window, bars_closing_in, to_iso
from regime_pipeline.domain.schema import DIRECTIONS, VERDICTS
from regime_pipeline.services.backtest.classes import ABSTAIN, CLASSES
from regime_pipeline.services.backtest.hours import BacktestHours
from regime_pipeline.services.backtest.readers import SnapshotVerdicts
from regime_pipeline.services.backtest.runner import Backtest, run_backtest
from regime_pipeline.sources.simulated import SimulatedSource
from regime_pipeline.storage.snapshots.reader import SnapshotReader
from regime_pipeline.storage.snapshots.store import SnapshotStore
from regime_pipeline_tests.factories import NOW, START, hours_from_start

ALFA, BRAVO = Market("ALFA-USDT", "1h"), Market("BRAVO-USDT", "1h")
SEED, SCALE = 7, 100
STORED = hours_from_start(0, 520)
JUDGED = hours_from_start(300, 520)
"""The first hours of it are still warming up."""
GAP = hours_from_start(400, 403)


def candles_of(market: Market, window: Window, seed: int = SEED) -> Candles:
    """Simulated candles that close in a window."""
    opens = bars_closing_in(market, window)
    source = SimulatedSource(seed, lambda: NOW, 100)
    return source.fetch(market, int(opens[0]), int(opens[-1]) + market.step_ms).candles


def store_snapshots(folder: Path, market: Market, window: Window = STORED, without: Sequence[Window] = ()) -> None:
    """Write the snapshots of a simulated market; the hours of `without` get none."""
    candles = candles_of(market, window)
    span = ((window.start_ms - market.step_ms, window.end_ms),)
    status = hour_statuses(market, window, candles, span)["status"]
    snapshots = build_snapshots(candles, status, window, source="simulated", config_hash="", collected_at_ms=NOW)
    lacking = {hour for gap in without for hour in gap.hours.tolist()}
    SnapshotStore(str(folder)).write([s for s in snapshots if s.hour_start_ms not in lacking])


def reader_of(folder: Path) -> SnapshotVerdicts:
    return SnapshotVerdicts(SnapshotReader(SnapshotStore(str(folder))))


def judged(folder: Path, symbols: Sequence[str], window: Window = JUDGED, **options: Any) -> Backtest:
    return run_backtest(
        reader_of(folder), symbols, to_iso(window.start_ms), to_iso(window.end_ms), seed=SEED, **options
    )


def hours_of(market: Market, rows: Sequence[tuple[int, int, float, int, float, float, int, int]]) -> BacktestHours:
    """Rows as tuples: place, verdict, confidence, direction, close, next return, truth, hindsight."""
    place, verdict, confidence, direction, close, after, truth, hindsight = (
        zip(*rows, strict=True) if rows else [()] * 8
    )
    return BacktestHours(
        market=market,
        asked=max(place, default=0) + 1,
        price_scale=SCALE,
        policies=("p",),
        hour_start=START + np.array(place, dtype=np.int64) * HOUR_MS,
        verdict=np.array(verdict, dtype=np.int8),
        direction=np.array(direction, dtype=np.int8),
        confidence=np.array(confidence, dtype=np.float64),
        close=np.array(close, dtype=np.float64),
        next_return_bps=np.array(after, dtype=np.float64),
        truth=np.array(truth, dtype=np.int8),
        hindsight=np.array(hindsight, dtype=np.int8),
    )


_LABEL = st.sampled_from([ABSTAIN, *range(len(CLASSES))])
_ROW = st.tuples(
    st.sampled_from([1, 1, 1, 2, 5]),
    st.integers(0, len(VERDICTS) - 1),
    st.floats(0.0, 1.0),
    st.integers(0, len(DIRECTIONS) - 1),
    st.one_of(st.just(float("nan")), st.floats(1.0, 1e4)),
    st.one_of(st.just(float("nan")), st.integers(-500_000, 500_000).map(lambda n: n / 1_000)),
    _LABEL,
    _LABEL,
)


@st.composite
def market_rows(draw: st.DrawFn, market: Market = ALFA, least: int = 0) -> BacktestHours:
    """Rows with gaps, absent closes and absent labels."""
    rows = draw(st.lists(_ROW, min_size=least, max_size=60))
    places = np.cumsum([row[0] for row in rows]) - 1 if rows else []
    return hours_of(market, [(int(place), *row[1:]) for place, row in zip(places, rows, strict=True)])
