"""Tests of `sources.archive` on the local exchange's archive and on the shared real one."""

from __future__ import annotations

import functools
import http.server
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regime_pipeline.domain.errors import SourceError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS, MINUTE_MS, Market
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.sources.archive import ArchiveFiles, ArchiveSource, folder_of
from regime_pipeline.sources.archive_http import ArchiveHttp
from regime_pipeline.sources.base import Fetched
from regime_pipeline_tests.exchange_simulator.exchange import Exchange
from regime_pipeline_tests.exchange_simulator.faults import Kind
from regime_pipeline_tests.exchange_simulator.fixtures import SCALE, exchange, fault, patience, source, truth
from regime_pipeline_tests.exchange_simulator.test_forms import assert_same

MARKET = Market("ETH-USDT", "1h")
TODAY = to_ms("2024-05-08T00:00:00Z")
MONTH = to_ms("2024-04-01T00:00:00Z")


def archive(url: str, folder: Path, now_ms: int, tail: Any = None, **options: Any) -> ArchiveSource:
    files = ArchiveFiles(folder, ArchiveHttp(url, 5.0, patience()[0]).get)
    return ArchiveSource(files, tail or source("binance", url), lambda _: SCALE, lambda: now_ms, **options)


def zips(one: Exchange, length: str) -> list[str]:
    return [asked for asked in one.requests if f"/{length}/" in asked and asked.endswith(".zip?")]


def test_whole_days_come_from_the_archive_and_the_rest_from_the_exchange(tmp_path: Path) -> None:
    now = TODAY + 12 * HOUR_MS + 5 * MINUTE_MS
    start = TODAY - 3 * DAY_MS + 5 * HOUR_MS
    with exchange(now) as (one, url):
        answer = archive(url, tmp_path, now).fetch(MARKET, start, now)

    assert_same(answer.candles, truth(MARKET, start, TODAY + 12 * HOUR_MS))
    assert answer.covered == ((start, TODAY + 12 * HOUR_MS),)
    assert answer.failure == ""
    assert len(zips(one, "daily")) == 3
    assert zips(one, "monthly") == []
    asked = [path for path in one.requests if "klines?" in path]
    assert len(asked) == 1
    assert f"startTime={TODAY}" in asked[0]


def test_what_was_fetched_is_kept_and_hours_one_by_one_equal_the_bulk(tmp_path: Path) -> None:
    now = TODAY + HOUR_MS
    with exchange(now) as (one, url):
        bulk = archive(url, tmp_path / "bulk", now).fetch(MARKET, TODAY - 2 * DAY_MS, TODAY)
        single = archive(url, tmp_path / "single", now)
        hours = [
            single.fetch(MARKET, TODAY - hour * HOUR_MS, TODAY - (hour - 1) * HOUR_MS) for hour in range(48, 0, -1)
        ]
        before = len(one.requests)
        again = archive(url, tmp_path / "bulk", now).fetch(MARKET, TODAY - 2 * DAY_MS, TODAY)

    np.testing.assert_array_equal(np.concatenate([h.candles.close for h in hours]), bulk.candles.close)
    assert_same(again.candles, bulk.candles)
    assert len(one.requests) == before, "nothing is asked for twice"
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(
    "kind", [Kind.ARCHIVE_HEADER, Kind.ARCHIVE_MICROSECONDS, Kind.ARCHIVE_MILLISECONDS, Kind.SHORT_CLOSE]
)
@pytest.mark.parametrize("day", ["2024-12-31T00:00:00Z", "2025-01-01T00:00:00Z"])
def test_every_form_of_the_files_gives_the_same_candles(tmp_path: Path, kind: Kind, day: str) -> None:
    start = to_ms(day)
    now = start + 2 * DAY_MS
    with exchange(now) as (one, url):
        one.faults.add(fault(kind, times=None))
        answer = archive(url, tmp_path, now).fetch(MARKET, start, start + DAY_MS)

    assert_same(answer.candles, truth(MARKET, start, start + DAY_MS))


def test_an_absent_day_comes_out_of_the_month_and_a_recent_one_from_the_exchange(tmp_path: Path) -> None:
    absent, recent = "2024-04-20", "2024-05-07"
    with exchange(TODAY + HOUR_MS) as (one, url):
        for day in (absent, recent):
            one.faults.add(fault(Kind.ARCHIVE_MISSING, path=f"daily/klines/ETHUSDT/1h/ETHUSDT-1h-{day}", times=None))
        made = archive(url, tmp_path, TODAY + HOUR_MS)
        old = made.fetch(MARKET, to_ms("2024-04-19T00:00:00Z"), to_ms("2024-04-22T00:00:00Z"))
        klines_before = sum("klines?" in path for path in one.requests)
        new = made.fetch(MARKET, TODAY - 2 * DAY_MS, TODAY)

    assert_same(old.candles, truth(MARKET, to_ms("2024-04-19T00:00:00Z"), to_ms("2024-04-22T00:00:00Z")))
    assert zips(one, "monthly") == ["/data/spot/monthly/klines/ETHUSDT/1h/ETHUSDT-1h-2024-04.zip?"]
    assert klines_before == 0
    assert_same(new.candles, truth(MARKET, TODAY - 2 * DAY_MS, TODAY))
    assert new.covered == ((TODAY - 2 * DAY_MS, TODAY),)


def test_the_daily_file_counts_where_the_monthly_one_disagrees(tmp_path: Path) -> None:
    with exchange(TODAY) as (one, url):
        made = archive(url, tmp_path, TODAY)
        one.faults.add(fault(Kind.ARCHIVE_MISSING, path="2024-04-10", times=None))
        month = made.fetch(MARKET, to_ms("2024-04-10T00:00:00Z"), to_ms("2024-04-11T00:00:00Z"))
        one.faults.clear()
        one.faults.add(fault(Kind.RESTATED, start_ms=MONTH, end_ms=TODAY, times=None))
        answer = made.fetch(MARKET, to_ms("2024-04-10T00:00:00Z"), to_ms("2024-04-12T00:00:00Z"))

    true = truth(MARKET, to_ms("2024-04-10T00:00:00Z"), to_ms("2024-04-12T00:00:00Z"))
    assert_same(month.candles, true[:24])
    np.testing.assert_array_equal(answer.candles.high, true.high + 1)


@pytest.mark.parametrize("kind", [Kind.ARCHIVE_CHECKSUM, Kind.ARCHIVE_DAMAGED])
def test_a_bad_daily_file_is_asked_for_again_then_the_month_serves(tmp_path: Path, kind: Kind) -> None:
    start = to_ms("2024-04-10T00:00:00Z")
    with exchange(TODAY) as (one, url):
        made = archive(url, tmp_path, TODAY)
        one.faults.add(fault(kind, path="daily"))
        once = made.fetch(MARKET, start, start + DAY_MS)
        monthly_after_once = zips(one, "monthly")
        one.faults.add(fault(kind, path="daily", times=None))
        always = made.fetch(MARKET, start + DAY_MS, start + 2 * DAY_MS)

    assert_same(once.candles, truth(MARKET, start, start + DAY_MS))
    assert monthly_after_once == []
    assert_same(always.candles, truth(MARKET, start + DAY_MS, start + 2 * DAY_MS))
    assert len(zips(one, "monthly")) == 1


def test_a_replaced_file_is_noticed_a_day_later_and_an_unreachable_archive_does_not_matter(tmp_path: Path) -> None:
    start = TODAY - 2 * DAY_MS
    moment = [0.0]

    def made(url: str) -> ArchiveSource:
        files = ArchiveFiles(tmp_path, ArchiveHttp(url, 5.0, patience()[0]).get, lambda: moment[0])
        return ArchiveSource(files, source("binance", url), lambda _: SCALE, lambda: TODAY)

    with exchange(TODAY) as (one, url):
        moment[0] = time.time()
        first = made(url).fetch(MARKET, start, start + DAY_MS)
        one.faults.add(fault(Kind.RESTATED, start_ms=start, end_ms=start + HOUR_MS, times=None))
        same_day = made(url).fetch(MARKET, start, start + DAY_MS)
        moment[0] += DAY_MS / 1000 + 60
        next_day = made(url).fetch(MARKET, start, start + DAY_MS)
        one.faults.clear()
        one.faults.add(fault(Kind.UNAVAILABLE, times=None))
        moment[0] += 2 * DAY_MS / 1000
        down = made(url).fetch(MARKET, start, start + DAY_MS)

    assert_same(same_day.candles, first.candles)
    assert next_day.candles.high[0] == first.candles.high[0] + 1
    assert_same(down.candles, next_day.candles)


class Refusing:
    """An exchange that refuses, as one does from some places, or for a symbol that it lists no more."""

    venue = "binance"

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        raise SourceError(f"binance, {market}: 451.")

    def newest_closed_ms(self, market: Market) -> int | None:
        return None


def test_history_is_served_where_the_exchange_refuses_and_the_failure_is_reported(tmp_path: Path) -> None:
    now = TODAY + 5 * HOUR_MS
    with exchange(now) as (_, url):
        made = archive(url, tmp_path, now, Refusing())
        answer = made.fetch(MARKET, TODAY - DAY_MS, now)
        with pytest.raises(SourceError, match="451"):
            made.fetch(MARKET, TODAY, now)

    assert_same(answer.candles, truth(MARKET, TODAY - DAY_MS, TODAY))
    assert answer.covered == ((TODAY - DAY_MS, TODAY),)
    assert "451" in answer.failure
    assert made.newest_closed_ms(MARKET) is None
    assert made.venue == "binance"


def test_a_failing_archive_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with exchange(TODAY) as (one, url):
        one.faults.add(fault(Kind.UNAVAILABLE, path="/data/", times=None))
        with pytest.raises(SourceError, match=r"(?s)daily/.*ETHUSDT-1h-2024-05-07.zip.CHECKSUM: HTTP 503.*451"):
            archive(url, tmp_path, TODAY, Refusing()).fetch(MARKET, TODAY - DAY_MS, TODAY)


def test_progress_is_shown_day_by_day(tmp_path: Path) -> None:
    seen: list[int] = []

    def progress(days: Iterable[Candles | None], total: int) -> Iterator[Candles | None]:
        for day in days:
            seen.append(total)
            yield day

    with exchange(TODAY) as (_, url):
        archive(url, tmp_path, TODAY, progress=progress).fetch(MARKET, TODAY - 4 * DAY_MS, TODAY)

    assert seen == [4, 4, 4, 4]


@contextmanager
def mirror(root: Path) -> Iterator[str]:
    """A static file server, as anyone may run one on a copy of the archive."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def test_the_real_archive_of_the_longest_outage(tmp_path: Path, shared_data: Path) -> None:
    market = Market("BTC-USDT", "1m")
    start, end = to_ms("2018-02-07T00:00:00Z"), to_ms("2018-02-11T00:00:00Z")
    with mirror(shared_data / "binance-vision") as url:
        answer = archive(url, tmp_path, TODAY, Refusing()).fetch(market, start, end)

    times = answer.candles.open_time_ms
    longest = int(np.argmax(np.diff(times)))
    assert times[longest + 1] - times[longest] == 2_012 * MINUTE_MS
    assert times[longest] + MINUTE_MS == to_ms("2018-02-08T00:29:00Z")
    assert (tmp_path / folder_of(market, "daily")).is_dir()
