"""What the routes answer, for the OpenAPI document: names, types and an example of each.

They document only: routes render their answers themselves, and a test holds what they answer against these models.
Times are ISO-8601 in UTC, prices in the quote currency. See `grid_answers` for those of grids and gates.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Row = TypeVar("Row")


class Page(BaseModel, Generic[Row]):
    """One page of a list."""

    items: list[Row]
    total: int = Field(description="Items of the whole list, on every page.", examples=[420])
    next_url: str | None = Field(
        description="Path and query of the next page on this server; null at the end.",
        examples=["/api/verdicts/ETH-USDT/1h?limit=1&cursor=MTc4OTcyOTIwMDAwMA"],
    )


class ColumnsPage(BaseModel, Generic[Row]):
    """One page of a list by column."""

    items: Row
    total: int = Field(description="Rows of the whole list, on every page.", examples=[420])
    next_url: str | None = Field(
        description="Path and query of the next page on this server; null at the end.",
        examples=["/api/candles/ETH-USDT/1h?limit=1&format=columns&cursor=MTc4OTcyOTIwMDAwMA"],
    )


class _OfSeries(BaseModel):
    symbol: str = Field(examples=["ETH-USDT"])
    timeframe: str = Field(examples=["1h"])
    candles: int = Field(description="Candles looked at.", examples=[420])
    start: str | None = Field(description="Open of the first candle.", examples=["2026-09-01T00:00:00Z"])
    end: str | None = Field(description="Close of the last candle.", examples=["2026-09-18T12:00:00Z"])


class RegimeShare(BaseModel):
    """How often and how long one regime was."""

    candles: int = Field(examples=[79])
    share: float = Field(description="Of all candles.", examples=[0.188])
    mean_confidence: float | None = Field(examples=[0.362])
    periods: int = Field(examples=[4])
    mean_hours: float | None = Field(description="Mean length of a period.", examples=[19.75])
    longest_hours: float | None = Field(examples=[45.0])
    color: str = Field(examples=["#3b82f6"])


class RegimeStats(_OfSeries):
    """Counts and dwell times by simplified regime."""

    regimes: dict[str, RegimeShare] = Field(description="By regime.")


class Period(BaseModel):
    """A maximal run of one regime."""

    start: str = Field(examples=["2026-09-09T07:00:00Z"])
    end: str = Field(description="Exclusive.", examples=["2026-09-09T13:00:00Z"])
    candles: int = Field(examples=[6])
    regime: str = Field(examples=["NEUTRAL"])
    mean_confidence: float = Field(examples=[0.18])


class Transition(BaseModel):
    """A change from one regime to another."""

    time: str = Field(examples=["2026-09-09T07:00:00Z"])
    from_: str = Field(alias="from", examples=["RANGE"])
    to: str = Field(examples=["TREND_UP"])
    candles_before: int = Field(examples=[19])
    candles_after: int = Field(examples=[6])


class TransitionCount(BaseModel):
    """How often one regime followed another."""

    from_: str = Field(alias="from", examples=["RANGE"])
    to: str = Field(examples=["TREND_UP"])
    count: int = Field(examples=[2])
    share: float = Field(description="Of all changes from that regime.", examples=[0.5])


class TransitionCounts(_OfSeries):
    """Counts of all changes of the span."""

    transitions: list[TransitionCount]


class Transitions(Page[Transition]):
    """One page of changes, and the counts of all of them."""

    counts: TransitionCounts


class Spread(BaseModel):
    """How confidence is spread."""

    candles: int = Field(examples=[221])
    mean: float | None = Field(examples=[0.313])
    quartiles: list[float] | None = Field(examples=[[0.141, 0.258, 0.513]])
    histogram: list[int] = Field(description="Ten bins from 0 to 1.", examples=[[33, 42, 50, 15, 21, 41, 19, 0, 0, 0]])


class Confidence(_OfSeries):
    """Confidence of all decided candles and by regime."""

    all: Spread
    regimes: dict[str, Spread] = Field(description="By regime.")


class Returns(BaseModel):
    """What the bar after each candle of a regime did; null where bars are too few."""

    bars: int = Field(examples=[79])
    mean_return_bps: float | None = Field(examples=[4.7])
    volatility_bps: float | None = Field(examples=[39.6])
    share_up: float | None = Field(examples=[0.61])
    total_return_pct: float | None = Field(examples=[3.78])


class Performance(_OfSeries):
    """Returns after each regime."""

    regimes: dict[str, Returns] = Field(description="By regime.")


class Candle(BaseModel):
    """A closed candle."""

    time: str = Field(description="Open time.", examples=["2026-09-18T11:00:00Z"])
    known_at: str = Field(description="Close: use the row from then on.", examples=["2026-09-18T12:00:00Z"])
    open: float = Field(examples=[1100.4])
    high: float = Field(examples=[1104.2])
    low: float = Field(examples=[1098.7])
    close: float = Field(examples=[1101.72])
    volume: float = Field(examples=[812.5])
    is_no_trade: bool = Field(description="Nobody traded: volume 0 and a single price.", examples=[False])


class StoredMarket(BaseModel):
    """A market and how old its newest candle is."""

    symbol: str = Field(examples=["ETH-USDT"])
    timeframe: str = Field(examples=["1h"])
    data_age_seconds: int | None = Field(description="Since the newest close; null without candles.", examples=[93])
    data_age_s: int | None = Field(description="The same under its old name.", examples=[93], deprecated=True)


class Ok(BaseModel):
    """All is well."""

    ok: bool = Field(examples=[True])


class Alternative(BaseModel):
    """Another verdict and its weight."""

    verdict: str = Field(examples=["RANGE_WEAK"])
    weight: float = Field(examples=[0.44])


class FactorRow(BaseModel):
    """One rule: what it looked at and what came of it."""

    rule: str = Field(examples=["TREND"])
    inputs: dict[str, Any] = Field(examples=[{"trend_score": 61.93, "direction": "up"}])
    threshold: Any = Field(description="A number, several by name, or null.", examples=[70.0])
    margin: float | None = Field(description="How far from the threshold.", examples=[-8.07])
    outcome: str = Field(examples=["not met"])
    sentence: str = Field(examples=["Trend 61.9 (1 of 3 indicators agree) is below 70: no TREND."])


class _Verdict(BaseModel):
    verdict: str = Field(examples=["TREND"])
    confidence: float | None = Field(examples=[0.453])
    direction: str | None = Field(examples=["up"])
    dominant_risk: str | None = Field(examples=["TREND"])
    trend_score: float | None = Field(description="0 to 100, as the other scores.", examples=[61.9])
    mean_rev_score: float | None = Field(examples=[62.4])
    vol_change_score: float | None = Field(examples=[41.4])
    range_quality_score: float | None = Field(examples=[22.1])
    grid_capacity_score: float | None = Field(examples=[100.0])
    range_low: float | None = Field(examples=[1051.095])
    range_high: float | None = Field(examples=[1110.614])
    policy_hash: str = Field(examples=["65b1c7a9cb799e7d"])


class VerdictRow(_Verdict):
    """An hour's verdict. Every feature it rests on follows as a number of its own."""

    model_config = ConfigDict(extra="allow")
    hour_start: str = Field(examples=["2026-09-18T11:00:00Z"])
    as_of_bar: str | None = Field(description="Open of the newest bar it knows.", examples=["2026-09-18T11:00:00Z"])
    known_at: str = Field(description="Close of the hour: use the row from then on.", examples=["2026-09-18T12:00:00Z"])
    competing: list[Alternative] = Field(description="The other verdicts, heaviest first.")
    factors: list[FactorRow] = Field(description="The rules in the order in which they decide.")
    status: str = Field(examples=["OK"])


class VerdictDocument(VerdictRow):
    """An hour's verdict with its market and the age of its data."""

    symbol: str = Field(examples=["ETH-USDT"])
    timeframe: str = Field(examples=["1h"])
    source: str = Field(description="stored or computed.", examples=["stored"])
    data_age_seconds: int = Field(examples=[93])
    data_age_s: int = Field(description="The same under its old name.", examples=[93], deprecated=True)


class Explanation(VerdictDocument):
    """An hour's verdict with its factors as sentences."""

    explanation: list[str] = Field(examples=[["Trend 61.9 (1 of 3 indicators agree) is below 70: no TREND."]])


class HookAnswer(_Verdict):
    """The verdict as one flat object."""

    ok: bool = Field(examples=[True])
    request_id: str = Field(examples=["run-42"])
    symbol: str = Field(examples=["ETH-USDT"])
    timeframe: str = Field(examples=["1h"])
    trigger_time: str = Field(examples=["2026-09-18T12:00:05Z"])
    hour_start: str = Field(examples=["2026-09-18T11:00:00Z"])
    known_at: str = Field(description="From when the row may be used.", examples=["2026-09-18T12:00:00Z"])
    reason: str = Field(examples=["This hour alone says RANGE_WEAK; TREND holds until another class leads by 0.34."])
    data_age_seconds: int = Field(examples=[93])
    data_age_s: int = Field(description="The same under its old name.", examples=[93], deprecated=True)
    source: str = Field(examples=["stored"])
    collected: bool | None = Field(None, description="With `collect`: whether the hour came about.", examples=[True])


class HookPending(BaseModel):
    """Not answered yet."""

    ok: bool = Field(examples=[True])
    request_id: str = Field(examples=["run-42"])
    status: str = Field(examples=["pending"])
    status_url: str = Field(examples=["/api/hooks/analyze/run-42"])
