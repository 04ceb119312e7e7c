"""Snapshots, bundles, grids, market lists, policies: any bytes give a value or a sentence, never another exception."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import orjson
import pytest
import tomlkit
import yaml  # type: ignore[import-untyped]
from hypothesis import given

from regime_pipeline.domain.grids.formats import to_json
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.policy import load_policy
from regime_pipeline.python_api.verdicts import _read as read_bundle
from regime_pipeline.services.grid_files import read_histories
from regime_pipeline.services.universe import load_universe
from regime_pipeline.storage.snapshots.bundle import candles_of_bundle
from regime_pipeline.storage.snapshots.codec import bar_rows, encode, hash_of, to_document
from regime_pipeline.storage.snapshots.validation import decode, from_document
from regime_pipeline_tests.conftest import REPOSITORY
from regime_pipeline_tests.domain.grids.factories import history_of
from regime_pipeline_tests.property.hostile_inputs import (
    VALUES,
    altered,
    as_toml,
    damaged,
    fuzzed,
    read_or_refuse,
    sealed,
)
from regime_pipeline_tests.storage.snapshots.factories import HOURLY, MINUTES, hour_of, random_candles, snapshots_of

LATER = snapshots_of(random_candles(HOURLY, 6), 6)[-1]
HISTORY = {"hours": 5, "price_scale": 100, "bars": bar_rows(random_candles(HOURLY, 6))[:-1]}
BUNDLE = json.loads(orjson.dumps({**to_document(LATER), "historical_data": {**HISTORY, "sha256": hash_of(HISTORY)}}))
SNAPSHOT = json.loads(encode(hour_of(HOURLY)))
SNAPSHOTS = (encode(hour_of(HOURLY)), encode(hour_of(MINUTES)))
GRIDS = json.loads(to_json(history_of({}, {"levels": 8})))
MARKETS = (REPOSITORY / "markets.toml").read_bytes()
POLICY = (REPOSITORY / "regime_pipeline" / "policy" / "policy.toml").read_bytes()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bytes], Path]:
    folder = tmp_path_factory.mktemp("hostile")

    def write(name: str, data: bytes) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return write


Reader = Callable[[Callable[[str, bytes], Path], bytes], object]
READERS: dict[str, tuple[Reader, tuple[bytes, ...]]] = {
    "snapshot": (lambda _, data: decode(data), SNAPSHOTS),
    "bundle": (lambda file, data: candles_of_bundle(read_bundle(file("b.json", data))), (orjson.dumps(BUNDLE),)),
    "grids.json": (lambda file, data: read_histories(file("g.json", data)), (json.dumps(GRIDS).encode(),)),
    "grids.toml": (lambda file, data: read_histories(file("g.toml", data)), (tomlkit.dumps(GRIDS).encode(),)),
    "markets.toml": (lambda file, data: load_universe(file("m.toml", data)), (MARKETS,)),
    "policy.toml": (lambda file, data: load_policy(file("p.toml", data)), (POLICY,)),
}


@pytest.mark.parametrize("kind", READERS)
def test_sound_documents_are_read_and_damaged_ones_read_or_refused(
    file: Callable[[str, bytes], Path], kind: str
) -> None:
    read, sound = READERS[kind]
    for data in sound:
        assert read(file, data)

    @fuzzed(80)
    @given(damaged(sound))
    def try_damaged(data: bytes) -> None:
        read_or_refuse(lambda: read(file, data))

    try_damaged()


@fuzzed(150)
@given(altered(SNAPSHOT).map(sealed) | VALUES)
def test_any_snapshot_document(document: Any) -> None:
    read_or_refuse(lambda: decode(json.dumps(document).encode()))
    text = yaml.safe_dump(document)
    if isinstance(document, dict) and isinstance(found := yaml.safe_load(text), dict):
        read_or_refuse(lambda: from_document(found))


@fuzzed(100)
@given(altered(BUNDLE).map(sealed))
def test_any_bundle(document: Any) -> None:
    if isinstance(document, dict):
        read_or_refuse(lambda: candles_of_bundle(document))


@fuzzed(150)
@given(altered(GRIDS))
def test_any_grid_document(file: Callable[[str, bytes], Path], document: Any) -> None:
    read_or_refuse(lambda: read_histories(file("g.json", json.dumps(document).encode())))
    read_or_refuse(lambda: read_histories(file("g.toml", as_toml(document).encode())))


@fuzzed(100)
@given(altered(tomllib.loads(MARKETS.decode())))
def test_any_list_of_markets(file: Callable[[str, bytes], Path], document: Any) -> None:
    read_or_refuse(lambda: load_universe(file("m.toml", as_toml(document).encode())))


@fuzzed(100)
@given(altered(tomllib.loads(POLICY.decode())))
def test_any_policy(file: Callable[[str, bytes], Path], document: Any) -> None:
    read_or_refuse(lambda: load_policy(file("p.toml", as_toml(document).encode())))


@fuzzed(200)
@given(st.text(max_size=40) | st.sampled_from(["../x_1h", "ETH-USDT_1h/../..", "ETH\x00-USDT_1h", "\uff25TH-USDT_1h"]))
def test_no_market_leaves_its_folder(text: str) -> None:
    def read() -> None:
        market = Market.parse(text)
        assert set(market.key) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_mhd")

    read_or_refuse(read)


@fuzzed(200)
@given(st.text(max_size=40) | st.datetimes().map(str) | st.datetimes(timezones=st.timezones()).map(str))
def test_any_time(text: str) -> None:
    read_or_refuse(lambda: to_ms(text))
