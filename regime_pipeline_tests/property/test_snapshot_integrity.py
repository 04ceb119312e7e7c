"""Properties 77 to 79 of the seed, as far as snapshots go: consistency, integrity and completeness for analysis."""

from __future__ import annotations

import csv
import io
import uuid
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.errors import BadSnapshotError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.completeness import COMPLETE, EXCHANGE_GAP, hour_statuses
from regime_pipeline.domain.market_data.market import HOUR_MS, MINUTE_MS, Market
from regime_pipeline.domain.market_data.resample import resample
from regime_pipeline.domain.market_data.snapshot import build_snapshots
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.storage.snapshots.bundle import bundle, candles_of_bundle
from regime_pipeline.storage.snapshots.codec import encode
from regime_pipeline.storage.snapshots.reader import SnapshotReader
from regime_pipeline.storage.snapshots.store import SnapshotReport, SnapshotStore
from regime_pipeline.storage.snapshots.validation import from_document
from regime_pipeline_tests.storage.snapshots.factories import (
    HOURLY,
    MINUTES,
    START,
    assert_same_candles,
    random_candles,
    snapshots_of,
)


def memory_store() -> SnapshotStore:
    return SnapshotStore(f"memory://{uuid.uuid4().hex}")


@settings(max_examples=25, deadline=None)
@given(data=st.data(), timeframe=st.sampled_from(["15m", "1h", "4h"]), seed=st.integers(0, 2**31))
def test_property_77_snapshots_give_the_candles_of_history(data: st.DataObject, timeframe: str, seed: int) -> None:
    """Whatever the order and portions of collection, and whatever span is read, the candles are those of history."""
    market = Market("ETH-USDT", timeframe)
    history = random_candles(market, 30, seed)
    keep = data.draw(st.lists(st.booleans(), min_size=len(history), max_size=len(history)))
    history = history[np.array(keep, dtype=bool)]
    snapshots = data.draw(st.permutations(snapshots_of(history, 30)))
    portion = data.draw(st.integers(1, 30))
    store = memory_store()
    for first in range(0, 30, portion):
        store.write(snapshots[first : first + portion])

    start = START + data.draw(st.integers(-24, 30)) * HOUR_MS
    end = start + data.draw(st.integers(0, 40)) * HOUR_MS

    expected = history.between(start, end)
    found = store.read_candles(market, start, end)
    if len(expected):
        assert_same_candles(found, expected)
    else:
        assert len(found) == 0
    last = START + 29 * HOUR_MS
    assert_same_candles(candles_of_bundle(bundle(store, market, last, 29 + 24)), history)


@settings(max_examples=50, deadline=None)
@given(absent=st.sets(st.integers(0, 59), min_size=1), seed=st.integers(0, 2**31))
def test_property_78_a_snapshot_has_sixty_minutes_or_names_the_absent_ones(absent: set[int], seed: int) -> None:
    """A file that lost minutes is refused, and each lost minute is named."""
    (snapshot,) = snapshots_of(random_candles(MINUTES, 1, seed), 1)
    document: dict[str, Any] = orjson.loads(encode(snapshot))
    assert len(document["bars"]) == 60
    document["bars"] = [row for at, row in enumerate(document["bars"]) if at not in absent]

    with pytest.raises(BadSnapshotError) as caught:
        from_document(document)

    named = caught.value.what.split("bars are missing: ")[1].split(";")[0].split(", ")
    assert named == [f"00:{minute:02}" for minute in sorted(absent)]
    assert "the hash does not match" in caught.value.what


@settings(max_examples=15, deadline=None)
@given(absent=st.sets(st.integers(0, 59), max_size=5), seed=st.integers(0, 2**31))
def test_property_78_the_files_of_an_hour_agree(absent: set[int], seed: int) -> None:
    """Files made of the same minutes tell of the same prices; absent minutes are faults, and the only ones."""
    minutes = random_candles(MINUTES, 1, seed)
    store = memory_store()
    for timeframe in ("5m", "15m", "1h"):
        store.write(snapshots_of(resample(minutes, timeframe), 1))
    store.write(snapshots_of(minutes[np.array(sorted(set(range(60)) - absent), dtype=np.int64)], 1))

    faults = SnapshotReader(store).validate_hour("ETH-USDT", "2020-03-12T00:00:00Z")

    assert len(faults) == bool(absent)
    assert all(f"00:{minute:02}" in faults[0] for minute in absent)


@settings(max_examples=25, deadline=None)
@given(hours=st.integers(1, 40), seed=st.integers(0, 2**31))
def test_property_79_a_snapshot_holds_all_that_analysis_needs(hours: int, seed: int) -> None:
    """One bundle, as JSON text and with no other file, gives the market, its prices, their scale and completeness."""
    history = random_candles(HOURLY, hours, seed, price_scale=10_000)
    store = memory_store()
    store.write(snapshots_of(history, hours))
    text = orjson.dumps(bundle(store, HOURLY, START + (hours - 1) * HOUR_MS, hours - 1))

    document = orjson.loads(text)
    snapshot = from_document(document)

    assert_same_candles(candles_of_bundle(document), history)
    assert (snapshot.market, snapshot.price_scale, snapshot.status) == (HOURLY, 10_000, "complete")
    assert snapshot.market_summary is not None
    assert {"source", "config_hash", "collected_at", "sha256", "gaps"} <= document["metadata"].keys()


def real_minutes(shared_data: Path, days: range) -> Candles:
    """BTC-USDT minutes of February 2018 as the exchange published them."""
    folder = shared_data / "binance-vision/data/spot/daily/klines/BTCUSDT/1m"
    rows: list[list[str]] = []
    for day in days:
        with zipfile.ZipFile(folder / f"BTCUSDT-1m-2018-02-{day:02}.zip") as archive:
            rows += csv.reader(io.StringIO(archive.read(archive.namelist()[0]).decode()))
    table = np.array([row[:6] for row in rows], dtype=np.float64)
    times = table[:, 0].astype(np.int64)
    return Candles.from_prices(Market("BTC-USDT", "1m"), 100, times, list(table[:, 1:5].T), table[:, 5])


def test_the_outage_of_february_2018_is_a_gap_and_nothing_is_invented(shared_data: Path, tmp_path: Path) -> None:
    minutes = real_minutes(shared_data, range(7, 12))
    window = Window(to_ms("2018-02-07T00:00:00Z"), to_ms("2018-02-12T00:00:00Z"))
    status = hour_statuses(minutes.market, window, minutes, ((0, window.end_ms),))["status"]
    snapshots = build_snapshots(
        minutes, status, window, source="archive", config_hash="c0ffee", collected_at_ms=window.end_ms
    )
    store = SnapshotStore(str(tmp_path))

    assert store.write(snapshots) == SnapshotReport(written=120)

    assert_same_candles(store.read_candles(minutes.market, window.start_ms, window.end_ms), minutes)
    statuses = store.read_statuses(minutes.market, window)
    assert set(statuses.tolist()) == {COMPLETE, EXCHANGE_GAP}
    assert int((statuses == EXCHANGE_GAP).sum()) >= 33
    dark = store.load(minutes.market, to_ms("2018-02-08T12:00:00Z"))
    assert dark is not None
    assert (dark.present, dark.market_summary) == (0, None)
    lost = sum((end - start) // MINUTE_MS for s in snapshots for start, end in s.gaps)
    assert lost == 5 * 1440 - len(minutes)
    assert lost >= 2011
