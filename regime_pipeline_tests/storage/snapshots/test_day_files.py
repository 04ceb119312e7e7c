"""Files of days: they say what the files of their hours would, whatever is written when, and damage is seen."""

from __future__ import annotations

import hashlib
import itertools
import random
import re
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.errors import BadSnapshotError
from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS, TIMEFRAME_MINUTES, Market
from regime_pipeline.domain.market_data.snapshot import HourSnapshot
from regime_pipeline.storage.snapshots.codec import encode, to_document
from regime_pipeline.storage.snapshots.compaction import Compaction, compact
from regime_pipeline.storage.snapshots.day_files import Day, HourOfDay, encode_day
from regime_pipeline.storage.snapshots.store import SnapshotReport, SnapshotStore
from regime_pipeline_tests.conftest import REPOSITORY, SOAK
from regime_pipeline_tests.storage.snapshots.factories import (
    HOURLY,
    MINUTES,
    START,
    assert_same_candles,
    hour_of,
    random_candles,
    snapshots_of,
    span,
)

HOURS = 72


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(str(tmp_path) if request.param == "local" else f"memory://{uuid.uuid4().hex}", by_day=True)


@pytest.fixture
def local(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(str(tmp_path), by_day=True)


def files_under(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def days_of(market: Market, hours: int = HOURS, seed: int = 1, collected: int = 1000) -> list[HourSnapshot]:
    return snapshots_of(random_candles(market, hours, seed), hours, collected)


def assert_same(one: SnapshotStore, other: SnapshotStore, market: Market, as_of_ms: int | None = None) -> None:
    """Every way to read says the same of both."""
    end = START + HOURS * HOUR_MS
    left, right = (s.load_range(market, START, end, as_of_ms) for s in (one, other))
    assert [encode(s) for s in left] == [encode(s) for s in right]
    for start, stop in ((START - DAY_MS, end), (START + 5 * HOUR_MS + 1, START + 30 * HOUR_MS - 1)):
        assert_same_candles(*(s.read_candles(market, start, stop, as_of_ms) for s in (one, other)))
    np.testing.assert_array_equal(*(s.read_statuses(market, span(HOURS), as_of_ms) for s in (one, other)))
    np.testing.assert_array_equal(*(s.hours_present(market, START, end) for s in (one, other)))


@pytest.mark.parametrize("timeframe", TIMEFRAME_MINUTES)
def test_a_day_that_is_new_and_whole_is_one_file_and_reads_as_its_hours(store: SnapshotStore, timeframe: str) -> None:
    market = Market("BTC-USDT", timeframe)
    by_hour = SnapshotStore(f"memory://{uuid.uuid4().hex}")
    by_hour.write(days_of(market))

    assert store.write(days_of(market)) == SnapshotReport(written=HOURS)

    assert [store.day(market, START + day * DAY_MS) is not None for day in range(4)] == [True, True, True, False]
    assert_same(store, by_hour, market)
    assert store.write(days_of(market, collected=2000)) == SnapshotReport(unchanged=HOURS)
    assert_same(store, by_hour, market)


def test_its_name_and_what_else_is_written_by_the_hour(local: SnapshotStore, tmp_path: Path) -> None:
    local.write([*days_of(HOURLY, 24), *days_of(HOURLY, 27)[24:]])

    assert files_under(tmp_path) == ["2020/03/12/ETH-USDT_1h.day"] + [
        f"2020/03/13/0{hour}/ETH-USDT_1h.json" for hour in range(3)
    ]


def test_a_correction_is_a_file_of_its_hour_and_what_was_known_before_can_be_read(
    store: SnapshotStore, tmp_path: Path
) -> None:
    store.write(days_of(HOURLY, 24))
    for number, seed in enumerate((2, 3), 1):
        assert store.write([days_of(HOURLY, 24, seed, 1000 + number)[7]]) == SnapshotReport(revised=1)

    hour = START + 7 * HOUR_MS
    known = [store.load(HOURLY, hour, START + hours * HOUR_MS) for hours in (999, 1000, 1001, 1002)]
    assert known[0] is None
    assert [encode(s) for s in known[1:] if s] == [encode(days_of(HOURLY, 24, n + 1, 1000 + n)[7]) for n in range(3)]
    assert len(store.read_candles(HOURLY, START, START + DAY_MS, START + 999 * HOUR_MS)) == 0
    newest = store.read_candles(HOURLY, START, START + DAY_MS)
    assert newest.close[7] == days_of(HOURLY, 24, 3)[7].bars.close[0]
    assert newest.close[8] == days_of(HOURLY, 24, 1)[8].bars.close[0]
    if (tmp_path / "2020").exists():
        assert files_under(tmp_path)[:2] == ["2020/03/12/07/ETH-USDT_1h.json", "2020/03/12/07/ETH-USDT_1h.r2.json"]


def test_a_day_of_two_price_scales_and_one_that_has_begun_are_written_by_the_hour(
    local: SnapshotStore, tmp_path: Path
) -> None:
    fine = snapshots_of(random_candles(HOURLY, 24, price_scale=1000), 24)
    local.write(days_of(MINUTES, 24)[:1])
    local.write([*days_of(HOURLY, 24)[:12], *fine[12:], *days_of(MINUTES, 24)])

    assert len(files_under(tmp_path)) == 48
    assert local.read_candles(HOURLY, START, START + DAY_MS).price_scale == 1000


def test_two_versions_of_a_day_at_once_are_a_file_and_revisions(store: SnapshotStore) -> None:
    assert store.write([*days_of(HOURLY, 24), *days_of(HOURLY, 24, 2)]) == SnapshotReport(written=24, revised=24)
    assert_same_candles(store.read_candles(HOURLY, START, START + DAY_MS), random_candles(HOURLY, 24, 2))


@settings(max_examples=25, deadline=None)
@given(data=st.data(), timeframe=st.sampled_from(["15m", "1h", "4h"]))
def test_whatever_is_written_in_whatever_order_reads_as_by_the_hour(data: st.DataObject, timeframe: str) -> None:
    """Spans, corrections, hours and compactions in any order, read as of any moment."""
    market = Market("ETH-USDT", timeframe)
    by_day, by_hour = (SnapshotStore(f"memory://{uuid.uuid4().hex}", by_day=is_day) for is_day in (True, False))
    moments = itertools.count(1000)
    for _ in range(data.draw(st.integers(1, 5))):
        first = data.draw(st.sampled_from([0, 0, 5, 24, 40]))
        last = data.draw(st.sampled_from([first + 1, 24, 48, 72]))
        batch = days_of(market, HOURS, data.draw(st.integers(1, 3)), next(moments))[first:last]
        assert by_day.write(batch) == by_hour.write(batch)
        if data.draw(st.booleans()):
            compact(by_day, market, START - DAY_MS, START + 3 * DAY_MS)
    for as_of_ms in (None, START + data.draw(st.integers(999, 1005)) * HOUR_MS):
        assert_same(by_day, by_hour, market, as_of_ms)


def damaged(data: bytes) -> list[bytes]:
    """Cut at every 37th byte, and a bit turned there; the header's line, its hash and the bars are all reached."""
    places = range(0, len(data), 37)
    turned = [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in places]
    return [data[:at] for at in places] + turned + [data + b"\0", b"[]", b"{}\n"]


def test_damage_anywhere_is_refused_by_name_and_the_next_write_replaces_it(
    local: SnapshotStore, tmp_path: Path
) -> None:
    local.write(days_of(HOURLY, 24))
    path = tmp_path / "2020/03/12/ETH-USDT_1h.day"
    tries = damaged(path.read_bytes())
    assert len(tries) > 400
    for data in tries:
        path.write_bytes(data)
        for read in (
            lambda: local.load(HOURLY, START + 7 * HOUR_MS),
            lambda: local.read_candles(HOURLY, START, START + DAY_MS),
            lambda: local.read_candles(HOURLY, START, START + DAY_MS, START + 2000 * HOUR_MS),
            lambda: local.read_statuses(HOURLY, span(24)),
        ):
            with pytest.raises(
                BadSnapshotError, match=r"2020/03/12/ETH-USDT_1h\.day, hour \d\d: the day's file is damaged"
            ):
                read()

    assert local.write(days_of(HOURLY, 24)) == SnapshotReport(revised=24)
    assert_same_candles(local.read_candles(HOURLY, START, START + DAY_MS), random_candles(HOURLY, 24))


def sealed(**changes: object) -> bytes:
    """A day's file with a right hash whose content is not what it should be."""
    documents = [to_document(snapshot) | changes for snapshot in days_of(HOURLY, 24)]
    return encode_day(documents)


def with_hash(body: bytes) -> bytes:
    return b'{"sha256":"%s",' % hashlib.sha256(body).hexdigest().encode() + body


@pytest.mark.parametrize(
    "data",
    [
        with_hash(b"no line"),
        with_hash(b'"hours":{"00":{"bars":-1}}}\n'),
        with_hash(b'"hours":{"00":{"bars":"1"}}}\n'),
        with_hash(b'"hours":{"00":{"bars":2}}}\n' + bytes(48)),
        sealed(symbol="BTC-USDT"),
        sealed(timeframe="4h"),
        sealed(schema_version=2),
        sealed(price_scale=0),
        sealed(price_scale="100"),
        sealed(bars=[(START + HOUR_MS, 5, 5, 5, 5, 1.0)]),
        sealed(bars=[(START, 5, 1, 5, 5, 1.0)]),
        sealed(market_summary=None),
        sealed(metadata={}),
        encode_day([to_document(snapshot) for snapshot in days_of(HOURLY, 48)[24:]]),
    ],
)
def test_a_file_in_anothers_place_or_of_another_shape_is_refused(
    local: SnapshotStore, tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "2020/03/12/ETH-USDT_1h.day"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)

    for hour in range(24):
        with pytest.raises(BadSnapshotError, match=r"2020/03/12/ETH-USDT_1h\.day, hour"):
            local.load(HOURLY, START + hour * HOUR_MS)


def test_a_day_knows_which_hours_it_holds() -> None:
    day = Day(encode_day([to_document(s) for s in days_of(MINUTES, 24)[3:5]]))

    assert [hour for hour in range(24) if day.says(f"{hour:02}")] == [3, 4]
    assert HourOfDay(day, "04").encoded() == encode(days_of(MINUTES, 24)[4])
    assert HourOfDay(day, "05").encoded() == b""


def test_the_lines_of_the_documentation_read_it(
    local: SnapshotStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.write(days_of(HOURLY, 24))
    monkeypatch.chdir(tmp_path / "2020/03/12")
    page = (REPOSITORY / "docs" / "storage.md").read_text("utf-8")
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if ".day" in block)
    found: dict[str, Any] = {}

    exec(code, found)

    candles = random_candles(HOURLY, 24)
    for name, column in (("times", candles.open_time_ms), ("lows", candles.low), ("volumes", candles.volume)):
        np.testing.assert_array_equal(found[name], column)


def test_compaction_replaces_what_it_can_and_nothing_else(tmp_path: Path) -> None:
    store = SnapshotStore(str(tmp_path))
    store.write(days_of(HOURLY, 60))
    store.write([days_of(HOURLY, 60, 2)[5]])
    store.write([hour_of(MINUTES)])
    damaged_file, foreign = (tmp_path / f"2020/03/12/{hour}/ETH-USDT_1h.json" for hour in ("09", "10"))
    damaged_file.write_bytes(damaged_file.read_bytes()[:-9])
    foreign.write_bytes(orjson.dumps(orjson.loads(foreign.read_bytes()), option=orjson.OPT_INDENT_2))
    before = [encode(s) for s in store.load_range(HOURLY, START + 10 * HOUR_MS, START + 60 * HOUR_MS)]

    assert compact(store, HOURLY, START - 3 * DAY_MS, START + 60 * HOUR_MS) == Compaction(days=2, files=21 + 24)

    kept = [name for name in files_under(tmp_path) if not name.startswith("2020/03/14")]
    assert kept == [
        "2020/03/12/00/ETH-USDT_1m.json",
        "2020/03/12/05/ETH-USDT_1h.json",
        "2020/03/12/05/ETH-USDT_1h.r2.json",
        "2020/03/12/09/ETH-USDT_1h.json",
        "2020/03/12/10/ETH-USDT_1h.json",
        "2020/03/12/ETH-USDT_1h.day",
        "2020/03/13/ETH-USDT_1h.day",
    ]
    assert not (tmp_path / "2020/03/13/05").exists()
    assert [encode(s) for s in store.load_range(HOURLY, START + 10 * HOUR_MS, START + 60 * HOUR_MS)] == before
    assert compact(store, HOURLY, START, START + 60 * HOUR_MS) == Compaction()


def test_a_compaction_that_was_killed_before_it_removed_anything_ends_with_the_next(tmp_path: Path) -> None:
    store = SnapshotStore(str(tmp_path))
    store.write(days_of(HOURLY, 24))
    store.create_day([to_document(s) for s in days_of(HOURLY, 24)])
    assert_same_candles(store.read_candles(HOURLY, START, START + DAY_MS), random_candles(HOURLY, 24))

    assert compact(store, HOURLY, START, START + DAY_MS) == Compaction(days=0, files=24)
    assert files_under(tmp_path) == ["2020/03/12/ETH-USDT_1h.day"]


def test_a_correction_that_comes_during_a_compaction_is_read(store: SnapshotStore) -> None:
    """Its writer has seen the hour's first file, and so names its own the second, when the first is gone already."""
    by_hour = SnapshotStore(store.root)
    by_hour.write(days_of(HOURLY, 24))
    by_hour.write([days_of(HOURLY, 24, 2, 1001)[7]])
    store.create_day([to_document(s) for s in days_of(HOURLY, 24)])
    store.remove(["2020/03/12/07/ETH-USDT_1h.json"])

    assert store.read_candles(HOURLY, START, START + DAY_MS).close[7] == days_of(HOURLY, 24, 2)[7].bars.close[0]
    before = store.load(HOURLY, START + 7 * HOUR_MS, START + 1000 * HOUR_MS)
    assert before is not None
    assert encode(before) == encode(days_of(HOURLY, 24)[7])


COMPACT = """
import sys
from regime_pipeline.storage.snapshots.compaction import compact
from regime_pipeline.storage.snapshots.store import SnapshotStore
from regime_pipeline_tests.storage.snapshots.factories import HOURLY, START
print("ready", flush=True)
print(compact(SnapshotStore(sys.argv[1]), HOURLY, START, START + 20 * 86_400_000))
"""


@pytest.mark.soak
def test_a_compaction_that_is_killed_at_random_loses_nothing_and_is_ended_by_the_next(tmp_path: Path) -> None:
    candles, hours, were_killed = random_candles(HOURLY, 480), 480, 0
    for attempt in itertools.count():
        if attempt >= 6 * SOAK and were_killed:
            break
        root = tmp_path / str(attempt)
        store = SnapshotStore(str(root))
        store.write(snapshots_of(candles, hours))
        command = [sys.executable, "-c", COMPACT, str(root)]
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(random.uniform(0, 0.15))
        process.kill()
        process.communicate()

        found = len(list(root.rglob("*.day")))
        were_killed += 0 < found < 20
        assert_same_candles(store.read_candles(HOURLY, START, START + hours * HOUR_MS), candles)
        compact(store, HOURLY, START, START + hours * HOUR_MS)
        assert {path.suffix for path in root.rglob("*") if path.is_file() and path.suffix != ".tmp"} == {".day"}
        assert_same_candles(store.read_candles(HOURLY, START, START + hours * HOUR_MS), candles)
        shutil.rmtree(root)
