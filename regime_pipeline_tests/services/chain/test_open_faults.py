"""Tests of `services.chain.open_faults`: what a check has found stands until the data is mended."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso
from regime_pipeline.services.chain.checks import AssetCheck, CheckResult
from regime_pipeline.services.chain.open_faults import MAX_SPANS, Judgement, joined, judge, outside
from regime_pipeline.services.chain.reading import Reading, stored_rows
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline_tests.factories import START, hours_from_start, simulated_workspace

ALFA, BRAVO = Market("ALFA-USDT", "1h"), Market("BRAVO-USDT", "4h")
SPANS = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 20)), max_size=20).map(
    lambda pairs: [hours_from_start(first, first + length) for first, length in pairs]
)


@pytest.fixture
def workspace(database_url: str, tmp_path: Path) -> Iterator[Workspace]:
    with simulated_workspace(database_url, tmp_path, [ALFA, BRAVO]) as opened:
        yield opened


class Kept(dict[str, str]):
    """Texts by key, as Dagster keeps cursors."""

    def get_cursor_values(self, keys: set[str]) -> Mapping[str, str]:
        return {key: text for key, text in self.items() if key in keys}

    def set_cursor_values(self, pairs: Mapping[str, str]) -> None:
        self.update(pairs)


class Gaps:
    """A check of hours that are broken in a test's own list; it counts the hours that it looks at."""

    def __init__(self, broken: dict[Market, set[int]], is_rolling: bool = False) -> None:
        self.broken = broken
        self.looked_at = 0
        self.check = AssetCheck("raw_candles", "gaps", "", self.find, is_rolling=is_rolling)

    def find(self, _: Workspace, market: Market, window: Window) -> Reading[CheckResult]:
        yield from stored_rows("candle_hours", market, window)
        self.looked_at += len(window)
        inside = [hour for hour in window.hours if (hour - START) // HOUR_MS in self.broken.get(market, set())]
        return CheckResult.at(market, np.array(inside, dtype=np.int64), len(window))


def judged(gaps: Gaps, workspace: Workspace, market: Market, window: Window, kept: Kept) -> Judgement:
    [(_, judgement)] = judge([gaps.check], workspace, [(market, window)], kept)
    return judgement


def test_a_fault_stands_through_runs_of_other_hours_and_markets_until_it_is_mended(workspace: Workspace) -> None:
    gaps, kept = Gaps({ALFA: {3, 5}}), Kept()
    first = judged(gaps, workspace, ALFA, hours_from_start(0, 48), kept)
    assert first.here == tuple(f"ALFA-USDT_1h {to_iso(START + hour * HOUR_MS)}" for hour in (3, 5))
    assert (first.elsewhere, first.checked, first.open_count) == ({}, 48, 2)

    other = judged(gaps, workspace, BRAVO, hours_from_start(0, 48), kept)
    later = judged(gaps, workspace, ALFA, hours_from_start(48, 49), kept)
    for judgement in (other, later):
        assert (judgement.here, judgement.open_count) == ((), 2)
        assert str(judgement.elsewhere[ALFA]).startswith(f"2 from {to_iso(START + 3 * HOUR_MS)}")

    gaps.broken = {ALFA: {5}}
    assert judged(gaps, workspace, ALFA, hours_from_start(49, 50), kept).open_count == 1, "judged as it is stored now"
    gaps.broken = {}
    assert judged(gaps, workspace, ALFA, hours_from_start(5, 6), kept).open_count == 0
    assert judged(gaps, workspace, BRAVO, hours_from_start(5, 6), kept).open_count == 0


def test_a_fault_is_counted_once_and_only_hours_with_faults_are_judged_again(workspace: Workspace) -> None:
    gaps, kept = Gaps({ALFA: {3, 40}}), Kept()
    judged(gaps, workspace, ALFA, hours_from_start(0, 48), kept)

    again = judged(gaps, workspace, ALFA, hours_from_start(30, 48), kept)
    assert (len(again.here), again.elsewhere[ALFA].count) == (1, 1)
    gaps.broken, gaps.looked_at = {ALFA: {3}}, 0
    assert judged(gaps, workspace, ALFA, hours_from_start(48, 49), kept).open_count == 1
    assert gaps.looked_at < 48


def test_a_check_of_the_market_as_of_now_replaces_its_earlier_answer(workspace: Workspace) -> None:
    gaps, kept = Gaps({ALFA: {3}}, is_rolling=True), Kept()
    judged(gaps, workspace, ALFA, hours_from_start(0, 4), kept)

    assert judged(gaps, workspace, BRAVO, hours_from_start(4, 5), kept).open_count == 1
    assert judged(gaps, workspace, ALFA, hours_from_start(4, 5), kept).open_count == 0
    assert judged(gaps, workspace, BRAVO, hours_from_start(4, 5), kept).open_count == 0


def test_a_market_that_is_no_longer_listed_leaves_no_fault(workspace: Workspace) -> None:
    gaps, kept = Gaps({ALFA: {3}}), Kept()
    judged(gaps, workspace, ALFA, hours_from_start(0, 4), kept)
    specs = tuple(spec for spec in workspace.universe.specs if spec.market != ALFA)
    without = replace(workspace, universe=replace(workspace.universe, specs=specs))

    assert judged(gaps, without, BRAVO, hours_from_start(0, 4), kept).open_count == 0


@given(spans=SPANS, windows=SPANS)
def test_spans_are_cut_and_joined_hour_by_hour(spans: list[Window], windows: list[Window]) -> None:
    def hours(of: list[Window] | tuple[Window, ...]) -> set[int]:
        return {int(hour) for window in of for hour in window.hours}

    whole = joined(spans)
    assert hours(whole) == hours(spans)
    assert all(left.end_ms < right.start_ms for left, right in itertools.pairwise(whole))
    assert hours(outside(whole, windows)) == hours(spans) - hours(windows)


def test_too_many_spans_become_one() -> None:
    every_other = [hours_from_start(2 * row, 2 * row + 1) for row in range(MAX_SPANS + 1)]
    assert len(joined(every_other[:-1])) == MAX_SPANS
    assert joined(every_other) == (hours_from_start(0, 2 * MAX_SPANS + 1),)
