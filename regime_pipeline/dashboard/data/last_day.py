"""Since when the newest verdict holds, and what the last 24 hours changed.

See `latest_hour` for the newest hour itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regime_pipeline.dashboard.data.market_rows import MarketRows
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.domain.spells import find_runs

_DAY_HOURS = 24


@dataclass(frozen=True, slots=True)
class LastDay:
    """How a market came to its newest hour.

    Parameters
    ----------
    since_ms : int
        Close of the first hour of the verdict's present run, epoch milliseconds UTC.
    is_longer : bool
        The run begins with the rows at hand, so it may be older.
    verdict_before : str
        The verdict 24 hours ago; empty where there is none.
    close_change : float
        Newest close over that of 24 hours ago, less 1; NaN where one is missing.
    """

    since_ms: int
    is_longer: bool
    verdict_before: str
    close_change: float


def last_day(rows: MarketRows) -> LastDay:
    """Return since when the newest verdict holds, and what changed in a day."""
    verdict, close = rows.on_calendar("verdict"), rows.on_calendar("close")
    first = int(find_runs(verdict).first[-1])
    has_day = len(rows) > _DAY_HOURS
    before = verdict[-1 - _DAY_HOURS] if has_day else np.nan
    return LastDay(
        since_ms=rows.start_ms + (first + 1) * HOUR_MS,
        is_longer=first == 0,
        verdict_before="" if np.isnan(before) else VERDICTS[int(before)],
        close_change=float(close[-1] / close[-1 - _DAY_HOURS] - 1) if has_day else float("nan"),
    )
