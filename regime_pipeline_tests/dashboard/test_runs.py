"""Runs, transitions and dwell times against their plainest definition; missing hours end runs and join no pair."""

from __future__ import annotations

from collections import Counter
from itertools import groupby, pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.dashboard.runs import dwell_table, find_runs, transition_counts, transition_table

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
    moves, dwell = transition_table(values, NAMES), dwell_table(values, NAMES)

    seen = [name for code, name in enumerate(NAMES) if code in codes]
    assert [row["name"] for row in dwell] == moves["names"] == seen
    assert sum(row["hours"] for row in dwell) == int((~np.isnan(values)).sum())
    for row in moves["rows"]:
        shares = [share for _, share in row["cells"]]
        assert shares == [None] * len(seen) or abs(sum(shares) - 1) < 1e-12
    for row in dwell:
        assert row["median_hours"] <= row["longest_hours"] <= row["hours"]
        assert (
            row["mean_hours"] * row["runs"] == row["hours"]
            or abs(row["mean_hours"] - row["hours"] / row["runs"]) < 1e-9
        )
