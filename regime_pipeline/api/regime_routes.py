"""Routes of the candle regimes: the series, and statistics, periods, transitions, confidence and performance of it.

See `services.queries.candle_regimes` for what they return.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from regime_pipeline.api import answers
from regime_pipeline.api.checked_route import CheckedRoute
from regime_pipeline.api.context import Context, ContextParameter, Reader
from regime_pipeline.api.errors import NOT_INSTALLED
from regime_pipeline.api.formats import IN_ARROW, MEDIA_TYPES, Format, FormatQuery, column_model
from regime_pipeline.api.params import BarsLimit, CursorQuery, MarketParameter, RowsLimit, SpanParameter, page_of
from regime_pipeline.api.plain_questions import PlainQuestion, quick_route
from regime_pipeline.api.regime_rows import Answer
from regime_pipeline.api.responses import IfNoneMatch, json_answer, versioned
from regime_pipeline.domain.candle_regimes.periods import Periods
from regime_pipeline.domain.candle_regimes.states import SIMPLIFIED
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.queries import candle_regimes as service
from regime_pipeline.services.queries.candle_regimes import FOREVER, RegimeQuestion

_PREFIX: Final = "/api/data/regime/{symbol}/{timeframe}"
_TAGS: Final = ["candle regimes"]
router = APIRouter(prefix=_PREFIX, tags=[*_TAGS], route_class=CheckedRoute)
RegimeName = Literal["UNDEFINED", "TREND_UP", "TREND_DOWN", "RANGE", "CHOPPY", "NEUTRAL"]


class RegimeRow(BaseModel):
    """One candle."""

    time: int = Field(description="Open time, Unix seconds.", examples=[1788220800])
    known_at: int = Field(
        description="Close of the candle, Unix seconds: use the row from then on.", examples=[1788224400]
    )
    regime: str = Field(examples=["RANGE"])
    full_regime: str = Field(examples=["NEUTRAL_LOWVOL_WEAK"])
    trend_state: str = Field(examples=["neutral"])
    volatility_state: str = Field(examples=["low"])
    momentum_state: str = Field(examples=["weak"])
    color: str = Field(examples=["#3b82f6"])
    confidence: float = Field(description="0 to 1, four decimals.", examples=[0.41])


_QUICK_ROWS: Final = 500
"""So many rows are rendered sooner than a thread begins."""


async def answered(context: Context, asked: PlainQuestion) -> Response:
    """Answer a sound question from what was read before, where nothing was written since, else from the tables."""
    start, end = asked.span
    if start != FOREVER[0]:
        end = min(end, start + asked.limit * asked.market.step_ms)
    question = RegimeQuestion(asked.market, start, end, asked.limit)
    held = context.rows.find(question)
    if held is None or not await context.looks.ask((asked.market, held.mark)):
        answer = await _read(context, question, asked.form)
    elif held.is_quick(asked.form) or asked.limit <= _QUICK_ROWS:
        answer = held.answer(question, asked.form)
    else:
        answer = await run_in_threadpool(held.answer, question, asked.form)
    headers = {"X-Regime-Source": answer.source}
    return versioned(answer.body, MEDIA_TYPES[asked.form], headers, asked.have, answer.version)


async def _read(context: Context, question: RegimeQuestion, form: Format) -> Answer:
    """Read what answers a question: few rows with the other questions that wait, many in a thread of their own."""
    if question.limit <= _QUICK_ROWS:
        return await context.reads.ask((question, form))
    return (await run_in_threadpool(context.read, [(question, form)]))[0]


quick = APIRouter(prefix=_PREFIX, tags=[*_TAGS], route_class=quick_route(answered))


@quick.get(
    "",
    response_model=list[RegimeRow] | column_model(RegimeRow),
    responses={**IN_ARROW, **NOT_INSTALLED},
    summary="Regime of every candle",
)
async def regimes(
    context: ContextParameter,
    _: Reader,
    market: MarketParameter,
    span: SpanParameter,
    limit: BarsLimit = 500,
    form: FormatQuery = "rows",
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return candles, oldest first, a flat list: the newest `limit`, or, with `start`, the first `limit` from there.

    The next page begins at the end of this one: at `start` plus `limit` bars. For many rows `format=columns` is one
    object of arrays and `format=arrow` an Arrow stream, whose times are timestamps.

    Stored rows of the current policy are used as they are; the others are computed from the stored candles of the same
    moment. `X-Regime-Source` says which: stored, computed or mixed.
    """
    return await answered(context, PlainQuestion(market, span, limit, form, if_none_match))


_AllBars = Annotated[int, Query(ge=1, le=2_000_000, description="At most so many bars, the newest.", examples=[10_000])]


@router.get("/stats", response_model=answers.RegimeStats, summary="Counts, shares and dwell times")
def stats(
    context: ContextParameter, _: Reader, market: MarketParameter, span: SpanParameter, limit: _AllBars = 100_000
) -> Response:
    """Return counts, shares, mean confidence and dwell times by simplified regime."""
    return json_answer(service.regime_stats(service.regime_series(context.ws, market, *span, limit)))


@router.get("/periods", response_model=answers.Page[answers.Period], summary="Periods of one regime")
def periods(
    request: Request,
    context: ContextParameter,
    _: Reader,
    market: MarketParameter,
    span: SpanParameter,
    regime: Annotated[RegimeName | None, Query(description="Only this regime.")] = None,
    limit: RowsLimit = 100,
    cursor: CursorQuery = "",
) -> Response:
    """Return the maximal runs of one simplified regime, oldest first."""
    found = service.regime_periods(service.regime_series(context.ws, market, *span), regime or "")
    return json_answer(page_of(request, _period_items(found), limit, cursor))


def _period_items(found: Periods) -> list[dict[str, Any]]:
    columns = (found.start_ms, found.end_ms, found.candles, found.regime, found.mean_confidence)
    return [
        {
            "start": to_iso(start),
            "end": to_iso(end),
            "candles": candles,
            "regime": SIMPLIFIED[regime],
            "mean_confidence": confidence,
        }
        for start, end, candles, regime, confidence in zip(*(c.tolist() for c in columns), strict=True)
    ]


@router.get("/transitions", response_model=answers.Transitions, summary="Changes from one regime to another")
def transitions(
    request: Request,
    context: ContextParameter,
    _: Reader,
    market: MarketParameter,
    span: SpanParameter,
    from_: Annotated[RegimeName | None, Query(alias="from", description="Only from this regime.")] = None,
    to: Annotated[RegimeName | None, Query(description="Only to this regime.")] = None,
    limit: RowsLimit = 100,
    cursor: CursorQuery = "",
) -> Response:
    """Return every change without a gap, oldest first in pages, and the counts of all of them."""
    found = service.regime_series(context.ws, market, *span)
    events = service.transition_events(found, from_ or "", to or "")
    page = page_of(request, events, limit, cursor)
    return json_answer({**page, "counts": service.transition_shares(found)})


@router.get("/confidence", response_model=answers.Confidence, summary="Distribution of confidence")
def confidence(
    context: ContextParameter, _: Reader, market: MarketParameter, span: SpanParameter, limit: _AllBars = 100_000
) -> Response:
    """Return mean, quartiles and a histogram of ten bins, of all and by simplified regime."""
    return json_answer(service.confidence_stats(service.regime_series(context.ws, market, *span, limit)))


@router.get("/performance", response_model=answers.Performance, summary="Returns after each regime")
def performance(
    context: ContextParameter, _: Reader, market: MarketParameter, span: SpanParameter, limit: _AllBars = 100_000
) -> Response:
    """Return what the bar after did: mean, volatility, share of rises, compounded; null where bars are too few."""
    return json_answer(service.regime_performance(context.ws, service.regime_series(context.ws, market, *span, limit)))
