"""Columns of the gates in the hourly table `grid_advice`: name, kind, unit and meaning.

How a value is computed stands in `gate_rows`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from regime_pipeline.domain.gates.machine import GATE_STATES
from regime_pipeline.domain.layout import Column
from regime_pipeline.domain.rows import DTYPES, Rows, constant

GATE_COLUMNS: Final = (
    Column("stopped_at", "time", "when the grid was stopped, NULL while no stop is in force"),
    Column("gate_state", "label", "restart gate that is waited for, or what the last one says", GATE_STATES),
    Column("gate_bars", "int", "observations since the stop"),
    Column("gate_held", "int", "observations in a row that gate 3 has held"),
    Column(
        "gate_checks", "json", "conditions looked at on the newest observation: gate, name, value, threshold, outcome"
    ),
    Column("restart_grid", "json", "the fresh probationary grid that is permitted, or why there is none; else null"),
)
_NO_TIME: Final = int(np.iinfo(np.int64).min)


def without_stop(count: int) -> Rows:
    """Return the rows of so many hours in which no stop is in force."""
    rows: Rows = {column.name: np.zeros(count, dtype=DTYPES[column.kind]) for column in GATE_COLUMNS}
    rows |= {"stopped_at": np.full(count, _NO_TIME), "restart_grid": constant("null", count)}
    return rows | {"gate_checks": constant("[]", count)}
