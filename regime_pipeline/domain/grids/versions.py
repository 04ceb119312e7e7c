"""The append-only history of a symbol's grid: a new version from an update, and which version was valid when.

See `storage.grid_store` for where versions are stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

import numpy as np

from regime_pipeline.domain.grids.config import GridConfig, GridConfigError, Origin, StaleGridError
from regime_pipeline.domain.market_data.window import Int64, to_iso

History = tuple[GridConfig, ...]
"""Versions 1, 2, … of one symbol's grid, oldest first."""
KEPT_BY_THE_HISTORY: Final = ("version", "supersedes", "valid_from", "reason", "who", "origin")


def new_version(
    history: Sequence[GridConfig],
    update: Mapping[str, Any],
    *,
    expected_version: int,
    who: str,
    when: datetime,
    why: str,
    origin: Origin = "SET",
) -> History:
    """Return the history with one more version; the versions before it stay as they are.

    Parameters
    ----------
    history : sequence of GridConfig
        Versions so far, oldest first; empty for a symbol's first grid.
    update : mapping of str to Any
        Fields to change; every field for the first version.
    expected_version : int
        The version the update was made on, 0 for none.
    who, why : str
        Who changes it, and the reason.
    when : datetime
        Aware; the version is valid from then on, later than the one before.
    origin : str
        See `GridConfig`.

    Raises
    ------
    StaleGridError
        Another version is the newest by now; names both.
    GridConfigError
        The update is refused; every fault is named.
    """
    versions = tuple(history)
    _refuse_stale(versions, expected_version)
    before = versions[-1].model_dump() if versions else {}
    kept = {"supersedes": expected_version or None, "version": expected_version + 1, "origin": origin}
    faults = [f"{name} = {update[name]!r}: is set by the history" for name in KEPT_BY_THE_HISTORY if name in update]
    wanted = {name: value for name, value in update.items() if name not in KEPT_BY_THE_HISTORY}
    try:
        added = GridConfig(**(before | wanted | kept | {"valid_from": when, "reason": why, "who": who}))
    except GridConfigError as error:
        raise GridConfigError([*faults, *error.faults]) from error
    faults += _order_faults([*versions[-1:], added])
    if faults:
        raise GridConfigError(faults)
    return (*versions, added)


def _refuse_stale(versions: History, expected: int) -> None:
    """Refuse an update that was made on another version than the newest."""
    newest = versions[-1].version if versions else 0
    if expected == newest:
        return
    known = f" ({to_iso(versions[-1].valid_from_ms)}, by {versions[-1].who})" if versions else ""
    raise StaleGridError(
        f"The update was made on version {expected}, but version {newest} is the newest{known}.",
        f"Read version {newest} and make the update on it.",
    )


def check_history(configs: Sequence[GridConfig]) -> History:
    """Return one symbol's versions as a history.

    Raises
    ------
    GridConfigError
        They are not versions 1, 2, … of one symbol, each valid from later than the one before; names every fault.
    """
    faults = [
        f"version = {config.version}: must be {number} at this place of the history of {config.symbol}"
        for number, config in enumerate(configs, start=1)
        if config.version != number
    ]
    faults += _order_faults(configs)
    if faults:
        raise GridConfigError(faults)
    return tuple(configs)


def _order_faults(configs: Sequence[GridConfig]) -> list[str]:
    """Faults between versions that follow one another."""
    faults = []
    for earlier, later in pairwise(configs):
        if later.symbol != earlier.symbol:
            faults.append(f"symbol = {later.symbol!r}: must stay {earlier.symbol} in version {later.version}")
        if later.valid_from_ms <= earlier.valid_from_ms:
            start, bound = to_iso(later.valid_from_ms), to_iso(earlier.valid_from_ms)
            faults.append(f"valid_from = {start}: must be later than {bound} of version {earlier.version}")
    return faults


def valid_at(history: Sequence[GridConfig], moments_ms: Int64) -> Int64:
    """Return the place in the history of the version valid at each moment.

    Parameters
    ----------
    history : sequence of GridConfig
        Versions, oldest first.
    moments_ms : ndarray of int64, shape (n,)
        Epoch milliseconds UTC. A version is valid from its `valid_from` on, until the next one's.

    Returns
    -------
    ndarray of int64, shape (n,)
        -1 before the first version.
    """
    starts = np.array([config.valid_from_ms for config in history], dtype=np.int64)
    return np.searchsorted(starts, moments_ms, side="right").astype(np.int64) - 1


def repositions_ms(history: Sequence[GridConfig]) -> Int64:
    """Return when a version moved an edge of the one before, epoch milliseconds UTC, ascending."""
    moved = [
        later.valid_from_ms
        for earlier, later in pairwise(history)
        if (later.lower, later.upper) != (earlier.lower, earlier.upper)
    ]
    return np.array(moved, dtype=np.int64)
