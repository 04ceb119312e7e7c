"""What the routes of grids, gates and the overview answer, for the OpenAPI document.

See `answers` for what these models are for.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from regime_pipeline.api.answers import FactorRow


class OverviewRow(BaseModel):
    """A market's newest hour: verdict, price against range and grid, advice, stop and age."""

    model_config = ConfigDict(extra="allow")
    symbol: str = Field(examples=["ETH-USDT"])
    timeframe: str = Field(examples=["1h"])
    verdict: str | None = Field(examples=["TREND"])
    confidence: float | None = Field(examples=[0.453])
    since: str | None = Field(description="When this verdict began.", examples=["2026-09-15T00:00:00Z"])
    verdict_expected_at: str | None = Field(
        description="When a market without a verdict can have one.", examples=[None]
    )
    hold_24h: float | None = Field(description="Probability that the range holds 24 hours.", examples=[0.44])
    hold_72h: float | None = Field(examples=[0.19])
    close: float | None = Field(examples=[1101.72])
    range_low: float | None = Field(examples=[1051.095])
    range_high: float | None = Field(examples=[1110.614])
    range_position: str | None = Field(description="inside, above or below.", examples=["inside"])
    grid: str = Field(description="none, enabled or disabled.", examples=["enabled"])
    grid_lower: float | None = Field(examples=[1013.59])
    grid_upper: float | None = Field(examples=[1189.85])
    grid_position: str | None = Field(examples=["inside"])
    action: str | None = Field(description="Advice on the grid.", examples=["KEEP"])
    advice_stale: str | None = Field(description="Why the advice no longer holds.", examples=[None])
    stopped_at: str | None = Field(examples=[None])
    gate_state: str | None = Field(examples=[None])
    permitted_until: str | None = Field(examples=[None])
    last_close: str | None = Field(examples=["2026-09-18T12:00:00Z"])
    data_age_seconds: int | None = Field(examples=[93])
    is_late: bool = Field(description="A live market whose data is too old.", examples=[False])
    attention: str = Field(description="What needs attention; empty where nothing does.", examples=[""])


class Overview(BaseModel):
    """Every market's newest row, what needs attention first."""

    now: str = Field(examples=["2026-09-18T12:01:33Z"])
    total: int = Field(examples=[2])
    items: list[OverviewRow]


class GridVersion(BaseModel):
    """A version of a grid; numbers as decimal text, so that no digit is lost."""

    model_config = ConfigDict(extra="allow")
    symbol: str = Field(examples=["ETH-USDT"])
    version: int = Field(examples=[1])
    enabled: bool = Field(examples=[False])
    lower: str = Field(examples=["1013.59"])
    upper: str = Field(examples=["1189.85"])
    levels: int = Field(examples=[10])
    spacing: str = Field(examples=["geometric"])
    tick: str = Field(examples=["0.01"])
    valid_from: str | None = Field(examples=["2026-09-18T12:01:30Z"])
    reason: str = Field(examples=["price left the range"])
    who: str = Field(examples=["my-bot"])
    origin: str = Field(description="SET, RESTART or OVERRIDE.", examples=["SET"])


class StoredGrid(BaseModel):
    """The version that was stored."""

    symbol: str = Field(examples=["ETH-USDT"])
    version: int = Field(examples=[2])
    grid: GridVersion


class Stop(BaseModel):
    """A stop: when, by whom and why."""

    stopped_at: str = Field(examples=["2026-09-18T12:01:30Z"])
    cause: str = Field(examples=["MANUAL"])
    who: str | None = Field(examples=["my-bot"])
    why: str | None = Field(examples=["news"])


class Advice(BaseModel):
    """What to do with the grid, from the newest hour."""

    model_config = ConfigDict(extra="allow")
    hour_start: str = Field(examples=["2026-09-18T11:00:00Z"])
    status: str = Field(examples=["OK"])
    action: str = Field(examples=["KEEP"])
    is_actionable: bool = Field(examples=[False])
    reasons: list[FactorRow]
    stale: str | None = Field(description="Why it no longer holds; null while it does.", examples=[None])


class GridState(StoredGrid):
    """A grid, its history, the stop in force and advice."""

    history: list[GridVersion] = Field(description="Every version, oldest first.")
    stop: Stop | None
    advice: Advice | None


class GridEvent(BaseModel):
    """Something that happened, in words with numbers."""

    time: str = Field(examples=["2026-09-15T00:00:00Z"])
    kind: str = Field(examples=["Verdict"])
    text: str = Field(examples=["RANGE_WEAK → TREND, confidence 66%"])
    who: str | None = Field(examples=[None])
    why: str | None = Field(examples=[None])


class GridEvents(BaseModel):
    """What happened to a grid in a span."""

    symbol: str = Field(examples=["ETH-USDT"])
    timeframe: str = Field(examples=["1h"])
    start: str = Field(examples=["2026-09-11T12:00:00Z"])
    end: str = Field(examples=["2026-09-18T12:00:00Z"])
    total: int = Field(description="Those left out by `limit` included.", examples=[4])
    items: list[GridEvent]


class GatesNow(BaseModel):
    """The stop in force and its gates."""

    stop: Stop
    gates_as_of: str | None = Field(examples=["2026-09-18T12:00:00Z"])
    gate_state: str = Field(examples=["GATE_1"])
    gate_bars: int = Field(description="Bars since the stop.", examples=[3])
    gate_held: int = Field(description="Bars for which the gate's conditions have held.", examples=[1])
    permit_bars: int = Field(description="Bars for which the permission lasts.", examples=[0])
    gate_checks: list[dict[str, Any]] = Field(description="Every condition with its value and threshold.")
    restart_grid: dict[str, Any] | None = Field(description="The grid that may be started.", examples=[None])
    permitted_until: str | None = Field(examples=[None])
    sentence: str = Field(examples=["Stopped 2026-09-18T10:00:00Z by my-bot (MANUAL): news; gate 1 of 3."])


class Gates(BaseModel):
    """Stops and restart gates of a grid."""

    symbol: str = Field(examples=["ETH-USDT"])
    timeframe: str = Field(examples=["1h"])
    stops: list[Stop]
    current: GatesNow | None
