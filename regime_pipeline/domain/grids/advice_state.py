"""The inputs and outputs of the advice rules, one row per hour.

See `advice` for the rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.schema import GATE_STATES
from regime_pipeline.domain.market_data.candles import Float64

NOT_STOPPED: Final = GATE_STATES.index("NONE")
PERMITTED: Final = GATE_STATES.index("PERMITTED")


@dataclass(frozen=True, eq=False)
class Situation:
    """One configured grid at n hours.

    Parameters
    ----------
    enabled : bool
        Whether the grid places orders.
    lower, upper, limit_lower, limit_upper : float
        The grid's prices, quote currency; limits beyond every price where there are none.
    tick : Decimal
        The grid's price step, quote currency.
    verdict : ndarray of int8, shape (n,)
        Codes into `schema.VERDICTS`.
    range_low, range_high, iou : ndarray of float64, shape (n,)
        The discovered range and its overlap with the grid; NaN where there is none.
    close : ndarray of float64, shape (n,)
        Close of the newest bar, quote currency; NaN where the bar is missing.
    closes_outside : ndarray of int32, shape (n,)
        Newest closes in a row beyond the bounds.
    bars_since_reposition : ndarray of float64, shape (n,)
        Bars closed since an edge was moved; NaN if never.
    gate_state : ndarray of int8, shape (n,)
        Codes into `restart_gates.machine.GATE_STATES`.
    """

    enabled: bool
    lower: float
    upper: float
    limit_lower: float
    limit_upper: float
    tick: Decimal
    verdict: NDArray[np.int8]
    range_low: Float64
    range_high: Float64
    iou: Float64
    close: Float64
    closes_outside: NDArray[np.int32]
    bars_since_reposition: Float64
    gate_state: NDArray[np.int8]

    @property
    def is_blocked(self) -> NDArray[np.bool_]:
        """A stop is in force and its gates do not permit a restart."""
        return np.asarray((self.gate_state != NOT_STOPPED) & (self.gate_state != PERMITTED))

    @classmethod
    def of(cls, config: GridConfig, **hours: NDArray[Any]) -> Self:
        """Join a grid with its hours."""
        return cls(
            config.enabled,
            float(config.lower),
            float(config.upper),
            0.0 if config.limit_lower is None else float(config.limit_lower),
            np.inf if config.limit_upper is None else float(config.limit_upper),
            config.tick,
            **hours,
        )


@dataclass(frozen=True, eq=False)
class Decisions:
    """What the rules say at n hours; columns of `schema.GRID_ADVICE`, each of shape (n,)."""

    status: NDArray[np.int8]
    action: NDArray[np.int8]
    is_actionable: NDArray[np.bool_]
    inventory: NDArray[np.int8]
    proposed_lower: Float64
    proposed_upper: Float64
