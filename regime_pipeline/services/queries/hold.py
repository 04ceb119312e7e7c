"""How long a band holds on a stored market, for every face; computed from the closes in the warehouse.

See the faces for how the answer looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.domain.hold.model import check_market
from regime_pipeline.domain.hold.outlook import Band, HoldOutlook
from regime_pipeline.domain.hold.volatility import hold_lookback_hours
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.hold_model import default_hold_model

DEFAULT_HOURS: Final = 24
DEFAULT_PROBABILITY: Final = 0.8


@dataclass(frozen=True, slots=True)
class HoldQuery:
    """What is asked of a market.

    Parameters
    ----------
    lower, upper : float, optional
        Edges of a band, quote currency; both or neither.
    hours : int
        12 to 168.
    probability : float
        Of the band that is suggested, .01 to .99.
    """

    lower: float | None = None
    upper: float | None = None
    hours: int = DEFAULT_HOURS
    probability: float = DEFAULT_PROBABILITY

    @property
    def bounds(self) -> Band | None:
        """The band asked for, None for none.

        Raises
        ------
        UsageError
            Only one edge is given.
        """
        if self.lower is None and self.upper is None:
            return None
        if self.lower is None or self.upper is None:
            raise UsageError("A band needs both edges.", "Give lower and upper, or neither.")
        return Band(self.lower, self.upper)


def hold_outlook(ws: Workspace, market: Market) -> HoldOutlook:
    """Return the outlook from a market's newest stored close.

    Raises
    ------
    UsageError
        Its bars are longer than four hours.
    MissingDataError
        The market is not stored, or has too little history.
    """
    check_market(market)
    ws.warehouse.price_scale(market)  # an unknown market is said to be one
    newest = ws.warehouse.latest(market)
    if newest is None:
        raise MissingDataError(f"{market} has no candles yet.", "Materialize its raw_candles first.")
    end = newest + market.step_ms
    start = end - (hold_lookback_hours(market) + 2) * HOUR_MS
    return HoldOutlook.of(ws.warehouse.read_candles(market, start, end), default_hold_model())


def hold_answer(ws: Workspace, market: Market, query: HoldQuery) -> dict[str, Any]:
    """Return the hold probability of a band and the band of a probability, JSON values.

    Raises
    ------
    UsageError, MissingDataError
        As `hold_outlook`, or the question is out of bounds.
    """
    bounds = query.bounds
    found = hold_outlook(ws, market)
    suggested = found.band(query.probability, query.hours)
    age = round((ws.clock() - found.known_at_ms) / 1000)
    return {
        "symbol": market.symbol,
        "timeframe": market.timeframe,
        "known_at": to_iso(found.known_at_ms),
        "data_age_seconds": age,
        "data_age_s": age,
        "close": found.close,
        "hours": query.hours,
        "lower": bounds and bounds.lower,
        "upper": bounds and bounds.upper,
        "hold_probability": None if bounds is None else found.probability(*bounds, query.hours),
        "band": {"probability": query.probability, "lower": suggested.lower, "upper": suggested.upper},
        "model_hash": found.model.hash,
    }
