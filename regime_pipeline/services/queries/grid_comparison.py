"""A configured grid beside the range discovered at an hour, as every face shows it.

See `domain.grids.comparison` for the numbers, `advice` for what is advised on the grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.grids.comparison import compare
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.versions import valid_at
from regime_pipeline.policy import Policy
from regime_pipeline.services.grid_files import read_histories
from regime_pipeline.services.queries.json_records import plain

GivenGrid = GridConfig | Mapping[str, Any] | str | Path
"""A grid, its fields, or a file of grids as `regime grid export` writes it."""


def grid_of(given: GivenGrid, symbol: str, moment_ms: int) -> GridConfig:
    """Return the grid that is meant.

    Parameters
    ----------
    given : GridConfig, mapping, str or path
        See `GivenGrid`. Of a file, the version of the symbol's grid that is valid at the moment, else its first.
    symbol : str
        Whose grid it must be.
    moment_ms : int
        Epoch milliseconds UTC.

    Raises
    ------
    GridConfigError
        The fields are refused; every fault is named.
    UsageError
        The file cannot be read, or the grid is another symbol's.
    """
    if isinstance(given, GridConfig):
        config = given
    elif isinstance(given, Mapping):
        config = GridConfig(**given)
    else:
        history = read_histories(Path(given)).get(symbol, ())
        if not history:
            raise UsageError(f"{given} holds no grid of {symbol}.", "Name the file of that symbol's grid.")
        place = int(valid_at(history, np.array([moment_ms], dtype=np.int64))[0])
        config = history[max(place, 0)]
    if config.symbol != symbol:
        raise UsageError(f"The grid is of {config.symbol}, the hour of {symbol}.", "Give the grid of that symbol.")
    return config


def grid_comparison(
    config: GridConfig, close: float, atr: float, low: float, high: float, policy: Policy
) -> dict[str, Any]:
    """Return how the discovered range stands to the configured one, as JSON values.

    Parameters
    ----------
    config : GridConfig
        The grid.
    close, atr, low, high : float
        Close, ATR and discovered range of the hour, quote currency; NaN where there is none.
    policy : Policy
        Section `grid_capacity`.

    Returns
    -------
    dict
        `close`, `is_close_inside_grid`, `atr`, `iou` (0..1), offsets of the edges in ATR (discovered less configured),
        capacity 0..100 and net gain per round trip in basis points of both; null where nothing is discovered.
    """
    found = compare(config, np.array([low]), np.array([high]), np.array([atr]), policy.grid_capacity)
    is_found = low == low
    return {
        "close": plain(close),
        "is_close_inside_grid": None if close != close else float(config.lower) <= close <= float(config.upper),
        "atr": plain(atr),
        "iou": plain(found.iou[0]),
        "lower_offset_atr": plain(found.lower_offset_atr[0]),
        "upper_offset_atr": plain(found.upper_offset_atr[0]),
        "configured_capacity": plain(found.then.score[0]),
        "configured_net_gain_bps": min(config.net_gains_bps),
        "discovered_capacity": plain(found.now.score[0]) if is_found else None,
        "discovered_levels": plain(found.now.levels[0]) if is_found else None,
        "discovered_net_gain_bps": plain(found.now.net_gain_bps[0]) if is_found else None,
    }
