"""Columns of the hourly table `grid_advice`: name, kind, unit and meaning.

See `advice_hourly` and `restart_gates.replay` for how values are computed.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from regime_pipeline.domain.columnar import DTYPES, Rows, constant
from regime_pipeline.domain.schema import Column

GATE_STATES: Final = ("NONE", "GATE_1", "GATE_2", "GATE_3", "PASSED", "PERMITTED")
"""NONE: not stopped. GATE_k: waits at gate k. PASSED: all gates passed, but the time floor or the verdict withholds."""

GATE_COLUMNS: Final = (
    Column("stopped_at", "time", "when the grid was stopped, NULL while no stop is in force"),
    Column("gate_state", "label", "restart gate that is waited for, or what the last one says", GATE_STATES),
    Column("gate_bars", "int", "observations since the stop"),
    Column("gate_held", "int", "observations in a row that gate 3 has held"),
    Column("permit_bars", "int", "observations for which a fresh grid is still permitted, this one included; else 0"),
    Column("gate_checks", "json", "conditions of the gates looked at: gate, name, value, threshold, is_met"),
    Column("restart_grid", "json", "the permitted probationary grid, or the condition that none fits; else null"),
)
_NO_TIME: Final = int(np.iinfo(np.int64).min)


def without_stop(count: int) -> Rows:
    """Return the rows of so many hours in which no stop is in force."""
    rows: Rows = {column.name: np.zeros(count, dtype=DTYPES[column.kind]) for column in GATE_COLUMNS}
    rows |= {"stopped_at": np.full(count, _NO_TIME), "restart_grid": constant("null", count)}
    return rows | {"gate_checks": constant("[]", count)}


ADVICE_STATUSES: Final = ("OK", "NO_GRID", "NO_VERDICT", "OUTSIDE")
"""OUTSIDE: the grid is enabled and the price is beyond its bounds, whatever the verdict."""
ACTIONS: Final = ("NONE", "KEEP", "ENABLE", "STOP_PLACING", "REPOSITION")
INVENTORY: Final = ("NONE", "KEEP", "CLOSE_AT_LIMIT")

GRID_ADVICE: Final = (
    Column("hour_start", "time", "start of the hour whose close the row describes"),
    Column("as_of_bar", "time", "open time of the newest bar due by then"),
    Column("is_new_bar", "flag", "a bar was due to close within the hour"),
    Column("status", "label", "OK, why there is no advice, or that the price is outside the grid", ADVICE_STATUSES),
    Column("action", "label", "what the grid should do", ACTIONS),
    Column("enabled", "flag", "the configured grid places orders"),
    Column("is_actionable", "flag", "the action asks somebody to act; inventory speaks for itself"),
    Column("inventory", "label", "what to do with what was bought, never decided by the verdict", INVENTORY),
    Column("close", "float", "close of the newest bar, quote currency, NaN where it is missing"),
    Column("config_version", "int", "version of the grid valid at the hour's close, 0 = no grid"),
    Column("closes_outside", "int", "newest closes in a row beyond the bounds, counted up to those that matter"),
    Column("edge_distance_atr", "float", "how far the close is beyond the nearer edge, ATR; negative inside"),
    Column("iou", "float", "overlap of discovered and configured range, 0..1, NaN without a discovered range"),
    Column("lower_offset_atr", "float", "discovered less configured lower edge, ATR"),
    Column("upper_offset_atr", "float", "discovered less configured upper edge, ATR"),
    Column("configured_levels", "int", "levels of the configured grid"),
    Column("configured_net_gain_bps", "float", "net gain of a round trip at its worst level, basis points"),
    Column("capacity_then", "float", "GridCapacityScore of the configured range at the grid's costs, 0..100"),
    Column("capacity_now", "float", "GridCapacityScore of the discovered range at the grid's costs, 0..100"),
    Column("capacity_levels_now", "int", "levels that the discovered range carries at the grid's costs"),
    Column("capacity_net_gain_now_bps", "float", "net gain of a round trip there, basis points"),
    Column("bars_since_reposition", "float", "bars closed since an edge was last moved, NaN if never"),
    Column("proposed_lower", "float", "lower edge to use where the action needs one, quote currency"),
    Column("proposed_upper", "float", "upper edge to use where the action needs one, quote currency"),
    Column("hold_24h", "float", "probability that every close of 24 hours stays inside the configured grid, 0..1"),
    Column("hold_72h", "float", "probability that every close of 72 hours stays inside the configured grid, 0..1"),
    *GATE_COLUMNS,
    Column(
        "graduation", "json", "conditions of graduation of a probationary grid: name, value, threshold, is_met; else []"
    ),
    Column("advice_hash", "text", "hash of the policy behind the row and its verdict"),
)
