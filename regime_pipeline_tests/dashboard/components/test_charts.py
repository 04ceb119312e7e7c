"""Tests of the charts: what is drawn is what was given, whatever it is called."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.dashboard.components import charts as svg
from regime_pipeline.dashboard.components.charts import ORDER, histogram, return_bars, round_step, share_bars
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.services.backtest.figures import ReturnFigures


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

    widths = {name: width for name, _, y, width, _ in drawn if y == 3}
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

    heights = [[h for name, x, _, _, h in drawn if name == v] for v in stacks]
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
    assert "Transition" not in drawing
    assert "standard error 2.0" in drawing
    assert "none" in return_bars({"TREND": returns["TRANSITION"]})
    assert rectangles(return_bars({"TREND": ReturnFigures(2, 0.0, 0.0, 0.0, 0.0)}))[0][3] == 0


@given(st.floats(0.001, 1e9))
def test_a_round_step_is_not_below_what_was_asked(value: float) -> None:
    step = round_step(value)

    assert max(value, 1.0) * (1 - 1e-9) <= step <= max(2.5 * value, 1.0) * (1 + 1e-9)
    assert str(int(step)).rstrip("0") in ("1", "2", "5")
