"""Where the price stands to the configured grid at the newest hour.

See `latest_hour` for the rest of that hour, `services.queries.overview` for the same on the other faces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.domain.grids.comparison import edge_distance_pct
from regime_pipeline.domain.grids.schema import ADVICE_STATUSES
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.spells import find_runs


@dataclass(frozen=True, slots=True)
class GridNow:
    """The newest version of a symbol's grid beside a market's newest close.

    Parameters
    ----------
    lower, upper : float
        Edges, quote currency.
    enabled : bool
        The grid places orders.
    edge_pct, edge_atr : float
        From the close to the nearest edge, percent of that edge and ATR; negative outside, NaN where unknown.
    hold_24h, hold_72h : float
        Probability that every close of the next hours stays inside, 0..1; NaN where unknown.
    outside_since_ms : int or None
        Close of the first hour in a row whose close was outside the enabled grid, epoch milliseconds UTC.
    """

    lower: float
    upper: float
    enabled: bool
    edge_pct: float
    edge_atr: float
    hold_24h: float
    hold_72h: float
    outside_since_ms: int | None

    @property
    def is_outside(self) -> bool:
        """The grid is enabled and the price is beyond one of its edges."""
        return self.enabled and self.edge_pct < 0


def grid_now(rows: MarketRows, close: float, advice: dict[str, Any] | None) -> GridNow | None:
    """Return the grid at the newest hour; None where the symbol has none.

    Parameters
    ----------
    rows : MarketRows
        The market's period.
    close : float
        Newest close, quote currency; NaN where there is none.
    advice : dict or None
        The newest hour's row of advice; one on an older version of the grid tells nothing of this one.
    """
    if not rows.grids:
        return None
    config = rows.grids[-1]
    its = advice if advice is not None and advice["config_version"] == config.version else {}
    return GridNow(
        lower=float(config.lower),
        upper=float(config.upper),
        enabled=config.enabled,
        edge_pct=edge_distance_pct(config, close),
        edge_atr=-float(its.get("edge_distance_atr", np.nan)),
        hold_24h=float(its.get("hold_24h", np.nan)),
        hold_72h=float(its.get("hold_72h", np.nan)),
        outside_since_ms=_outside_since_ms(rows) if its else None,
    )


def _outside_since_ms(rows: MarketRows) -> int | None:
    runs = find_runs(rows.advice_on_calendar("status"))
    if not len(runs.code) or ADVICE_STATUSES[int(runs.code[-1])] != "OUTSIDE":
        return None
    return rows.start_ms + (int(runs.first[-1]) + 1) * HOUR_MS
