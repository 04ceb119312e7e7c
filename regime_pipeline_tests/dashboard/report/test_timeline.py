"""Tests of what is drawn over time: the payload and the small picture say the rows again, and nothing else."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.dashboard.report.tables import INKS, chart_payload, labels_of, on_calendar, picture
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.schema import DIRECTIONS, VERDICTS
from regime_pipeline.services.backtest.classes import ABSTAIN, CLASSES
from regime_pipeline.services.backtest.hours import BacktestHours
from regime_pipeline_tests.dashboard.data.test_integer_codec import unpack
from regime_pipeline_tests.factories import START, hours_from_start
from regime_pipeline_tests.services.backtest.factories import ALFA, SCALE, hours_of, market_rows

SPAN = hours_from_start(0, 320)


@settings(max_examples=60)
@given(market_rows())
def test_the_payload_says_every_row_again(rows: BacktestHours) -> None:
    payload = chart_payload(rows, SPAN)

    columns, places = payload["columns"], ((rows.hour_start - START) // HOUR_MS).tolist()
    told = {name: unpack(column["data"]) for name, column in columns.items() if "data" in column}
    expected = {
        "verdict": rows.verdict.tolist(),
        "direction": rows.direction.tolist(),
        "confidence": [int(f"{value:.2f}".replace(".", "")) for value in rows.confidence.tolist()],
        **{
            name: [None if code == ABSTAIN else code for code in getattr(rows, name).tolist()]
            for name in labels_of(rows)
        },
    }
    assert told.keys() == expected.keys()
    for name, values in expected.items():
        assert dict(enumerate(told[name])) == dict.fromkeys(range(len(SPAN))) | dict(zip(places, values, strict=True))
    (bars,) = payload["bars"]
    closes = [None if close != close else round(close * SCALE) for close in rows.close.tolist()]
    drawn = dict.fromkeys(range(len(SPAN))) | dict(zip(places, closes, strict=True))
    assert (bars["start_ms"], bars["step_ms"]) == (START, HOUR_MS)
    assert dict(enumerate(unpack(bars["data"]))) == drawn
    assert columns["verdict"]["labels"] == list(VERDICTS)
    assert columns["direction"]["labels"] == list(DIRECTIONS)


def test_labels_have_the_colours_of_the_verdicts_that_say_the_same() -> None:
    rows = hours_of(ALFA, [(at, 1, 0.5, 1, 100.0, 1.0, at % 3, ABSTAIN) for at in range(9)])

    columns = chart_payload(rows, SPAN)["columns"]

    assert (columns["truth"]["labels"], columns["truth"]["inks"]) == (list(CLASSES), list(INKS))
    assert set(INKS) < set(VERDICTS)
    assert "hindsight" not in columns


@given(st.integers(0, 5), st.integers(1, 40))
def test_a_row_above_the_hour_stands_for_every_hour_of_its_bar(first: int, rows: int) -> None:
    places = [4 * at + 3 for at in range(rows)]  # the hours in which a bar of four closes
    found = replace(
        hours_of(ALFA, [(place, place % 5, 0.5, 1, 100.0 + place, 1.0, 0, 0) for place in places]),
        market=ALFA.on("4h"),
    )
    window = Window(START + first * HOUR_MS, START + (4 * rows + 2) * HOUR_MS)
    kept = [place for place in places if place >= first]
    found = replace(found, **{name: getattr(found, name)[-len(kept) :] for name in ("hour_start", "verdict", "close")})

    told = on_calendar(found, found.verdict, window)

    expected = [float("nan")] * len(window)
    for place in kept:
        for hour in range(max(place - 3, first), min(place + 1, first + len(window))):
            expected[hour - first] = place % 5
    assert np.array_equal(told, expected, equal_nan=True)


def test_the_small_picture_has_every_verdict_and_is_there_for_a_market_without_rows() -> None:
    rows = hours_of(ALFA, [(at, 1 if at < 50 else 3, 0.5, 1, 100.0 + at, 1.0, 0, 0) for at in range(100)])

    strip, none = picture(rows, SPAN), picture(hours_of(ALFA, []), SPAN)

    assert strip.hours == none.hours == len(SPAN)
    assert {name: re.findall(r"M(\d+) \d+h(\d+)", path) for name, path in strip.verdict_paths.items()} == {
        "RANGE_OK": [("0", "50")],
        "TREND": [("50", "50")],
    }
    assert none.text == f"Verdicts of {len(SPAN)} hours: none"
