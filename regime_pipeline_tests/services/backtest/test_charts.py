"""Tests of the charts: what is drawn is what was given, whatever it is called."""

from __future__ import annotations

import itertools
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.layout import VERDICTS
from regime_pipeline.domain.market import DAY_MS, HOUR_MS
from regime_pipeline.domain.window import Window
from regime_pipeline.services.backtest import svg
from regime_pipeline.services.backtest.charts import ORDER, histogram, return_bars, round_step, share_bars
from regime_pipeline.services.backtest.figures import ReturnFigures
from regime_pipeline.services.backtest.timeline import LETTERS, day_ticks, pieces, runs, thinned, timeline
from regime_pipeline.services.judgement.tracks import ABSTAIN, CLASSES
from regime_pipeline_tests.services.backtest.backtest_kit import ALFA, hours_of, market_rows
from regime_pipeline_tests.workbench import START, hours_from_start


def rectangles(drawing: str) -> list[tuple[str, float, float, float, float]]:
    """Class, x, y, width and height of every rectangle."""
    found = ElementTree.fromstring(drawing).iter("rect")
    return [(r.attrib["class"], *(float(r.attrib[k]) for k in ("x", "y", "width", "height"))) for r in found]


def test_text_is_escaped_and_markup_is_not() -> None:
    bad = "<b>&\"'"

    drawing = svg.drawing(
        10, bad, [svg.rectangle(0, 0, 1, 1, bad, bad), svg.label(0, 0, bad), svg.line(0, 0, 1, 1, "a")]
    )

    tree = ElementTree.fromstring(drawing)
    assert tree.attrib["aria-label"] == bad
    assert (tree[0].attrib["class"], tree[0][0].text, tree[1].text) == (bad, bad, bad)
    assert "<b>" not in drawing


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1"), (-0.04, "0"), (2.25, "2.2"), (-3.16, "-3.2"), (1e6, "1000000")]
)
def test_a_coordinate_is_short(value: float, text: str) -> None:
    assert svg.number(value) == text


def test_shares_fill_the_bar_in_proportion() -> None:
    shares = dict(zip(VERDICTS, (0.1, 0.2, 0.3, 0.4, 0.0), strict=True))

    drawn = rectangles(share_bars({"A": shares, "<B>": dict.fromkeys(VERDICTS, 0.0) | {"TREND": 1.0}}))

    widths = {name.removeprefix("v "): width for name, _, y, width, _ in drawn if y == 3}
    total = sum(widths.values())
    assert list(widths) == [v for v in ORDER if shares[v]]
    assert {v: pytest.approx(width / total, abs=1e-3) for v, width in widths.items()} == {
        v: share for v, share in shares.items() if share
    }
    assert drawn[-1][3] == pytest.approx(total, abs=0.2)


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, 500), min_size=10, max_size=10), min_size=4, max_size=4))
def test_the_histogram_stacks_counts_to_one_scale(counts: list[list[int]]) -> None:
    stacks = dict(zip(VERDICTS[1:], counts, strict=True))

    drawn = rectangles(histogram(stacks))

    heights = [[h for name, x, _, _, h in drawn if name == f"v {v}"] for v in stacks]
    highest = max(map(sum, zip(*counts, strict=True)))
    for found, values in zip(heights, counts, strict=True):
        expected = [value / highest * 164 for value in values if value]
        assert found == [pytest.approx(height, abs=0.051) for height in expected]


def test_return_bars_have_the_length_of_the_mean() -> None:
    returns = {
        "RANGE_OK": ReturnFigures(100, 10.0, 20.0, 0.5, None),
        "TREND": ReturnFigures(1, -5.0, None, 0.0, None),
        "TRANSITION": ReturnFigures(0, None, None, None, None),
    }

    drawing = return_bars(returns)

    (_, right, _, first, _), (_, left, _, second, _) = rectangles(drawing)
    assert first / second == pytest.approx(2.0, abs=0.01)
    assert left + second == pytest.approx(right, abs=0.11)
    assert "TRANSITION" not in drawing
    assert "standard error 2.0" in drawing
    assert "none" in return_bars({"TREND": returns["TRANSITION"]})
    assert rectangles(return_bars({"TREND": ReturnFigures(2, 0.0, 0.0, 0.0, 0.0)}))[0][3] == 0


@given(st.floats(0.001, 1e9))
def test_a_round_step_is_not_below_what_was_asked(value: float) -> None:
    step = round_step(value)

    assert max(value, 1.0) * (1 - 1e-9) <= step <= max(2.5 * value, 1.0) * (1 + 1e-9)
    assert str(int(step)).rstrip("0") in ("1", "2", "5")


@given(st.lists(st.floats(1.0, 1e6), max_size=300), st.integers(1, 40))
def test_thinning_keeps_ends_and_extremes(values: list[float], columns: int) -> None:
    series = np.array(values, dtype=np.float64)

    at = thinned(series, columns)

    assert len(at) <= max(2 * columns + 2, 0)
    assert at.tolist() == sorted(set(at.tolist()))
    if values:
        assert {0, len(values) - 1} <= set(at.tolist())
        assert (series[at].min(), series[at].max()) == (series.min(), series.max())


@settings(max_examples=40)
@given(market_rows())
def test_runs_tell_every_hour_again(rows) -> None:  # type: ignore[no-untyped-def]
    told = {
        moment: span.code
        for span in runs(rows, rows.hindsight)
        for moment in range(span.start_ms, span.end_ms, HOUR_MS)
    }

    pairs = zip(rows.hour_start.tolist(), rows.hindsight.tolist(), strict=True)
    assert told == {hour: code for hour, code in pairs if code != ABSTAIN}


@settings(max_examples=40)
@given(market_rows())
def test_pieces_are_unbroken_and_lose_no_close(rows) -> None:  # type: ignore[no-untyped-def]
    found = pieces(rows.hour_start, rows.close, HOUR_MS)

    known = ~np.isnan(rows.close)
    times = [moment for part, _ in found for moment in part.tolist()]
    assert times == rows.hour_start[known].tolist()
    assert all((np.diff(part) == HOUR_MS).all() for part, _ in found)
    for (before, _), (after, _) in itertools.pairwise(found):
        assert after[0] - before[-1] > HOUR_MS


@given(st.integers(0, 5_000), st.integers(1, 40_000))
def test_a_few_midnights_at_equal_distances(first: int, hours: int) -> None:
    window = Window(START + first * HOUR_MS, START + (first + hours) * HOUR_MS)

    ticks = day_ticks(window)

    midnights = range(-(-window.start_ms // DAY_MS) * DAY_MS, window.end_ms, DAY_MS)
    assert len(ticks) <= 11
    assert bool(ticks) == bool(midnights)
    assert set(ticks) <= set(midnights)
    assert len(set(np.diff(ticks).tolist())) <= 1


def test_the_timeline_shows_strips_gaps_and_letters() -> None:
    rows = [(at, 1 if at < 50 else 3, 0.5, 1, 100.0 + at, 1.0, 0 if at < 40 else 2, ABSTAIN) for at in range(100)]
    rows[70] = (70, 3, 0.5, 1, math.nan, 1.0, 2, ABSTAIN)

    drawing = timeline(hours_of(ALFA, rows), hours_from_start(0, 100))

    drawn = [name for name, *_ in rectangles(drawing)]
    assert drawn == ["v RANGE_OK", "v TREND", "v RANGE", "v VOLATILE"]
    assert drawing.count("<polyline") == 2
    assert re.findall(r">([A-Z?])</text>", drawing) == ["O", "T", "R", "V"]
    assert "hindsight" not in drawing
    assert "no closes" in timeline(hours_of(ALFA, []), hours_from_start(0, 100))


def test_every_verdict_and_class_has_a_letter_of_its_own_in_its_strip() -> None:
    assert len({LETTERS[v] for v in VERDICTS}) == len(VERDICTS)
    assert len({LETTERS[c] for c in CLASSES}) == len(CLASSES)
