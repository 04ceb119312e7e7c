"""Prices of a payload: every drawn close is a close of the market, holes stay holes, and a week of minutes is whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from regime_pipeline.dashboard.data.latest_hour import latest_hour_of
from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.dashboard.data.payload import market_payload
from regime_pipeline.dashboard.data.prices import FINE_BARS, DrawnPrices
from regime_pipeline.dashboard.data.prices import drawn_prices as drawn
from regime_pipeline.dashboard.site.pages import market_page
from regime_pipeline.domain.market_data.market import HOUR_MS, MINUTE_MS, Market
from regime_pipeline_tests.dashboard.data.test_integer_codec import unpack
from regime_pipeline_tests.dashboard.factories import make_rows

ASSETS = dict.fromkeys(("site.css", "common.js", "data", "candles", "market.js", "uPlot.LICENSE.txt"), "")


def drawn_prices(rows: MarketRows) -> list[dict[str, Any]]:
    return [part.document for part in drawn(rows)]


def closes(part: dict[str, Any]) -> dict[int, float | None]:
    """Close by the time at which it is known, ticks; None in a hole."""
    return {
        part["start_ms"] + (at + 1) * part["step_ms"]: None if value is None else value * part["price_step_ticks"]
        for at, value in enumerate(unpack(part["data"]))
    }


def joined(parts: list[dict[str, Any]]) -> dict[int, float | None]:
    """Closes of several parts, none of which says the same time."""
    found: dict[int, float | None] = {}
    for part in parts:
        assert not found.keys() & closes(part).keys()
        found |= closes(part)
    return found


def stored(rows: MarketRows) -> dict[int, int]:
    return dict(zip(rows.bars.close_time_ms.tolist(), rows.bars.close.tolist(), strict=True))


@pytest.mark.parametrize("timeframe", ["3m", "15m", "30m", "1h", "2h", "4h", "1d"])
def test_every_close_is_drawn_exactly(timeframe: str) -> None:
    rows = make_rows(240, Market("ALFA-USDT", timeframe), absent=(30, 31), without_bars=(70,))

    (part,) = drawn_prices(rows)

    assert {time: close for time, close in closes(part).items() if close is not None} == stored(rows)
    assert part["price_step_ticks"] == 1


@pytest.mark.parametrize(
    ("timeframe", "longer", "hours"),
    [("1m", 5, 30 * 24), ("3m", 15, 45 * 24), ("5m", 15, 60 * 24), ("15m", 60, 120 * 24), ("30m", 60, 240 * 24)],
)
def test_beyond_a_week_of_minutes_older_closes_are_those_of_longer_bars(
    timeframe: str, longer: int, hours: int
) -> None:
    rows = make_rows(hours, Market("ALFA-USDT", timeframe), absent=(30, 31, hours - 20), without_bars=(70,))
    step, known = rows.market.step_ms, stored(rows)

    parts = drawn_prices(rows)
    coarse, fine = (joined([part for part in parts if part["step_ms"] == ms]) for ms in (longer * MINUTE_MS, step))

    assert {part["step_ms"] for part in parts} == {longer * MINUTE_MS, step}
    assert min(coarse) == rows.start_ms + longer * MINUTE_MS
    assert max(coarse) == min(fine) - step
    assert FINE_BARS <= len(fine) < FINE_BARS + longer
    assert max(fine) == rows.through_ms
    for part in parts:
        for time, close in closes(part).items():
            stands_for = [known.get(time - back) for back in range(0, part["step_ms"], step)]
            if None in stands_for:
                assert close is None
            else:
                assert close is not None
                assert abs(close - known[time]) <= part["price_step_ticks"] / 2


def test_a_market_whose_bars_begin_before_its_first_hour_or_lack_altogether() -> None:
    rows = make_rows(20 * 24, Market("ALFA-USDT", "1m"))
    later = {name: column[13:] for name, column in rows.hours.items()}

    coarse, *_ = drawn_prices(replace(rows, hours=later))
    (none,) = drawn_prices(replace(make_rows(24), bars=rows.bars[:0]))

    assert coarse["start_ms"] == rows.start_ms + 13 * HOUR_MS
    assert set(closes(none).values()) == {None}


@pytest.mark.parametrize(
    ("timeframe", "hours"), [("1m", 20 * 24), ("15m", 240), ("30m", 240), ("1h", 240), ("2h", 240), ("4h", 240)]
)
def test_the_hours_closes_come_back_from_what_the_payload_says(timeframe: str, hours: int) -> None:
    rows = make_rows(hours, Market("ALFA-USDT", timeframe), absent=(30, 31), without_bars=(70,))
    payload = market_payload(rows)
    column = payload["columns"]["close"]

    if timeframe in ("2h", "4h"):
        told = unpack(column["data"])
    else:
        known = {time: close for part in payload["bars"] for time, close in closes(part).items()}
        lacking = unpack(column["data"]) if "data" in column else [0] * hours
        ends = [rows.start_ms + (hour + 1) * HOUR_MS for hour in range(hours)]
        told = [None if known[end] is None else known[end] + more for end, more in zip(ends, lacking, strict=True)]  # type: ignore[operator]

    assert ("data" in column) == (timeframe in ("1m", "2h", "4h"))
    assert told == [None if v != v else round(v * 100) for v in rows.on_calendar("close").tolist()]


def test_a_close_is_found_at_its_time_and_at_no_other() -> None:
    part = DrawnPrices.of(1_000, 100, np.array([5.0, np.nan, 7.0]))

    found = part.ticks_at(np.array([1_000, 1_100, 1_150, 1_200, 1_300, 1_400]))

    assert np.array_equal(found, [np.nan, 5.0, np.nan, np.nan, 7.0, np.nan], equal_nan=True)


def test_the_page_says_which_closes_it_leaves_out() -> None:
    minutes, hours = make_rows(30 * 24, Market("ALFA-USDT", "1m")), make_rows(30 * 24)

    coarse, whole = (
        market_page(rows, latest_hour_of(rows, rows.through_ms), [rows.market], ASSETS) for rows in (minutes, hours)
    )

    assert "(one close in 5 min before 2026-09-24 00:00)" in coarse
    assert "one close in" not in whole
