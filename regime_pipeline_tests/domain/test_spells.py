"""Runs, transitions and dwell times against their plainest definition; missing hours end runs and join no pair."""

from __future__ import annotations

from collections import Counter
from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.dashboard.components.tables import dwell_table, moves_table
from regime_pipeline.domain.spells import dwells, find_runs, named_transitions, transition_counts

NAMES = ("A", "B", "C")
CODES = st.lists(st.sampled_from([0.0, 1.0, 2.0, np.nan]), max_size=40)


@given(CODES)
def test_runs_are_the_groups_of_known_hours(codes: list[float]) -> None:
    found = find_runs(np.array(codes))

    told = list(zip(found.code.tolist(), found.first.tolist(), found.count.tolist(), strict=True))
    expected, first = [], 0
    for code, group in groupby(codes, key=lambda one: -1 if np.isnan(one) else int(one)):
        length = len(list(group))
        expected += [(code, first, length)] if code >= 0 else []
        first += length
    assert told == expected


@given(CODES)
def test_transitions_are_the_pairs_of_known_hours(codes: list[float]) -> None:
    counts = transition_counts(np.array(codes), len(NAMES))

    pairs = Counter((int(a), int(b)) for a, b in pairwise(codes) if not np.isnan([a, b]).any())
    assert {(a, b): counts[a, b] for a in range(3) for b in range(3) if counts[a, b]} == dict(pairs)


@given(CODES)
def test_tables_agree_with_each_other(codes: list[float]) -> None:
    values = np.array(codes)
    counts, states = named_transitions(values, NAMES), dwells(values, NAMES)

    seen = [name for code, name in enumerate(NAMES) if code in codes]
    assert [state.name for state in states] == list(counts) == seen
    assert sum(state.share or 0 for state in states) == pytest.approx(1.0 if seen else 0.0)
    moves, dwell = moves_table("moves", counts, "at", "note"), dwell_table("dwell", states)
    for row in moves.rows:
        shares = [cell.share for cell in row[1:]]
        assert shares == [None] * len(seen) or sum(share or 0 for share in shares) == pytest.approx(1)
        assert [cell.path for cell in row[1:]] == [f"at/{seen[moves.rows.index(row)]}/{to}" for to in seen]
    for state, row in zip(states, dwell.rows, strict=True):
        assert (state.dwell.median_hours or 0) <= (state.dwell.longest_hours or 0)
        assert row[3].value == state.dwell.median_hours
        assert {cell.path for cell in row} == {""}
