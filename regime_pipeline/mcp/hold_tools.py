"""The tool that looks ahead: how long a band of prices will hold.

See `services.queries.hold` for the probability.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from regime_pipeline.domain.hold.model import MAX_HOURS, MAX_PROBABILITY, MIN_HOURS, MIN_PROBABILITY
from regime_pipeline.mcp.arguments import MarketQuery
from regime_pipeline.mcp.markets import stored_market
from regime_pipeline.mcp.responses import single
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.queries.hold import DEFAULT_HOURS, DEFAULT_PROBABILITY, HoldQuery, hold_answer


class HoldToolQuery(MarketQuery):
    """Arguments of `hold_probability`."""

    lower: float | None = Field(None, gt=0, allow_inf_nan=False, description="Lower edge, quote currency.")
    upper: float | None = Field(None, gt=0, allow_inf_nan=False, description="Upper edge, quote currency.")
    hours: int = Field(DEFAULT_HOURS, ge=MIN_HOURS, le=MAX_HOURS, description="Hours ahead, 12 to 168.")
    probability: float = Field(
        DEFAULT_PROBABILITY,
        ge=MIN_PROBABILITY,
        le=MAX_PROBABILITY,
        description="Hold probability of the band that is suggested, 0.01 to 0.99.",
    )


def hold_probability(ws: Workspace, query: HoldToolQuery) -> dict[str, Any]:
    """Answer `hold_probability`."""
    market = stored_market(ws, query.symbol, query.timeframe)
    asked = HoldQuery(query.lower, query.upper, query.hours, query.probability)
    found = hold_answer(ws, market, asked)
    if found["hold_probability"] is not None:
        found["hold_probability"] = round(found["hold_probability"], 4)
    return single(found)
