"""A market's dashboard rows in short: verdict shares, newest verdict, and why.

Every face prints the same summary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.storage.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class MarketVerdicts:
    """One market over a window.

    Parameters
    ----------
    market : Market
        Symbol and timeframe.
    hours : int
        Hours with a row.
    shares : dict of str to float
        Share of the hours by verdict, 0..1, INSUFFICIENT_DATA included; empty without hours.
    as_of_ms : int or None
        Start of the newest hour, epoch milliseconds UTC.
    verdict, reason : str
        Newest verdict and its deciding factor; empty without hours.
    confidence : float
        Of the newest verdict, 0..1.
    """

    market: Market
    hours: int
    shares: dict[str, float]
    as_of_ms: int | None
    verdict: str
    confidence: float
    reason: str


def summarize(warehouse: Warehouse, market: Market, window: Window) -> MarketVerdicts:
    """Return the summary of a market's dashboard rows in the window."""
    names = ["hour_start", "verdict", "confidence", "reason"]
    rows = warehouse.read_range("dashboard_hours", market, window, names)
    count = len(rows["hour_start"])
    if not count:
        return MarketVerdicts(market, 0, {}, None, "", 0.0, "")
    share = np.bincount(rows["verdict"], minlength=len(VERDICTS)) / count
    return MarketVerdicts(
        market=market,
        hours=count,
        shares=dict(zip(VERDICTS, share.tolist(), strict=True)),
        as_of_ms=int(rows["hour_start"][-1]),
        verdict=VERDICTS[rows["verdict"][-1]],
        confidence=float(rows["confidence"][-1]),
        reason=str(rows["reason"][-1]),
    )
