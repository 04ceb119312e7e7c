"""Arguments of the tools: what can be asked, with the JSON schema that agents see and refusals in a sentence.

See `markets` for whether a market is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from regime_pipeline.domain.candle_regimes.states import SIMPLIFIED
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import TIMEFRAME_MINUTES
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.services.queries.candle_regimes import FOREVER

DEFAULT_ROWS: Final = 50
MAX_ROWS: Final = 200
_TIMEFRAMES: Final = ", ".join(TIMEFRAME_MINUTES)
_REGIMES: Final = ", ".join(SIMPLIFIED)
_MOMENT: Final = "ISO-8601 with offset, e.g. 2024-01-01T00:00:00Z; a time without offset is an error"
_ECHOED: Final = 40
_Some = TypeVar("_Some", bound=BaseModel)

Symbol = Annotated[
    str, Field(max_length=_ECHOED, description="BASE-QUOTE, e.g. ETH-USDT; the old ETHUSDT is understood.")
]
Timeframe = Annotated[str, Field(max_length=_ECHOED, description=f"Length of a candle: one of {_TIMEFRAMES}.")]
Regime = Annotated[str, Field(max_length=_ECHOED)]
Moment = Annotated[str, Field(max_length=_ECHOED)]


class Query(BaseModel):
    """Any question: unknown arguments are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PageQuery(Query):
    """A question that is answered by a list."""

    limit: int = Field(DEFAULT_ROWS, ge=1, le=MAX_ROWS, description=f"Most rows of this page, 1 to {MAX_ROWS}.")
    cursor: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="next_cursor of the page before, with the other arguments unchanged; none for the first page."
    )


class MarketQuery(Query):
    """A question on one market."""

    symbol: Symbol
    timeframe: Timeframe = "1h"


class SeriesQuery(MarketQuery):
    """A question on the candles of one market in a span."""

    start: Moment | None = Field(None, description=f"First candle opens at or after this time; {_MOMENT}.")
    end: Moment | None = Field(None, description="Candles open before this time (exclusive); same form as start.")

    @property
    def span_ms(self) -> tuple[int, int]:
        """Half-open span of open times, epoch milliseconds UTC; 1970 to 2100 where no bound is given.

        Raises
        ------
        UsageError
            A time cannot be read or has no offset, or the span is empty.
        """
        first = FOREVER[0] if self.start is None else moment_ms("start", self.start)
        last = FOREVER[1] if self.end is None else moment_ms("end", self.end)
        if first >= last:
            raise UsageError(
                f"The span from {self.start or '1970'} to {self.end or '2100'} is empty.",
                "Give a start before the end.",
            )
        return first, last


class MarketsQuery(PageQuery):
    """Arguments of `list_markets`."""

    symbol: Symbol | None = Field(None, description="Only this symbol, e.g. ETH-USDT.")
    timeframe: Timeframe | None = Field(None, description=f"Only this timeframe: one of {_TIMEFRAMES}.")


class PeriodsQuery(PageQuery, SeriesQuery):
    """Arguments of `find_periods`."""

    regime: Regime | None = Field(None, description=f"Only periods of this candle regime: one of {_REGIMES}.")


class TransitionsQuery(PageQuery, SeriesQuery):
    """Arguments of `transition_stats`."""

    from_regime: Regime | None = Field(None, description=f"Only changes out of this regime: one of {_REGIMES}.")
    to_regime: Regime | None = Field(None, description=f"Only changes into this regime: one of {_REGIMES}.")


class ByRegimeQuery(SeriesQuery):
    """Arguments of `confidence_stats` and `regime_performance`."""

    regime: Regime | None = Field(None, description=f"Only this candle regime: one of {_REGIMES}; all without it.")


class ExplainQuery(Query):
    """Arguments of `explain_verdict`."""

    symbol: Symbol
    time: Moment = Field(description=f"Any moment of the hour to explain; {_MOMENT}.")
    timeframe: Timeframe = "1h"


class GridQuery(MarketQuery):
    """Arguments of `compare_grid`."""

    time: Moment | None = Field(
        None, description=f"Any moment of the hour to compare at, the newest without it; {_MOMENT}."
    )


class HistoryQuery(PageQuery, MarketQuery):
    """Arguments of `grid_events` and `verdict_history`."""

    start: Moment | None = Field(
        None, description=f"From this time on, seven days before the end without it; {_MOMENT}."
    )
    end: Moment | None = Field(None, description="Up to this time, now without it; same form as start.")


def read_arguments(kind: type[_Some], tool: str, given: Mapping[str, Any]) -> _Some:
    """Return the arguments of a tool.

    Raises
    ------
    UsageError
        One is missing, unknown or of the wrong form; names each.
    """
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        faults = "; ".join(_fault(fault) for fault in error.errors()[:3])
        raise UsageError(f"{faults}.", f"{tool} takes {', '.join(kind.model_fields)}.") from error


def moment_ms(argument: str, text: str) -> int:
    """Return the epoch milliseconds of an argument that is a time, 1970 to 2100; a refusal names the argument."""
    try:
        found = to_ms(text)
    except UsageError as error:
        raise UsageError(f"{argument}: {error.what}", error.todo) from error
    if not FOREVER[0] <= found <= FOREVER[1]:
        raise UsageError(f"{argument}: '{text}' is out of range.", "Give a time between 1970 and 2100.")
    return found


def known_regime(text: str | None) -> str:
    """Return a simplified regime in its one spelling, empty for none.

    Raises
    ------
    UsageError
        There is no such regime; names those there are.
    """
    if not text:
        return ""
    name = text.strip().upper().replace(" ", "_").replace("-", "_")
    if name in SIMPLIFIED:
        return name
    if name in VERDICTS:
        raise UsageError(
            f"'{text}' is an hourly verdict, not a candle regime.",
            f"Use one of {_REGIMES}; current_regime and explain_verdict speak of verdicts.",
        )
    near = get_close_matches(name, SIMPLIFIED, 1)
    raise UsageError(
        f"'{text}' is not a candle regime{f' (near: {near[0]})' if near else ''}.", f"Use one of {_REGIMES}."
    )


def _fault(fault: Any) -> str:
    """One finding of pydantic in a few words, never longer than a line."""
    name = str(fault["loc"][0])[:_ECHOED] if fault["loc"] else "the arguments"
    if fault["type"] == "missing":
        return f"{name} is missing"
    if fault["type"] == "extra_forbidden":
        return f"'{name}' is not an argument"
    said = str(fault["msg"])
    return f"{name} is {repr(fault['input'])[:_ECHOED]}: {said[:1].lower()}{said[1:]}"
