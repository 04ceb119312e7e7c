"""Properties 67 to 71 and 74 on a simulated market: hourly rows equal replays, whatever surrounds them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.features.observations import Observations
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.named_conditions import condition_of, worded
from regime_pipeline.domain.grids.probation import probationary_grid
from regime_pipeline.domain.grids.schema import GATE_COLUMNS, GATE_STATES, without_stop
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.restart_gates.conditions import MEASURED, OF_SCORES, GateBar
from regime_pipeline.domain.restart_gates.machine import FOREVER_MS, GateState, StopEvent, episodes, stop_in_force
from regime_pipeline.domain.restart_gates.replay import (
    GateHistory,
    GateStep,
    _at,
    first_needed_ms,
    gate_rows,
    replay,
    take,
    worded_restart,
)
from regime_pipeline.domain.schema import CLASS_PROBABILITIES, VERDICTS
from regime_pipeline.policy import Policy
from regime_pipeline_tests.domain.restart_gates.factories import (
    MARKET,
    POLICY,
    grid_around,
    market,
    stop_at,
    with_gates,
)

HISTORY = market()
HOURS: Int64 = HISTORY.features["hour_start"]
FIRST, LAST = int(HOURS[0]) + HOUR_MS, int(HOURS[-1]) + HOUR_MS
STOP = FIRST + 40 * HOUR_MS
GRID = grid_around(HISTORY, STOP)
LOOSE = with_gates(
    adx_falling_below=60, adx_weak_below=50, efficiency_ratio_below=0.8, bars_since_extreme_from=1, mean_rev_from=20,
    median_crossings_from=1, half_life_max_bars=60, volatility_ratio_below=3, width_min_atr=1, width_max_atr=40,
    range_since_stop_from=0.3,
)  # fmt: skip
"""Gates wide open, so that every state is reached."""


def rows(
    hours: Int64 = HOURS,
    history: GateHistory = HISTORY,
    stops: Sequence[StopEvent] = (stop_at(STOP),),
    grids: Sequence[GridConfig] = (GRID,),
    policy: Policy = LOOSE,
) -> Rows:
    return gate_rows(hours, history, stops, grids, policy)


def assert_same(left: Rows, right: Rows) -> None:
    assert left.keys() == right.keys()
    for name in left:
        assert left[name].tolist() == right[name].tolist(), name


WHOLE = rows()
STEPS = list(replay(GateState(STOP), LAST, HISTORY, GRID, LOOSE))
WORDS = [repr(taken) for taken in STEPS]
"""The steps as text: NaN is not NaN."""


def test_every_state_occurs() -> None:
    assert {GATE_STATES[code] for code in WHOLE["gate_state"]} >= {"NONE", "GATE_1", "GATE_2", "GATE_3", "PERMITTED"}


def test_property_68_every_hour_has_every_column_and_the_conditions_that_were_looked_at() -> None:
    assert list(WHOLE) == [column.name for column in GATE_COLUMNS]
    counts = {1: 3, 2: 4, 3: 7}
    for place, code in enumerate(WHOLE["gate_state"].tolist()):
        checks = json.loads(WHOLE["gate_checks"][place])
        gates = sorted({made["gate"] for made in checks})
        assert len(checks) == sum(counts[gate] for gate in gates)
        assert gates == list(range(1, len(gates) + 1))
        assert [made["sentence"] for made in worded(checks)] == [condition_of(made).sentence for made in checks]
        assert all(set(made) - {"detail"} == {"gate", "name", "value", "threshold", "is_met"} for made in checks)
        assert (GATE_STATES[code] == "NONE") == (WHOLE["stopped_at"][place] == without_stop(1)["stopped_at"][0])
        assert (json.loads(WHOLE["restart_grid"][place]) is not None) == (GATE_STATES[code] == "PERMITTED")


@given(st.integers(0, 500))
@settings(max_examples=6)
def test_property_68_and_69_whenever_the_stop_was(offset: int) -> None:
    """Every hour before it has no gate, its own begins at gate one, every later one says what it looked at."""
    stop = FIRST + offset * HOUR_MS
    found = rows(stops=[stop_at(stop)], grids=[grid_around(HISTORY, stop)])

    names = [GATE_STATES[code] for code in found["gate_state"]]
    assert names[:offset] == ["NONE"] * offset
    assert (names[offset], json.loads(found["gate_checks"][offset])) == ("GATE_1", [])
    assert "NONE" not in names[offset:]
    for text in found["gate_checks"][offset + 1 :]:
        assert [made["name"] for made in json.loads(text)][:3] == ["ADX_DECAY", "EFFICIENCY", "NO_NEW_EXTREME"]


@given(st.floats(1, 99), st.integers(1, 9))
@settings(max_examples=4)
def test_property_70_other_symbols_thresholds_change_nothing(score: float, hold: int) -> None:
    assert_same(rows(policy=with_gates("OTHER-USDT", mean_rev_from=score, hold_bars=hold)), rows(policy=POLICY))


def test_property_70_a_symbol_holds_and_waits_as_long_as_its_own_thresholds_say() -> None:
    loose = LOOSE.gates.default.model_dump()
    patient = with_gates(MARKET.symbol, **(loose | {"weighed_hold_bars": 590}))

    assert "PERMITTED" not in {GATE_STATES[code] for code in rows(policy=patient)["gate_state"]}


def test_property_69_the_hour_that_closes_with_the_stop_begins_at_gate_one() -> None:
    place = int(np.flatnonzero(HOURS + HOUR_MS == STOP)[0])

    assert GATE_STATES[WHOLE["gate_state"][place - 1]] == "NONE"
    assert (GATE_STATES[WHOLE["gate_state"][place]], WHOLE["gate_bars"][place]) == ("GATE_1", 0)
    assert WHOLE["gate_bars"][place:].tolist() == list(range(len(HOURS) - place))


def test_property_71_rows_are_the_replay_from_the_stop() -> None:
    inside = HOURS + HOUR_MS > STOP

    assert [GATE_STATES.index(taken.state.name) for taken in STEPS] == WHOLE["gate_state"][inside].tolist()
    assert [taken.state.held for taken in STEPS] == WHOLE["gate_held"][inside].tolist()


@given(st.integers(0, 500))
@settings(max_examples=10)
def test_property_71_a_replay_goes_on_from_any_state_it_has_reached(cut: int) -> None:
    saved = STEPS[min(cut, len(STEPS) - 1)].state

    assert [repr(taken) for taken in replay(saved, LAST, HISTORY, GRID, LOOSE)] == WORDS[saved.bars :]


@given(st.integers(1, 599), st.integers(1, 40))
@settings(max_examples=15)
def test_a_range_of_hours_is_the_single_hours(first: int, count: int) -> None:
    part = HOURS[first : first + count]

    assert_same(rows(part), {name: column[first : first + count] for name, column in WHOLE.items()})


@given(st.integers(0, 560))
@settings(max_examples=10)
def test_what_comes_after_an_hour_changes_nothing(first: int) -> None:
    known_until = int(HOURS[first]) + HOUR_MS
    cut = GateHistory(
        HISTORY.candles.closed_by(known_until),
        {name: column[: first + 1] for name, column in HISTORY.features.items()},
        {name: column[: first + 1] for name, column in HISTORY.scores.items()},
        {name: column[: first + 1] for name, column in HISTORY.verdicts.items()},
    )

    assert_same(rows(HOURS[: first + 1], cut), {name: column[: first + 1] for name, column in WHOLE.items()})


def test_what_comes_before_the_stop_is_not_needed() -> None:
    needed = first_needed_ms(HOURS, [stop_at(STOP)], [GRID])
    assert needed == STOP
    later = HOURS + HOUR_MS > STOP
    part = GateHistory(
        HISTORY.candles.between(STOP, LAST),
        {name: column[later] for name, column in HISTORY.features.items()},
        {name: column[later] for name, column in HISTORY.scores.items()},
        {name: column[later] for name, column in HISTORY.verdicts.items()},
    )

    assert_same(rows(history=part), WHOLE)
    assert first_needed_ms(HOURS[:10], [stop_at(STOP)], [GRID]) is None
    assert first_needed_ms(HOURS[:0], [stop_at(STOP)], [GRID]) is None


def test_property_67_the_fresh_grid_is_made_of_bars_since_the_stop() -> None:
    place = int(np.flatnonzero(WHOLE["gate_state"] == GATE_STATES.index("PERMITTED"))[0])
    close = int(HOURS[place]) + HOUR_MS
    document = json.loads(WHOLE["restart_grid"][place])

    since = HISTORY.candles.closed_by(close).between(STOP, close)
    found = probationary_grid(since, STOP, GRID, LOOSE)

    if found.grid is None:
        assert document["grid"] is None
        assert found.checks[-1].sentence in worded_restart(document)["sentence"]
    else:
        assert document["grid"]["lower"] == str(found.grid.lower)
        assert document["grid"]["levels"] == found.grid.levels


def test_property_67_some_permission_carries_a_grid() -> None:
    documents = [json.loads(text) for text in WHOLE["restart_grid"]]

    assert [document["grid"] for document in documents if document is not None and document["grid"] is not None]


def test_property_70_thresholds_of_a_symbol_are_its_own() -> None:
    strict = with_gates(MARKET.symbol, adx_falling_below=0.2, adx_weak_below=0.1)
    elsewhere = with_gates("OTHER-USDT", adx_falling_below=0.2, adx_weak_below=0.1)

    assert set(rows(policy=strict)["gate_state"].tolist()) == {GATE_STATES.index(n) for n in ("NONE", "GATE_1")}
    assert_same(rows(policy=elsewhere), rows(policy=POLICY))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=4)
def test_property_74_any_confidence_gives_the_same_rows(seed: int) -> None:
    """Whatever column speaks of confidence, in whatever table."""
    rng = np.random.default_rng(seed)
    noisy = {"confidence": rng.random(len(HOURS)), "range_confidence": rng.random(len(HOURS))}
    fuzzed = GateHistory(HISTORY.candles, HISTORY.features | noisy, HISTORY.scores | noisy, HISTORY.verdicts | noisy)

    assert_same(rows(history=fuzzed), WHOLE)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=3)
def test_property_74_whatever_the_gates_do_not_measure_changes_nothing(seed: int) -> None:
    """Every other column of every table is shuffled: weights, scores, ranges, confidence."""
    rng = np.random.default_rng(seed)

    def drawn(table: Rows, *kept: str) -> Rows:
        return {
            name: column if name in kept or column.dtype.kind not in "fib" else rng.permutation(column)
            for name, column in table.items()
        }

    keys = ("hour_start", "as_of_bar", "is_new_bar")
    fuzzed = GateHistory(
        HISTORY.candles,
        drawn(HISTORY.features, *keys, *MEASURED),
        drawn(HISTORY.scores, *keys, *OF_SCORES),
        drawn(HISTORY.verdicts, *keys, "verdict"),
    )
    assert any(fuzzed.verdicts["confidence"] != HISTORY.verdicts["confidence"])

    assert_same(rows(history=fuzzed), WHOLE)


@pytest.mark.parametrize("name", MEASURED)
def test_property_74_whatever_the_gates_measure_is_read_from_its_table_and_no_other(name: str) -> None:
    """One value per column that is like no other: it is seen where it is read, and nowhere else."""
    odd = np.full(len(HOURS), 12.345)
    table = "scores" if name in OF_SCORES else "features"
    read = replace(HISTORY, **{table: {**getattr(HISTORY, table), name: odd}})
    other = "features" if table == "scores" else "scores"
    unread = replace(HISTORY, **{other: {**getattr(HISTORY, other), name: odd}})
    closes = HOURS + HOUR_MS

    assert read.measured(closes)[name].tolist() == odd.tolist()
    untouched = HISTORY.measured(closes)
    for found in (read.measured(closes) | {name: untouched[name]}, unread.measured(closes)):
        assert {key: repr(column.tolist()) for key, column in found.items()} == {
            key: repr(column.tolist()) for key, column in untouched.items()
        }


@given(st.integers(0, 10**6))
@settings(max_examples=6)
def test_property_54_every_stop_begins_at_gate_one_whatever_was_passed_before(draw: int) -> None:
    """A second stop in the middle of a permission forgets all of it, and its first bar passes gate 1 at most."""
    permitted = np.flatnonzero(WHOLE["gate_state"] == GATE_STATES.index("PERMITTED"))
    place = int(permitted[draw % len(permitted)])
    again = int(HOURS[place]) + HOUR_MS

    found = rows(stops=[stop_at(STOP), stop_at(again)])

    assert {name: column[:place].tolist() for name, column in found.items()} == {
        name: column[:place].tolist() for name, column in WHOLE.items()
    }
    first = {name: column[place] for name, column in found.items()}
    assert GATE_STATES[first["gate_state"]] == "GATE_1"
    assert (first["stopped_at"], first["gate_bars"], first["gate_held"], first["permit_bars"]) == (again, 0, 0, 0)
    assert (json.loads(first["gate_checks"]), json.loads(first["restart_grid"])) == ([], None)
    assert GATE_STATES[found["gate_state"][place + 1]] in ("GATE_1", "GATE_2")
    floor = LOOSE.gates.default.floor_bars
    assert "PERMITTED" not in {GATE_STATES[code] for code in found["gate_state"][place : place + floor]}


def test_an_hour_without_rows_holds_nothing() -> None:
    """The rows of ten hours are absent: no condition holds, two of them lose every gate."""
    place = 1 + int(np.flatnonzero(WHOLE["gate_state"] == GATE_STATES.index("PERMITTED"))[0])
    keep = np.ones(len(HOURS), dtype=np.bool_)
    keep[place : place + 10] = False
    holed = GateHistory(
        HISTORY.candles,
        {name: column[keep] for name, column in HISTORY.features.items()},
        {name: column[keep] for name, column in HISTORY.scores.items()},
        {name: column[keep] for name, column in HISTORY.verdicts.items()},
    )

    found = rows(history=holed)

    assert [GATE_STATES[code] for code in found["gate_state"][place : place + 3]] == ["PASSED", "GATE_1", "GATE_1"]
    checks = json.loads(found["gate_checks"][place])
    assert all(made["value"] is None and not made["is_met"] for made in checks)


def test_without_a_stop_or_a_grid_there_is_no_gate() -> None:
    for stops, grids in (((), (GRID,)), ((stop_at(STOP),), ())):
        assert_same(rows(stops=stops, grids=grids), without_stop(len(HOURS)))


@pytest.mark.parametrize("is_enabled", [True, False])
def test_a_stop_ends_with_the_next_one_or_with_an_enabled_version(is_enabled: bool) -> None:
    again = grid_around(HISTORY, STOP, version=2, enabled=is_enabled, valid_from="2099-01-01T00:00:00Z")
    end = again.valid_from_ms if is_enabled else FOREVER_MS

    assert [(e.start_ms, e.end_ms) for e in episodes([stop_at(STOP)], [GRID, again])] == [(STOP, end)]
    against = again.model_copy(update={"origin": "OVERRIDE"})
    assert [(e.start_ms, e.end_ms) for e in episodes([stop_at(STOP)], [GRID, against])] == [(STOP, FOREVER_MS)]
    assert stop_in_force([stop_at(STOP)], [GRID, against]) == stop_at(STOP)
    assert (stop_in_force([stop_at(STOP)], [GRID, again]) is None) == is_enabled
    second = stop_at(STOP + 7)
    assert stop_in_force([stop_at(STOP), second], [GRID]) == second
    (at_once,) = episodes([stop_at(GRID.valid_from_ms)], [GRID])  # in the moment in which its first version begins
    assert (at_once.config, at_once.end_ms) == (GRID, FOREVER_MS)
    found = episodes([stop_at(GRID.valid_from_ms - 1), stop_at(STOP), second], [GRID])
    assert [(e.start_ms, e.end_ms) for e in found] == [(STOP, STOP + 7), (STOP + 7, FOREVER_MS)]


@pytest.mark.parametrize("verdict", ["TREND", "TRANSITION", "RANGE_WEAK", "RANGE_OK"])
def test_a_verdict_of_danger_withdraws_a_permission_and_no_other_does(verdict: str) -> None:
    calm = HISTORY.verdicts | {"verdict": np.full(len(HOURS), VERDICTS.index("RANGE_WEAK"), dtype=np.int8)}
    permitted = GATE_STATES.index("PERMITTED")
    place = 1 + int(np.flatnonzero(rows(history=replace(HISTORY, verdicts=calm))["gate_state"] == permitted)[0])
    codes = calm["verdict"].copy()
    codes[place] = VERDICTS.index(verdict)

    found = rows(history=replace(HISTORY, verdicts=calm | {"verdict": codes}))

    is_danger = verdict in ("TREND", "TRANSITION")
    assert (found["gate_state"][place] == permitted) == (not is_danger)
    assert (found["permit_bars"][place] == 0) == is_danger
    assert found["gate_state"][place - 1] == permitted


@pytest.mark.parametrize("place", [1, 50, 300])
def test_property_71_a_bar_that_is_taken_twice_changes_neither_gates_nor_weights(place: int) -> None:
    state = STEPS[place].state
    assert state.last_close_ms is not None
    assert state.range_weights is not None
    measured = HISTORY.measured(np.array([state.last_close_ms]))
    values = {name: float(column[0]) for name, column in measured.items()}
    again = GateBar(state.last_close_ms, values, HISTORY.candles.closed_by(state.last_close_ms))

    assert take(state, again, GRID, LOOSE) == GateStep(state, ())


def test_without_class_probabilities_gate_three_is_held_for_its_bars_instead() -> None:
    """Scores of a null table without a posterior model, or of another policy than it was fitted with."""
    unknown = {name: np.full(len(HOURS), np.nan) for name in CLASS_PROBABILITIES}
    plain = replace(HISTORY, scores=HISTORY.scores | unknown)

    found = rows(history=plain)
    names = {made["name"] for text in found["gate_checks"] for made in json.loads(text)}
    taken = [step.state for step in replay(GateState(STOP), LAST, plain, GRID, LOOSE)]

    assert "PERMITTED" in {GATE_STATES[code] for code in found["gate_state"]}
    assert "CAPACITY" in names
    assert "RANGE_SINCE_STOP" not in names
    assert {state.range_weights for state in taken} == {None}
    passes = [after.held for before, after in pairwise(taken) if after.passed == 3 > before.passed]
    assert passes
    assert set(passes) == {LOOSE.gates.default.hold_bars}


def test_gate_three_waits_for_the_probability_of_a_range_since_the_stop() -> None:
    """The condition is met exactly where the filtered weight is large enough, and no permission begins without it."""
    seen = 0
    for before, after in pairwise(STEPS):
        made = {condition.name: condition for _, condition in after.checks}.get("RANGE_SINCE_STOP")
        if made is not None:
            seen += 1
            assert after.state.range_weights is not None
            assert made.value == after.state.range_weights[0]
            assert made.is_met == (made.value >= LOOSE.gates.default.range_since_stop_from)
        if after.state.passed == 3 > before.state.passed:
            assert made is not None
            assert made.is_met
    assert seen > 50


def test_no_bars_no_permission() -> None:
    empty = replace(HISTORY, candles=Candles.empty(MARKET, 100))

    assert "PERMITTED" not in {GATE_STATES[code] for code in rows(history=empty)["gate_state"]}


def test_stored_grids_and_conditions_get_their_sentences_back() -> None:
    stored = [json.loads(text) for text in WHOLE["restart_grid"]]
    found = [document for document in stored if document is not None and document["grid"] is not None]
    failed = {"name": "SPACING_MAX", "value": 12.0, "threshold": 9.0, "is_met": False}

    assert worded_restart(None) is None
    assert found
    for document in found:
        assert worded_restart(document) == {
            "grid": document["grid"],
            "sentence": "A fresh probationary grid from the bars since the stop.",
        }
    told = worded_restart({"grid": None, "failed": failed})
    assert told is not None
    assert told["sentence"] == f"No fresh grid fits: {condition_of(failed).sentence}"
    older = worded_restart({"grid": None, "failed": None})
    assert older is not None
    assert older["sentence"] == "No fresh grid fits: the bars since the stop carry none."
    checks = [made for text in WHOLE["gate_checks"] for made in json.loads(text)]
    assert checks
    assert [made["sentence"] for made in worded(checks)] == [condition_of(made).sentence for made in checks]


def test_the_past_is_needed_from_the_first_stop_that_reaches_into_the_hours() -> None:
    second = stop_at(STOP + 10 * HOUR_MS)
    stops = [stop_at(STOP), second]
    for start, end, wanted in (
        (STOP - 5 * HOUR_MS, STOP - 2 * HOUR_MS, None),
        (STOP - 5 * HOUR_MS, STOP - HOUR_MS, STOP),  # the last hour closes as the grid is stopped
        (STOP + 8 * HOUR_MS, STOP + 20 * HOUR_MS, STOP),
        (STOP + 9 * HOUR_MS, STOP + 20 * HOUR_MS, STOP + 10 * HOUR_MS),
    ):
        asked = np.arange(start, end + 1, HOUR_MS, dtype=np.int64)
        assert first_needed_ms(asked, stops, [GRID]) == wanted


def test_observations_outside_the_table_have_no_value() -> None:
    table = Observations.of(HISTORY.verdicts, HISTORY.market)
    first = (table.first + 1) * HISTORY.market.observation_ms
    last = len(table.column("verdict")) - 1
    closes = first + HISTORY.market.observation_ms * np.array([-3, -1, 0, last, last + 1, last + 2], dtype=np.int64)

    assert np.isnan(_at(table, "verdict", closes)).tolist() == [True, True, False, False, True, True]
