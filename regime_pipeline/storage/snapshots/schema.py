"""The shape of a snapshot document, schema version 1: fields, types and bounds, and the naming of what breaks them.

See `validation` for how the fields relate to each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from regime_pipeline.domain.market_data.candles import MAX_TICKS

SCHEMA_VERSION: Final = 1
DEFAULT_PRICE_SCALE: Final = 100
"""Ticks per unit of quote currency of old files, which do not state it."""
_LAST_MS: Final = 253_402_300_799_999

Milliseconds = Annotated[int, Field(strict=True, ge=0, le=_LAST_MS)]
Ticks = Annotated[int, Field(strict=True, ge=1, le=MAX_TICKS)]
Count = Annotated[int, Field(strict=True, ge=0)]
Scale = Annotated[int, Field(strict=True, ge=1, le=10**18)]
Volume = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Text = Annotated[str, Field(strict=True)]
Sha256 = Annotated[str, Field(strict=True, pattern="^[0-9a-f]{64}$")]
Bars = list[tuple[Milliseconds, Ticks, Ticks, Ticks, Ticks, Volume]]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Summary(_Shape):
    """`market_summary`: prices in ticks, base volume, count of bars, simple return in percent."""

    open: Ticks
    high: Ticks
    low: Ticks
    close: Ticks
    volume: Volume
    bar_count: Count
    return_pct: Real


class Metadata(_Shape):
    """`metadata`: origin and completeness of the bars; times are ISO-8601 with offset. Other programs write no hash.

    `no_trade` counts the bars without a trade of a market that declares that its absent bars are such.
    """

    source: Text
    expected: Count
    present: Count
    status: Literal["complete", "exchange_gap", "missing"]
    gaps: list[tuple[Text, Text]]
    config_hash: Text
    no_trade: Count = 0
    sha256: Sha256 | None = None
    collected_at: Text


class History(_Shape):
    """`historical_data` of a bundle: the bars that closed in the `hours` before the snapshot's hour."""

    hours: Count
    price_scale: Scale
    bars: Bars
    sha256: Sha256


FIELDS: Final[Mapping[str, TypeAdapter[Any]]] = {
    "schema_version": TypeAdapter(Literal[1]),
    "symbol": TypeAdapter(Text),
    "timeframe": TypeAdapter(Text),
    "hour_start": TypeAdapter(Text),
    "price_scale": TypeAdapter(Scale),
    "bars": TypeAdapter(Bars),
    "market_summary": TypeAdapter(Summary | None),
    "metadata": TypeAdapter(Metadata),
}
"""Fields of a document, in the order in which they are written."""
HISTORY: Final = "historical_data"
_HISTORY_FIELD: Final = TypeAdapter(History)


@dataclass(frozen=True, slots=True)
class Checked:
    """The fields of a document that have their shape, and the faults of those that have not."""

    fields: Mapping[str, Any]
    faults: tuple[str, ...]


def check_shape(document: Mapping[str, Any]) -> Checked:
    """Check every field by itself, so that one broken field hides no fault of another."""
    given = {"price_scale": DEFAULT_PRICE_SCALE, **document}
    adapters = {**FIELDS, **({HISTORY: _HISTORY_FIELD} if HISTORY in given else {})}
    fields: dict[str, Any] = {}
    faults = [f"unknown field {name}" for name in given if name not in adapters]
    for name, adapter in adapters.items():
        if name not in given:
            faults.append(f"missing field {name}")
            continue
        try:
            fields[name] = adapter.validate_python(given[name])
        except ValidationError as error:
            faults += [_fault(name, detail) for detail in error.errors(include_url=False)]
    return Checked(fields, tuple(faults))


def _fault(field: str, detail: Any) -> str:
    """Say one shape fault: `metadata.status is 7: input should be ...`."""
    path = ".".join([field, *(str(step) for step in detail["loc"])])
    if detail["type"] == "missing":
        return f"missing field {path}"
    if detail["type"] == "extra_forbidden":
        return f"unknown field {path}"
    value = repr(detail["input"])
    shown = value if len(value) <= 40 else f"{value[:37]}..."
    return f"{path} is {shown}: {detail['msg'][0].lower()}{detail['msg'][1:]}"
