"""Properties 40, 44 and 45: the history of a grid only grows, and nobody overwrites what they have not seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.grids.config import GridConfigError, StaleGridError
from regime_pipeline.domain.grids.versions import History, check_history, new_version, repositions_ms, valid_at
from regime_pipeline_tests.domain.grids.factories import FIELDS, START, grid, history_of, sound_histories

HISTORIES = sound_histories()
CHANGES = st.fixed_dictionaries(
    {}, optional={"enabled": st.booleans(), "taker_fee_bps": st.integers(0, 100), "limit_lower": st.none()}
)
SECOND = timedelta(seconds=1)


def updated(history: History, update: dict[str, Any], expected: int | None = None) -> History:
    when = (history[-1].valid_from if history else START) + SECOND
    version = len(history) if expected is None else expected
    return new_version(history, update, expected_version=version, who="me", when=when, why="because")


@given(HISTORIES, CHANGES)
@settings(max_examples=60, deadline=None)
def test_property_40_an_update_keeps_every_version_before_it(history: History, update: dict[str, Any]) -> None:
    before = [config.model_dump_json() for config in history]

    after = updated(history, update)

    assert [config.model_dump_json() for config in history] == before
    assert [config.model_dump_json() for config in after[:-1]] == before
    assert [config.version for config in after] == list(range(1, len(history) + 2))
    assert [config.supersedes for config in after] == [None, *range(1, len(history) + 1)]


@given(HISTORIES, CHANGES)
@settings(max_examples=60, deadline=None)
def test_property_44_an_update_changes_what_it_names_and_nothing_else(history: History, update: dict[str, Any]) -> None:
    old, new = history[-1], updated(history, update)[-1]

    kept = {"version", "supersedes", "valid_from", "reason", "who"}
    assert new.model_dump(exclude=kept) == old.model_dump(exclude=kept) | update
    assert (new.version, new.supersedes) == (old.version + 1, old.version)
    assert (new.valid_from, new.reason, new.who) == (old.valid_from + SECOND, "because", "me")


@given(HISTORIES, st.integers(-1, 6), CHANGES)
@settings(max_examples=80, deadline=None)
def test_property_45_an_update_on_another_version_than_the_newest_is_refused(
    history: History, expected: int, update: dict[str, Any]
) -> None:
    if expected == len(history):
        assert len(updated(history, update, expected)) == len(history) + 1
        return

    with pytest.raises(StaleGridError, match=f"version {expected}, but version {len(history)} is the newest") as raised:
        updated(history, update, expected)

    assert history[-1].who in str(raised.value)
    assert f"Read version {len(history)}" in raised.value.todo


def test_property_45_of_two_updates_made_on_one_version_the_second_is_refused() -> None:
    history = history_of({})
    first = updated(history, {"enabled": False}, 1)

    with pytest.raises(StaleGridError, match="version 1, but version 2 is the newest"):
        updated(first, {"enabled": True}, 1)


def test_property_45_a_first_version_is_made_on_none() -> None:
    assert updated((), FIELDS)[0].version == 1
    with pytest.raises(StaleGridError, match="version 1, but version 0 is the newest\\."):
        updated((), FIELDS, 1)


def test_property_48_an_update_is_refused_with_every_fault() -> None:
    with pytest.raises(GridConfigError) as raised:
        updated(history_of({}), {"version": 7, "levels": 0, "lower": "0", "symbol": "ETH-USDT"})

    assert [fault.split(" ")[0] for fault in raised.value.faults] == ["version", "lower", "levels"]


def test_property_44_a_grid_keeps_its_symbol_and_its_time_goes_on() -> None:
    with pytest.raises(GridConfigError) as raised:
        new_version(
            history_of({}), {"symbol": "ETH-USDT"}, expected_version=1, who="me", when=START, why="the same moment"
        )

    assert raised.value.faults == (
        "symbol = 'ETH-USDT': must stay TEST-USDT in version 2",
        "valid_from = 2026-01-01T00:00:00Z: must be later than 2026-01-01T00:00:00Z of version 1",
    )


def test_property_40_a_history_with_a_hole_is_refused() -> None:
    history = history_of({}, {"enabled": False}, {"enabled": True})

    assert check_history(history) == history
    with pytest.raises(GridConfigError, match="version = 3: must be 2 at this place of the history of TEST-USDT"):
        check_history([history[0], history[2]])
    with pytest.raises(GridConfigError, match="version = 2: must be 1 .* must be later than"):
        check_history([history[1], history[0]])


@given(HISTORIES, st.integers(0, 3), st.sampled_from([-1, 0, 1]))
@settings(max_examples=60, deadline=None)
def test_property_40_the_version_valid_at_a_moment_is_the_newest_made_by_then(
    history: History, place: int, offset: int
) -> None:
    moment = history[place % len(history)].valid_from_ms + offset
    known = [config for config in history if config.valid_from_ms <= moment]

    found = int(valid_at(history, np.array([moment]))[0])

    assert history[: found + 1] == tuple(known)


def test_a_reposition_is_a_version_that_moves_an_edge() -> None:
    history = history_of({}, {"enabled": False}, {"upper": "111"}, {"levels": 9}, {"lower": "91"})

    assert repositions_ms(history).tolist() == [history[2].valid_from_ms, history[4].valid_from_ms]
    assert repositions_ms([grid()]).tolist() == repositions_ms([]).tolist() == []
    assert valid_at([], np.array([0, 1])).tolist() == [-1, -1]
    assert datetime.fromtimestamp(history[1].valid_from_ms / 1000, UTC) == START + timedelta(hours=1)
