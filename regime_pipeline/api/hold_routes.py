"""The route of the hold probability: how long a band of prices will hold, from a market's newest close.

See `services.queries.hold` for the probability, `verdict_routes` for verdicts, which describe the past window.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from regime_pipeline.api.checked_route import CheckedRoute
from regime_pipeline.api.context import ContextParameter, Reader
from regime_pipeline.api.params import MarketParameter
from regime_pipeline.domain.hold.model import MAX_HOURS, MAX_PROBABILITY, MIN_HOURS, MIN_PROBABILITY
from regime_pipeline.services.queries.hold import DEFAULT_HOURS, DEFAULT_PROBABILITY, HoldQuery, hold_answer

router = APIRouter(tags=["verdicts"], route_class=CheckedRoute)
_Edge = Annotated[float | None, Query(gt=0, allow_inf_nan=False, description="Edge of the band, quote currency.")]
_Hours = Annotated[int, Query(ge=MIN_HOURS, le=MAX_HOURS, description="Hours ahead.", examples=[24])]
_Probability = Annotated[
    float,
    Query(ge=MIN_PROBABILITY, le=MAX_PROBABILITY, description="Of the band that is suggested.", examples=[0.8]),
]


class HoldBand(BaseModel):
    """The band that holds with a given probability."""

    probability: float = Field(examples=[0.8])
    lower: float = Field(examples=[2312.4])
    upper: float = Field(examples=[2497.1])


class HoldProbability(BaseModel):
    """How long a band holds."""

    symbol: str = Field(examples=["ETH-USDT"])
    timeframe: str = Field(examples=["1h"])
    known_at: str = Field(description="Close of the newest bar; the hours count from here.")
    data_age_seconds: int = Field(description="Seconds since then.", examples=[93])
    data_age_s: int = Field(description="The same under its old name.", examples=[93], deprecated=True)
    close: float = Field(examples=[2402.9])
    hours: int = Field(examples=[24])
    lower: float | None = Field(examples=[2300.0])
    upper: float | None = Field(examples=[2500.0])
    hold_probability: float | None = Field(
        description="P(every close of these hours stays inside); null without bounds, 0 if the close is outside.",
        examples=[0.83],
    )
    band: HoldBand
    model_hash: str = Field(description="Hash of the fitted numbers.", examples=["c23e4a774701d62b"])


@router.get("/api/verdicts/{symbol}/{timeframe}/hold", summary="How long a band will hold")
def hold(
    context: ContextParameter,
    _: Reader,
    market: MarketParameter,
    lower: _Edge = None,
    upper: _Edge = None,
    hours: _Hours = DEFAULT_HOURS,
    probability: _Probability = DEFAULT_PROBABILITY,
) -> HoldProbability:
    """Return the calibrated probability that every close of the next hours stays inside, and the band of a probability.

    Give both edges, or neither for the suggested band alone. Timeframes from 1m to 4h.
    """
    return HoldProbability(**hold_answer(context.ws, market, HoldQuery(lower, upper, hours, probability)))
