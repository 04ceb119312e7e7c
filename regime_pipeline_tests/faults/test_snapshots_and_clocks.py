"""Snapshot files cut off or edited are refused and replaced; clocks that jump lose no hour and change no row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import orjson
import pytest

from regime_pipeline.domain.errors import BadSnapshotError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.services.chain.scheduling import frontier, next_window, recheck_from
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.storage.snapshots.codec import encode
from regime_pipeline.storage.snapshots.store import SnapshotReport, SnapshotStore
from regime_pipeline_tests.factories import (
    START,
    assert_same_bytes,
    dump,
    hours_from_start,
    run_stages,
    simulated_workspace,
)
from regime_pipeline_tests.storage.snapshots.factories import HOURLY, hour_of
from regime_pipeline_tests.storage.snapshots.factories import START as SNAPSHOT_MS

pytestmark = pytest.mark.faults

MARKET = Market("ALFA-USDT", "15m")
HOURS = 48
JUMPS = {**dict.fromkeys(range(10, 13), 5), **dict.fromkeys(range(20, 25), -7), 36: 9, 37: -30}
"""By how many hours the clock is wrong in which hour."""


def test_a_file_cut_at_any_byte_or_with_any_bit_turned_is_refused_and_replaced(tmp_path: Path) -> None:
    store, whole = SnapshotStore(str(tmp_path)), hour_of(HOURLY)
    store.write([whole])
    path = tmp_path / "2020/03/12/00/ETH-USDT_1h.json"
    good = path.read_bytes()
    hashed = good.index(b'"collected_at"')  # when it was collected is not in the hash; every byte before it is
    cuts = [good[:length] for length in range(len(good))]
    turned = [good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in range(hashed)]
    for damaged in [data for data in cuts + turned if not says_the_same(data, good)]:
        path.write_bytes(damaged)
        with pytest.raises(BadSnapshotError, match=r"ETH-USDT_1h\.json"):
            store.read_candles(HOURLY, SNAPSHOT_MS, SNAPSHOT_MS + HOUR_MS)
        assert store.write([whole]) == SnapshotReport(revised=1)
        assert encode(store.load(HOURLY, SNAPSHOT_MS) or whole) == encode(whole)
        path.with_name("ETH-USDT_1h.r2.json").unlink()
    assert len(cuts) + len(turned) > 900


def says_the_same(data: bytes, good: bytes) -> bool:
    """Another last digit of a float may be the same number."""
    try:
        return bool(orjson.loads(data) == orjson.loads(good))
    except orjson.JSONDecodeError:
        return False


class Clock:
    """A clock that a test sets."""

    now_ms = START

    def __call__(self) -> int:
        return self.now_ms


def live(ws: Workspace, clock: Clock, wrong_by: Mapping[int, int]) -> int:
    """Run what the hourly sensor asks for, hour by hour; return how many hours were run, all runs together."""
    cursor, ran = None, 0
    for hour in range(1, HOURS + 1):
        clock.now_ms = START + (hour + wrong_by.get(hour, 0)) * HOUR_MS
        closed = frontier(ws).closed_ms
        window = next_window(ws.universe, closed, cursor, 168, recheck_from(ws, closed))
        if window is not None:
            run_stages(ws, MARKET, [window])
            cursor, ran = window.end_ms, ran + len(window)
    return ran


def test_a_clock_that_jumps_loses_no_hour_and_changes_no_row(make_database: Callable[[], str], tmp_path: Path) -> None:
    steady, jumping = Clock(), Clock()
    with (
        simulated_workspace(make_database(), tmp_path / "a", [MARKET], clock=steady) as one,
        simulated_workspace(make_database(), tmp_path / "b", [MARKET], clock=jumping) as other,
    ):
        live(one, steady, {})
        assert live(other, jumping, JUMPS) >= HOURS
        window = hours_from_start(0, HOURS)
        assert len(one.warehouse.read_range("dashboard_hours", MARKET, window)["hour_start"]) == HOURS
        assert_same_bytes(dump(one, MARKET, window), dump(other, MARKET, window))
