"""Routes of the hourly verdicts, newest first, and of the candles behind them.

See `services.queries.verdicts` for what they return.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from fastapi import APIRouter, Request, Response

from regime_pipeline.api import answers
from regime_pipeline.api.checked_route import CheckedRoute
from regime_pipeline.api.context import ContextParameter, Reader
from regime_pipeline.api.errors import NOT_INSTALLED
from regime_pipeline.api.formats import IN_ARROW, MEDIA_TYPES, FormatQuery, frame_page, page_models
from regime_pipeline.api.grid_answers import Overview
from regime_pipeline.api.params import (
    CursorQuery,
    MarketParameter,
    RowsLimit,
    SpanParameter,
    TimePage,
    TimePath,
    moment_of,
)
from regime_pipeline.api.responses import IfNoneMatch, json_answer, versioned
from regime_pipeline.domain.known_at import bar_known_at
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.no_trade import is_no_trade
from regime_pipeline.domain.market_data.window import Window, to_iso
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.queries.candle_regimes import FOREVER
from regime_pipeline.services.queries.json_records import plain
from regime_pipeline.services.queries.overview import overview
from regime_pipeline.services.queries.rounding import rounded, rounded_frame
from regime_pipeline.services.queries.verdicts import newest_hour, verdict_of_hour, verdict_series
from regime_pipeline.storage.frames import utc_times

router = APIRouter(tags=["verdicts"], route_class=CheckedRoute)
_BASE = "/api/verdicts/{symbol}/{timeframe}"
_HOURS = tuple[int, int]


@router.get("/api/overview", response_model=Overview, summary="What every market does now")
def every_market(context: ContextParameter, _: Reader) -> Response:
    """Return the newest row of every market in one answer, what needs attention first.

    Verdict and since when, confidence, how long the range holds, price against range and grid, advice, the stop in
    force, age of the data, and until when a market without a verdict will be without.
    """
    rows = overview(context.ws)
    return json_answer({"now": to_iso(context.ws.clock()), "total": len(rows), "items": rows})


@router.get(
    _BASE,
    response_model=page_models(answers.VerdictRow),
    responses={**IN_ARROW, **NOT_INSTALLED},
    summary="Hourly verdicts, newest first",
)
def verdicts(
    request: Request,
    context: ContextParameter,
    _: Reader,
    market: MarketParameter,
    span: SpanParameter,
    limit: RowsLimit = 100,
    cursor: CursorQuery = "",
    form: FormatQuery = "rows",
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return verdicts with scores, range, alternatives, factors and features: from `start` on, else newest hour first.

    Stored rows of the current policy are used; others are computed from stored candles (`X-Regime-Source`).
    """
    first, last = _hours(context.ws, market, span)
    page = TimePage.of((first, last), limit * HOUR_MS, cursor, span[0] != FOREVER[0])
    found = verdict_series(context.ws, market, Window(page.start_ms, page.end_ms))
    total = (last - first) // HOUR_MS
    body, headers = frame_page(_in_order(rounded_frame(found.frame), page), form, total, page.next_url(request))
    return versioned(body, MEDIA_TYPES[form], {**headers, "X-Regime-Source": found.source}, if_none_match)


def _in_order(frame: pd.DataFrame, page: TimePage) -> pd.DataFrame:
    """Rows as the page has them: oldest first where it goes forward, else newest first."""
    return frame if page.is_forward else frame[::-1]


def _hours(ws: Workspace, market: Market, span: _HOURS) -> _HOURS:
    """Hours of the span for which there may be rows."""
    newest, oldest = newest_hour(ws, market), ws.warehouse.oldest(market, "candle_hours")
    last = min(newest + HOUR_MS, -(-span[1] // HOUR_MS) * HOUR_MS)
    first = max(oldest or 0, span[0] // HOUR_MS * HOUR_MS)
    return min(first, last), last


@router.get(_BASE + "/latest", response_model=answers.VerdictDocument, summary="The newest verdict")
def latest(context: ContextParameter, _: Reader, market: MarketParameter) -> Response:
    """Return the newest hour's verdict, and how old its data is."""
    row, source = verdict_of_hour(context.ws, market, newest_hour(context.ws, market))
    return json_answer(verdict_document(context.ws, market, row, source), headers={"X-Regime-Source": source})


@router.get(_BASE + "/{time}/explain", response_model=answers.Explanation, summary="Why an hour has its verdict")
def explain(context: ContextParameter, _: Reader, market: MarketParameter, time: TimePath) -> Response:
    """Return the verdict of the hour that holds a moment, with its factors as sentences."""
    hour = moment_of(time, 0) // HOUR_MS * HOUR_MS
    row, source = verdict_of_hour(context.ws, market, hour)
    document = verdict_document(context.ws, market, row, source)
    document["explanation"] = [factor["sentence"] for factor in document["factors"]]
    return json_answer(document, headers={"X-Regime-Source": source})


def verdict_document(ws: Workspace, market: Market, row: pd.Series, source: str) -> dict[str, Any]:
    """Return one hour's verdict as JSON values, with the age of its data in seconds (under its old name too)."""
    values = {str(name): _digits(str(name), plain(value)) for name, value in row.items()}
    as_of = row["as_of_bar"].timestamp() + market.step_ms / 1000
    head = {"symbol": market.symbol, "timeframe": market.timeframe, "source": source}
    age = round(ws.clock() / 1000 - as_of)
    return {**head, "data_age_seconds": age, "data_age_s": age, **values}


def _digits(name: str, value: Any) -> Any:
    """A value as the list of verdicts has it."""
    return rounded(name, value).item() if isinstance(value, float) else value


@router.get(
    "/api/candles/{symbol}/{timeframe}",
    response_model=page_models(answers.Candle),
    responses={**IN_ARROW, **NOT_INSTALLED},
    tags=["candles"],
    summary="Stored candles, newest first",
)
def candles(
    request: Request,
    context: ContextParameter,
    _: Reader,
    market: MarketParameter,
    span: SpanParameter,
    limit: RowsLimit = 500,
    cursor: CursorQuery = "",
    form: FormatQuery = "rows",
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return closed candles in units of the quote currency; `time` is the open time, `known_at` the close.

    From `start` on, oldest first; newest first without it. A page with a gap in it holds fewer than `limit`.
    """
    newest, oldest = context.ws.warehouse.latest(market), context.ws.warehouse.oldest(market)
    context.ws.warehouse.price_scale(market)  # an unknown market is an error, one without candles an empty list
    first, end = max(span[0], oldest or 0), min(span[1], (newest or 0) + market.step_ms)
    page = TimePage.of((first, max(first, end)), limit * market.step_ms, cursor, span[0] != FOREVER[0])
    found = context.ws.warehouse.read_candles(market, page.start_ms, page.end_ms)
    total = context.ws.warehouse.count_candles(market, first, max(first, end))
    body, headers = frame_page(_in_order(_frame(found), page), form, total, page.next_url(request))
    return versioned(body, MEDIA_TYPES[form], headers, if_none_match)


def _frame(found: Candles) -> pd.DataFrame:
    """Candles with names and units of the answer."""
    times = {"time": found.open_time_ms, "known_at": bar_known_at(found.market, found.open_time_ms)}
    prices = {name: found.prices(name) for name in ("open", "high", "low", "close")}
    columns = {name: utc_times(values) for name, values in times.items()}
    return pd.DataFrame({**columns, **prices, "volume": found.volume, "is_no_trade": is_no_trade(found)}, copy=False)
