"""Tests of `pipeline.partitions`."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.pipeline.partitions import MarketHours, build_partitions, partition_key, range_tags
from regime_pipeline.services.universe import MarketSpec, Universe

START = to_ms("2020-02-01T00:00:00Z")
MARKETS = tuple(Market(symbol, timeframe) for symbol in ("ZEC-USDT", "BTC-USDT") for timeframe in ("1m", "1h"))
UNIVERSE = Universe(tuple(MarketSpec(m, "simulated", 100) for m in MARKETS), START, START + 48 * HOUR_MS)


@dataclass
class FakeContext:
    partition_keys: list[str]


def test_dimensions_are_hour_and_market() -> None:
    partitions = build_partitions(UNIVERSE)

    assert [dimension.name for dimension in partitions.partitions_defs] == ["hour", "market"]
    assert partitions.get_num_partitions() == 48 * len(MARKETS)
    assert "2020-02-01-00:00|ZEC-USDT_1m" in partitions.get_partition_keys()


def test_the_open_hour_has_no_partition() -> None:
    partitions = build_partitions(Universe(UNIVERSE.specs, START, None))
    now = datetime(2020, 2, 1, 5, 59, tzinfo=UTC)

    keys = partitions.get_partition_keys(current_time=now)

    assert f"2020-02-01-04:00|{MARKETS[0]}" in keys
    assert not any(key.startswith("2020-02-01-05") for key in keys)


def test_the_keys_of_a_range_are_dagsters_however_often_and_in_turn_they_are_asked_for() -> None:
    ours = build_partitions(UNIVERSE)
    dagsters = dg.MultiPartitionsDefinition({each.name: each.partitions_def for each in ours.partitions_defs})
    ranges = [
        dg.PartitionKeyRange(partition_key(first, START), partition_key(last, START + hours * HOUR_MS))
        for first, last, hours in (
            (MARKETS[0], MARKETS[-1], 47),
            (MARKETS[1], MARKETS[1], 5),
            (MARKETS[1], MARKETS[2], 5),
        )
    ]
    for asked in (*ranges, *ranges, ranges[-1]):
        found = ours.get_partition_keys_in_range(asked)
        assert found == dagsters.get_partition_keys_in_range(asked)
        assert all(isinstance(key, dg.MultiPartitionKey) for key in found)
        assert isinstance(found, list)
        found.clear()  # the caller's own


@pytest.mark.parametrize(("grain", "step", "count"), [("hour", HOUR_MS, 48), ("day", 24 * HOUR_MS, 2)])
def test_every_key_is_printed_as_dagster_prints_it(grain: str, step: int, count: int) -> None:
    keys = set(build_partitions(UNIVERSE, grain).get_partition_keys())

    printed = {partition_key(market, START + row * step, grain) for market in MARKETS for row in range(count)}

    assert printed == keys


@given(rows=st.lists(st.tuples(st.sampled_from(MARKETS), st.integers(0, 47)), min_size=1, max_size=60, unique=True))
def test_slices_hold_exactly_the_keys_in_contiguous_windows(rows: list[tuple[Market, int]]) -> None:
    keys = [partition_key(market, START + hour * HOUR_MS) for market, hour in rows]

    slices = list(MarketHours(FakeContext(keys)))

    assert sorted(key for part in slices for key in part.keys) == sorted(keys)
    for part in slices:
        assert part.keys == tuple(partition_key(part.market, start) for start in part.starts_ms)
        assert len(part.window) == len(part.keys)
    windows = sorted((str(part.market), part.window) for part in slices)
    for (market, window), (following, later) in pairwise(windows):
        assert market != following or window.end_ms < later.start_ms


def test_a_day_partition_is_a_window_of_24_hours() -> None:
    (part,) = MarketHours(FakeContext([f"2020-02-01|{MARKETS[0]}", f"2020-02-02|{MARKETS[0]}"]))

    assert part.window == Window(START, START + 48 * HOUR_MS)
    assert list(part.starts_ms) == [START, START + 24 * HOUR_MS]


@pytest.mark.parametrize("grain", ["hour", "day"])
def test_range_tags_select_a_rectangle(grain: str) -> None:
    partitions = build_partitions(UNIVERSE, grain)
    tags = range_tags(MARKETS[1], MARKETS[2], Window(START, START + 24 * HOUR_MS), grain)

    keys = partitions.get_partition_keys_in_range(
        dg.PartitionKeyRange(tags["dagster/asset_partition_range_start"], tags["dagster/asset_partition_range_end"])
    )

    slices = list(MarketHours(FakeContext(list(keys))))
    assert {part.market for part in slices} == {MARKETS[1], MARKETS[2]}
    assert {part.window for part in slices} == {Window(START, START + 24 * HOUR_MS)}
