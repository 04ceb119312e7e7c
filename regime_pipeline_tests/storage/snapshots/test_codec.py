"""Snapshots to JSON: the canonical text, its hash, and rounding."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.domain.errors import BadCandlesError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.storage.snapshots.codec import (
    candles_of_columns,
    columns_of,
    content_hash,
    encode,
    to_document,
)
from regime_pipeline.storage.snapshots.validation import decode
from regime_pipeline_tests.storage.snapshots.factories import (
    HOURLY,
    MINUTES,
    START,
    assert_same_candles,
    content_sha256,
    hour_of,
    random_candles,
    snapshots_of,
)


def test_the_text_is_exactly_this() -> None:
    price = np.array([20_000])
    bars = Candles(HOURLY, 100, np.array([START]), price, price + 50, price - 50, price + 25, np.array([1.5]))

    text = encode(snapshots_of(bars, 1)[0]).decode()

    assert text == (
        '{"schema_version":1,"symbol":"ETH-USDT","timeframe":"1h","hour_start":"2020-03-12T00:00:00Z",'
        '"price_scale":100,"bars":[[1583971200000,20000,20050,19950,20025,1.5]],'
        '"market_summary":{"open":20000,"high":20050,"low":19950,"close":20025,"volume":1.5,"bar_count":1,'
        '"return_pct":0.125},'
        '"metadata":{"source":"test","expected":1,"present":1,"status":"complete","gaps":[],"config_hash":"c0ffee",'
        '"sha256":"SHA","collected_at":"2020-04-22T16:00:00Z"}}'
    ).replace("SHA", json.loads(text)["metadata"]["sha256"])


def test_the_hash_can_be_verified_with_the_standard_library() -> None:
    import hashlib

    document = json.loads(encode(hour_of(MINUTES)))
    stated = document["metadata"].pop("sha256")
    del document["metadata"]["collected_at"]
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))

    assert hashlib.sha256(canonical.encode()).hexdigest() == stated


def test_content_has_one_hash_whenever_it_was_collected() -> None:
    early, late, other = hour_of(MINUTES), hour_of(MINUTES, collected_hours=2000), hour_of(MINUTES, seed=2)

    assert encode(early) != encode(late)
    assert content_sha256(early) == content_sha256(late) != content_sha256(other)


@pytest.mark.parametrize("field", ["source", "status", "config_hash", "expected", "present", "gaps"])
def test_the_hash_covers_the_metadata(field: str) -> None:
    document = json.loads(encode(hour_of(MINUTES)))
    before = content_hash(document)

    document["metadata"][field] = "other"

    assert content_hash(document) != before


def test_the_hash_does_not_depend_on_the_layout_of_the_text() -> None:
    document = to_document(hour_of(MINUTES))
    indented = json.dumps(document, indent=2, sort_keys=True).encode()

    assert content_sha256(decode(indented)) == document["metadata"]["sha256"]


@given(
    price=st.floats(1e-5, 1e5, allow_nan=False),
    decimals=st.integers(0, 10),
    volume=st.floats(0, 1e300, allow_nan=False),
)
def test_a_price_comes_back_within_half_a_tick(price: float, decimals: int, volume: float) -> None:
    scale = 10**decimals
    if round(price * scale) < 1:
        scale = 10**10
    prices = [np.array([price])] * 4
    bars = Candles.from_prices(HOURLY, scale, np.array([START]), prices, np.array([volume]))

    back = decode(encode(snapshots_of(bars, 1)[0])).bars

    assert_same_candles(back, bars)
    assert abs(back.prices("close")[0] - price) <= 0.5 / scale + 1e-9 * price


def test_a_coin_at_a_hundred_thousandth_survives() -> None:
    prices = [np.array([0.00001234])] * 4
    bars = Candles.from_prices(HOURLY, 10**8, np.array([START]), prices, np.array([1e9]))

    assert decode(encode(snapshots_of(bars, 1)[0])).bars.prices("open").tolist() == [0.00001234]


@given(st.integers(0, 2**32), st.sets(st.integers(0, 59)))
def test_any_hour_comes_back_whole(seed: int, present: set[int]) -> None:
    bars = random_candles(MINUTES, 1, seed)[np.array(sorted(present), dtype=np.int64)]
    (snapshot,) = snapshots_of(bars, 1)

    back = decode(encode(snapshot))

    assert_same_candles(back.bars, bars)
    assert encode(back) == encode(snapshot)
    assert (back.gaps, back.market_summary) == (snapshot.gaps, snapshot.market_summary)


def test_rows_must_have_six_values() -> None:
    with pytest.raises(ValueError, match="rows of 5 values instead of 6"):
        columns_of([(1, 2, 3, 4, 5)])


@pytest.mark.parametrize(("at", "value"), [(0, 1.5), (1, "20000"), (4, 2**70), (5, "1.0"), (5, None)])
def test_no_value_is_rounded_or_converted(at: int, value: object) -> None:
    row: list[object] = [START, 20_000, 20_000, 20_000, 20_000, 1.0]
    row[at] = value

    with pytest.raises(BadCandlesError, match="not an integer, or a volume is not a number"):
        candles_of_columns(HOURLY, 100, columns_of([row]))
