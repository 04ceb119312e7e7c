"""The webhook for workflow tools such as n8n: one question, one flat answer, never run twice.

See `services.queries.verdicts` for the verdict itself.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from regime_pipeline.api.context import Context, ContextParameter, Reader
from regime_pipeline.api.errors import ApiError
from regime_pipeline.api.params import moment_of
from regime_pipeline.api.responses import json_answer
from regime_pipeline.api.verdict_routes import verdict_document
from regime_pipeline.domain.factors import DECIDED
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.queries.verdicts import newest_hour, verdict_of_hour

router = APIRouter(prefix="/api/hooks", tags=["webhooks"])
_ID: Final = r"^[A-Za-z0-9._:-]{1,100}$"
_WORKERS: Final = 4
_SCORES: Final = ("trend_score", "mean_rev_score", "vol_change_score", "range_quality_score", "grid_capacity_score")
_FLAT: Final = (
    "verdict",
    "confidence",
    "direction",
    "dominant_risk",
    *_SCORES,
    "range_low",
    "range_high",
    "policy_hash",
)


class HookQuestion(BaseModel):
    """What a workflow asks."""

    model_config = ConfigDict(extra="forbid")
    symbol: str = Field(max_length=40, examples=["ETH-USDT"])
    timeframe: str = Field("1h", max_length=4, examples=["1h"])
    trigger_time: str | None = Field(None, max_length=40, examples=["2026-09-01T12:00:05Z"])
    request_id: str | None = Field(None, pattern=_ID, examples=["run-42"])


@router.post("/analyze", summary="The verdict of the newest hour closed by the trigger time")
def analyze(context: ContextParameter, _: Reader, question: HookQuestion) -> Response:
    """Answer within two seconds, or with 202 and a `status_url` to ask at.

    The same `request_id` is answered once: asked again, it gets the same answer. A future or naive `trigger_time` is
    refused.
    """
    market = Market(question.symbol, question.timeframe)
    now = context.ws.clock()
    trigger = moment_of(question.trigger_time or "", now)
    if trigger > now:
        raise ApiError(422, "usage", f"The trigger_time {question.trigger_time} lies in the future.")
    request_id = question.request_id or uuid.uuid4().hex
    asked = {"symbol": market.symbol, "timeframe": market.timeframe, "trigger_ms": trigger}
    if not context.ws.warehouse.access.ask(request_id, asked):
        return _known(context, request_id, question)
    work = _pool().submit(_answer, context, request_id, market, trigger)
    wait([work], context.options.hook_wait_s)
    return json_answer(work.result()) if work.done() else _later(request_id)


@router.get("/analyze/{request_id}", summary="The answer to a request that took longer")
def status(context: ContextParameter, _: Reader, request_id: Annotated[str, Path(pattern=_ID)]) -> Response:
    """Return the answer, or 202 while it is being made."""
    found = context.ws.warehouse.access.asked(request_id)
    if found is None:
        raise ApiError(404, "missing", f"There is no request {request_id}.")
    return _later(request_id) if found[1] is None else json_answer(found[1])


def _known(context: Context, request_id: str, question: HookQuestion) -> Response:
    """A request that was asked before: its answer, unless it is another question."""
    found = context.ws.warehouse.access.asked(request_id)
    if found is None:  # it failed a moment ago and may be asked again
        return _later(request_id)
    asked, answer = found
    if (asked["symbol"], asked["timeframe"]) != (Market(question.symbol, "1h").symbol, question.timeframe):
        raise ApiError(409, "conflict", f"The request_id {request_id} was used for another question.")
    return _later(request_id) if answer is None else json_answer(answer)


def _answer(context: Context, request_id: str, market: Market, trigger_ms: int) -> dict[str, Any]:
    """Make the answer and keep it; what failed may be asked again."""
    access = context.ws.warehouse.access
    try:
        answer = {"ok": True, "request_id": request_id, **flat_verdict(context, market, trigger_ms)}
    except BaseException:
        access.forget(request_id)
        raise
    access.answer(request_id, answer)
    return answer


def flat_verdict(context: Context, market: Market, trigger_ms: int) -> dict[str, Any]:
    """Return the verdict of the newest hour closed by a moment, as one flat object."""
    closed = min(trigger_ms // HOUR_MS * HOUR_MS - HOUR_MS, newest_hour(context.ws, market))
    row, source = verdict_of_hour(context.ws, market, closed)
    document = verdict_document(context.ws, market, row, source)
    return {
        "symbol": market.symbol,
        "timeframe": market.timeframe,
        "trigger_time": to_iso(trigger_ms),
        "hour_start": to_iso(closed),
        **{name: document[name] for name in _FLAT},
        "reason": next(factor["sentence"] for factor in document["factors"] if factor["outcome"] == DECIDED),
        "data_age_s": document["data_age_s"],
        "source": source,
    }


def _later(request_id: str) -> Response:
    body = {"ok": True, "request_id": request_id, "status": "pending", "status_url": f"/api/hooks/analyze/{request_id}"}
    return json_answer(body, 202, {"Retry-After": "1"})


@lru_cache(1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_WORKERS, "hook")
