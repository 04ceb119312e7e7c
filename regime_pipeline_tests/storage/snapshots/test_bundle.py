"""Bundles and YAML: one file that says everything, or is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from regime_pipeline.domain.errors import BadSnapshotError, MissingDataError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.storage.snapshots.bundle import bundle, candles_of_bundle, to_yaml, yaml_name
from regime_pipeline.storage.snapshots.codec import encode, hash_of
from regime_pipeline.storage.snapshots.store import SnapshotStore
from regime_pipeline.storage.snapshots.validation import from_document
from regime_pipeline_tests.storage.snapshots.factories import (
    HOURLY,
    MINUTES,
    START,
    assert_same_candles,
    random_candles,
    snapshots_of,
)


def filled(tmp_path: Path, market: Market, hours: int = 48) -> SnapshotStore:
    store = SnapshotStore(str(tmp_path))
    store.write(snapshots_of(random_candles(market, hours), hours))
    return store


def as_file(document: dict[str, Any]) -> dict[str, Any]:
    return dict(orjson.loads(orjson.dumps(document)))


@pytest.mark.parametrize(("timeframe", "history"), [("1m", 3), ("1h", 40), ("1h", 0), ("4h", 30), ("1d", 40)])
def test_a_bundle_holds_the_candles_of_its_hours(tmp_path: Path, timeframe: str, history: int) -> None:
    market = Market("ETH-USDT", timeframe)
    store = filled(tmp_path, market)
    hour = START + 47 * HOUR_MS

    document = as_file(bundle(store, market, hour, history))

    candles = random_candles(market, 48)
    closes = candles.close_time_ms
    inside = (closes > hour - history * HOUR_MS) & (closes <= hour + HOUR_MS)
    assert_same_candles(candles_of_bundle(document), candles[inside])
    assert document["historical_data"]["hours"] == history
    assert encode(from_document(document)) == encode(store.load(market, hour))


def test_history_may_be_short_and_of_another_scale(tmp_path: Path) -> None:
    store = SnapshotStore(str(tmp_path))
    first, second = snapshots_of(random_candles(HOURLY, 2), 2)
    finer = snapshots_of(random_candles(HOURLY, 2, price_scale=1000), 2)[1]
    store.write([first, finer])

    candles = candles_of_bundle(bundle(store, HOURLY, START + HOUR_MS, 500))

    assert candles.price_scale == 1000
    assert candles.close.tolist() == [10 * int(first.bars.close[0]), int(second.bars.close[0])]


def test_a_bundle_as_of_a_time_holds_what_was_known(tmp_path: Path) -> None:
    store = SnapshotStore(str(tmp_path))
    known = snapshots_of(random_candles(HOURLY, 3), 3, 1000)
    store.write([*known, *snapshots_of(random_candles(HOURLY, 3, seed=9), 3, 2000)])

    candles = candles_of_bundle(bundle(store, HOURLY, START + 2 * HOUR_MS, 2, START + 1500 * HOUR_MS))

    assert_same_candles(candles, random_candles(HOURLY, 3))


def test_no_snapshot_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="no snapshot of ETH-USDT_1h 2020-03-12T00:00:00Z"):
        bundle(SnapshotStore(str(tmp_path)), HOURLY, START, 5)


def rehashed(history: dict[str, Any]) -> None:
    history["sha256"] = hash_of({name: value for name, value in history.items() if name != "sha256"})


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda d: d.pop("historical_data"), "no historical_data"),
        (lambda d: d["historical_data"].pop("sha256"), "missing field historical_data.sha256"),
        (lambda d: d["historical_data"]["bars"].pop(), "the hash of historical_data does not match"),
        (lambda d: d["bars"].pop(), "1 of 1 bars are missing"),
        (lambda d: (d["historical_data"].update(hours=3), rehashed(d["historical_data"])), "outside its 3 hours"),
        (
            lambda d: (d["historical_data"]["bars"].append(d["bars"][0]), rehashed(d["historical_data"])),
            "outside its 10 hours",
        ),
        (
            lambda d: (d["historical_data"]["bars"].reverse(), rehashed(d["historical_data"])),
            "not after the candle before it",
        ),
    ],
)
def test_a_damaged_bundle_is_refused(tmp_path: Path, change: Callable[[Any], object], fault: str) -> None:
    document = as_file(bundle(filled(tmp_path, HOURLY), HOURLY, START + 20 * HOUR_MS, 10))
    change(document)

    with pytest.raises(BadSnapshotError, match=fault):
        candles_of_bundle(document)


def test_yaml_says_the_same(tmp_path: Path) -> None:
    snapshot = snapshots_of(random_candles(MINUTES, 11)[:640], 11)[10]

    text = to_yaml(snapshot)

    assert yaml.safe_load(text) == json.loads(encode(snapshot))
    assert encode(from_document(yaml.safe_load(text))) == encode(snapshot)
    assert yaml_name(snapshot) == "10_ETH-USDT_1m.yaml"
    assert text.splitlines()[:2] == ["schema_version: 1", "symbol: ETH-USDT"]
