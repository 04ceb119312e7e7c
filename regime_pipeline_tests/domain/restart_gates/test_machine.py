"""Properties 54 to 66 and 69 to 72 of the machine itself, on drawn courses of the three gates."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.grids.schema import GATE_STATES
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.restart_gates.machine import GateState, permitted_until_ms, step
from regime_pipeline.policy.gates import GateThresholds
from regime_pipeline_tests.domain.restart_gates.factories import COURSES, STOP_MS, THRESHOLDS, Course, run, thresholds

ALL, NOTHING = (True, True, True), (False, False, False)


@given(st.integers(0, 2**41))
def test_property_54_a_stopped_grid_waits_at_gate_one(stopped_at_ms: int) -> None:
    state = GateState(stopped_at_ms)

    assert (state.name, state.passed, state.bars, state.is_permitted) == ("GATE_1", 0, 0, False)


@given(COURSES, THRESHOLDS)
def test_property_55_gates_are_passed_one_after_the_other_and_asked_only_behind_those_that_hold(
    course: Course, limits: GateThresholds
) -> None:
    state = GateState(STOP_MS)
    for number, bar in enumerate(course, 1):
        asked: list[int] = []

        def holds(gate: int, bar: tuple[bool, ...] = bar, asked: list[int] = asked) -> bool:
            asked.append(gate)
            return bar[gate]

        after = step(state, STOP_MS + number * HOUR_MS, holds, limits)

        assert asked == list(range(len(asked)))
        assert all(bar[gate] for gate in asked[:-1])
        assert len(asked) <= state.passed + 1
        assert after.passed <= state.passed + 1
        state = after


@given(COURSES, THRESHOLDS)
def test_property_56_gate_one_passes_exactly_when_it_holds(course: Course, limits: GateThresholds) -> None:
    states = run(course, limits)
    for before, bar, after in zip(states, course, states[1:], strict=False):
        if before.passed == 0:
            assert after.passed == int(bar[0])


@given(COURSES, THRESHOLDS)
def test_property_58_a_gate_one_that_never_holds_blocks_everything(course: Course, limits: GateThresholds) -> None:
    states = run([(False, *bar[1:]) for bar in course], limits)

    assert {state.name for state in states} == {"GATE_1"}


@given(COURSES, THRESHOLDS)
def test_property_59_gate_two_is_passed_by_a_bar_on_which_both_hold(course: Course, limits: GateThresholds) -> None:
    states = run(course, limits)
    for before, bar, after in zip(states, course, states[1:], strict=False):
        if before.passed == 1:
            assert (after.passed == 2) == (bar[0] and bar[1])


@given(COURSES, THRESHOLDS)
def test_property_61_a_gate_two_that_never_holds_blocks_gate_three(course: Course, limits: GateThresholds) -> None:
    states = run([(bar[0], False, bar[2]) for bar in course], limits)

    assert {state.name for state in states} <= {"GATE_1", "GATE_2"}


@given(COURSES, THRESHOLDS)
def test_property_62_gate_three_is_passed_by_holding_on_successive_bars_while_the_others_hold(
    course: Course, limits: GateThresholds
) -> None:
    states = run(course, limits)
    for place, (before, after) in enumerate(pairwise(states)):
        if before.passed == 2:
            recent = course[place - limits.hold_bars + 1 : place + 1] if place + 1 >= limits.hold_bars else []
            was_waiting = all(s.passed == 2 for s in states[place - limits.hold_bars + 1 : place + 1])
            is_held = len(recent) == limits.hold_bars and all(all(bar[:3]) for bar in recent) and was_waiting
            assert (after.passed == 3) == is_held


@given(COURSES, THRESHOLDS)
def test_property_64_a_passed_gate_that_fails_long_enough_is_lost_with_all_behind_it(
    course: Course, limits: GateThresholds
) -> None:
    states = run(course, limits)
    for place, (before, bar, after) in enumerate(zip(states, course, states[1:], strict=False)):
        failing = next((gate for gate in range(before.passed) if not bar[gate]), None)
        if failing is None:
            assert after.passed >= before.passed
            continue
        assert after.held == 0
        assert after.permit_bars <= max(before.permit_bars - 1, 0)
        window = course[max(place - limits.fail_bars + 1, 0) : place + 1]
        is_long = len(window) == limits.fail_bars and all(_fails_at(failing, past) for past in window)
        if is_long and all(s.passed > failing for s in states[place - limits.fail_bars + 1 : place + 1]):
            assert after.passed == failing
        if after.passed < before.passed:
            assert (after.passed, after.fails) == (failing, (0, 0, 0))


def _fails_at(gate: int, bar: tuple[bool, ...]) -> bool:
    return all(bar[:gate]) and not bar[gate]


@pytest.mark.parametrize(("fails", "expected"), [(1, 2), (2, 0)])
def test_property_64_one_bad_bar_is_forgiven_two_are_not(fails: int, expected: int) -> None:
    course = [ALL, ALL, *[(False, True, True)] * fails]

    assert run(course, thresholds())[-1].passed == expected


def test_property_64_only_failures_in_a_row_count() -> None:
    bad = (False, True, True)

    states = run([ALL, ALL, bad, ALL, bad, ALL, bad], thresholds())

    assert [state.passed for state in states[3:]] == [2] * 5
    assert states[4].fails == (0, 0, 0)


def test_property_64_a_gate_that_is_not_looked_at_neither_fails_nor_recovers() -> None:
    """Gate 2 fails, then gate 1 (so nobody asks gate 2), then gate 2 again: its second failure, and it is lost."""
    fails_two, fails_one = (True, False, True), (False, True, True)

    states = run([ALL, ALL, fails_two, fails_one, fails_two], thresholds(hold_bars=9))

    assert [state.fails for state in states[3:5]] == [(0, 1, 0), (1, 1, 0)]
    assert states[5].passed == 1


def test_property_64_a_gate_that_holds_while_a_later_one_fails_counts_from_zero() -> None:
    """Gate 1 fails, then gate 2 alone, then gate 1 again: never two in a row, so nothing is lost."""
    fails_one, fails_two = (False, True, True), (True, False, True)

    states = run([ALL, ALL, fails_one, fails_two, fails_one], thresholds(hold_bars=9))

    assert [state.fails for state in states[3:]] == [(1, 0, 0), (0, 1, 0), (1, 1, 0)]
    assert states[-1].passed == 2


def test_property_65_passing_gate_three_makes_a_restart_possible() -> None:
    names = [state.name for state in run([ALL] * 9, thresholds(hold_bars=6, floor_bars=9))]

    assert names == ["GATE_1", "GATE_2", *["GATE_3"] * 6, "PASSED", "PERMITTED"]


@given(COURSES, THRESHOLDS)
def test_property_66_a_permission_lasts_its_bars_unless_gate_one_fails_or_the_verdict_bars_it(
    course: Course, limits: GateThresholds
) -> None:
    states = run(course, limits)
    gives = [
        after.passed == 3 and all(bar[:3]) and after.bars >= limits.floor_bars and not bar[3]
        for bar, after in zip(course, states[1:], strict=True)
    ]
    for place, after in enumerate(states[1:]):
        ages = [
            age
            for age in range(min(limits.permit_bars, place + 1))
            if gives[place - age] and all(bar[0] and not bar[3] for bar in course[place - age + 1 : place + 1])
        ]
        assert after.permit_bars == (limits.permit_bars - ages[0] if ages else 0)
        assert (after.name == "PERMITTED") == after.is_permitted == bool(ages)


def test_a_third_of_the_drawn_courses_are_permitted_at_some_time() -> None:
    """What is said of permissions above is said of courses that have some."""
    permitted = []

    @seed(0)
    @settings(max_examples=200, database=None)
    @given(COURSES, THRESHOLDS)
    def count(course: Course, limits: GateThresholds) -> None:
        permitted.append(any(state.is_permitted for state in run(course, limits)))

    count()
    assert sum(permitted) >= len(permitted) / 3


@pytest.mark.parametrize(
    ("bar", "left"),
    [
        ((True, True, False), [6, 5, 4, 3, 2, 1, 0]),
        ((True, False, True), [6, 5, 4, 3, 2, 1, 0]),
        ((False, True, True), [6, 0, 0, 0, 0, 0, 0]),
        ((True, True, True, True), [6, 0, 0, 0, 0, 0, 0]),
        ((True, True, True), [6, 6, 6, 6, 6, 6, 6]),
    ],
)
def test_property_66_what_a_permission_outlasts(bar: tuple[bool, ...], left: list[int]) -> None:
    states = run([*[ALL] * 20, *[bar] * 6], thresholds(permit_bars=6))

    assert [state.permit_bars for state in states[20:]] == left
    assert [state.name == "PERMITTED" for state in states[20:]] == [count > 0 for count in left]


def test_property_66_gate_three_must_hold_on_bars_in_a_row() -> None:
    """A bar without gate 3 in the middle of the hold begins it again; so does one without gate 2."""
    for interruption in ((True, True, False), (True, False, True)):
        states = run([ALL, ALL, *[ALL] * 4, interruption, *[ALL] * 4], thresholds(hold_bars=5, floor_bars=1))
        assert [state.held for state in states[2:]] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
        assert not any(state.is_permitted for state in states)


@given(COURSES, THRESHOLDS)
def test_property_69_every_state_has_one_of_the_names_and_bounded_counts(
    course: Course, limits: GateThresholds
) -> None:
    for state in run(course, limits):
        assert state.name in GATE_STATES[1:]
        assert all(0 <= count < limits.fail_bars for count in state.fails)
        assert 0 <= state.held <= limits.hold_bars


@given(COURSES, THRESHOLDS, st.integers(0, 40))
def test_property_71_bar_by_bar_from_any_saved_state_is_the_replay_from_the_stop(
    course: Course, limits: GateThresholds, cut: int
) -> None:
    whole = run(course, limits)
    place = min(cut, len(course))

    assert run(course[place:], limits, whole[place])[1:] == whole[place + 1 :]
    assert [state.bars for state in whole] == list(range(len(course) + 1))


@given(COURSES, THRESHOLDS)
def test_property_71_a_bar_twice_changes_nothing_and_an_older_one_is_refused(
    course: Course, limits: GateThresholds
) -> None:
    for state in run(course, limits)[1:]:
        assert state.last_close_ms is not None
        assert step(state, state.last_close_ms, NOTHING.__getitem__, limits) is state
        with pytest.raises(UsageError, match="came after"):
            step(state, state.last_close_ms - HOUR_MS, ALL.__getitem__, limits)


def test_a_bar_that_closed_by_the_stop_is_refused() -> None:
    for close_ms in (STOP_MS, STOP_MS - 1):
        with pytest.raises(UsageError, match="came after"):
            step(GateState(STOP_MS), close_ms, ALL.__getitem__, thresholds())


@given(THRESHOLDS)
def test_property_72_the_time_floor_is_an_and_of_its_own(limits: GateThresholds) -> None:
    states = run([ALL] * 40, limits)

    first = next(state.bars for state in states if state.is_permitted)
    assert first == max(limits.floor_bars, 2 + limits.hold_bars)


@given(COURSES, THRESHOLDS)
def test_property_72_no_course_is_permitted_before_the_floor(course: Course, limits: GateThresholds) -> None:
    assert all(state.bars >= limits.floor_bars for state in run(course, limits) if state.is_permitted)


@given(COURSES, THRESHOLDS)
def test_property_65_nothing_but_gate_three_makes_a_restart_possible(course: Course, limits: GateThresholds) -> None:
    for before, after in pairwise(run(course, limits)):
        if after.passed == 3 > before.passed:
            assert (before.passed, after.held) == (2, limits.hold_bars)


@pytest.mark.parametrize(
    ("timeframe", "close_hour", "bars", "until_hour"),
    [
        ("1h", 10, 6, 16),
        ("1h", 10, 1, 11),
        ("15m", 10, 6, 16),
        ("4h", 8, 2, 16),
        ("4h", 10, 2, 16),
        ("1h", 10, 0, None),
    ],
)
def test_property_66_a_permission_ends_that_many_observations_after_the_newest(
    timeframe: str, close_hour: int, bars: int, until_hour: int | None
) -> None:
    until = permitted_until_ms(Market("TEST-USDT", timeframe), close_hour * HOUR_MS, bars)

    assert until == (None if until_hour is None else until_hour * HOUR_MS)
