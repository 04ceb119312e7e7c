"""The webhook for workflow tools such as n8n: one question, one flat answer, never run twice.

See `services.queries.verdicts` for the verdict itself.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from regime_pipeline.api.answers import HookAnswer, HookPending
from regime_pipeline.api.checked_route import CheckedRoute
from regime_pipeline.api.context import Context, ContextParameter, Reader
from regime_pipeline.api.errors import ApiError, ErrorBody
from regime_pipeline.api.params import ANY_MARKET, moment_of
from regime_pipeline.api.responses import json_answer
from regime_pipeline.api.verdict_routes import verdict_document
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.factors import DECIDED
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.chain.collections import check_collectable, is_collected
from regime_pipeline.services.queries.verdicts import newest_hour, verdict_of_hour
from regime_pipeline.storage.hook_requests import HookRequest

_T = TypeVar("_T")
router = APIRouter(prefix="/api/hooks", tags=["webhooks"], route_class=CheckedRoute)
_ID: Final = r"^[A-Za-z0-9._:-]{1,100}$"
_WORKERS: Final = 4
_BOUND: Final = ("symbol", "timeframe", "trigger_time", "collect")
"""What a request id stands for."""
COLLECT_LIMIT_S: Final = 900
"""How long a collection is waited for; then the answer is what is stored."""
_COLLECT_RETRY_S: Final = 15
_MAKER_GONE_S: Final = 60
"""After so long without an answer the process that was making it is taken to have ended."""
_SCORES: Final = ("trend_score", "mean_rev_score", "vol_change_score", "range_quality_score", "grid_capacity_score")
_FLAT: Final = (
    "known_at",
    "verdict",
    "confidence",
    "direction",
    "dominant_risk",
    *_SCORES,
    "range_low",
    "range_high",
    "policy_hash",
)


_PENDING: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        "model": HookPending,
        "description": "Not there yet: `status_url` has the answer later; Retry-After says when to look.",
    }
}


class HookQuestion(BaseModel):
    """What a workflow asks."""

    model_config = ConfigDict(extra="forbid")
    symbol: str = Field(max_length=40, examples=["ETH-USDT"])
    timeframe: str = Field("1h", max_length=4, examples=["1h"])
    trigger_time: str | None = Field(
        None,
        max_length=40,
        examples=["2026-09-01T12:00:05Z"],
        description="A moment, ISO-8601 with offset; now when left out.",
    )
    request_id: str | None = Field(
        None,
        pattern=_ID,
        examples=["run-42"],
        description="Names this question: asked again it gets the same answer, and with another question it is a 409.",
    )
    collect: bool = Field(
        False, description="Have the newest closed hour collected first; 202 and a `status_url` until it is there."
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A sound question: the market, the moment in epoch milliseconds, and whether its hour is to be collected."""

    market: Market
    trigger_ms: int
    is_collected_first: bool

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> _Asked:
        return cls(Market(kept["symbol"], kept["timeframe"]), kept["at_ms"], kept["collect"])

    @property
    def hour_ms(self) -> int:
        """The newest hour closed by the moment."""
        return self.trigger_ms // HOUR_MS * HOUR_MS - HOUR_MS


@router.post(
    "/analyze",
    response_model=HookAnswer,
    summary="The verdict of the newest hour closed by the trigger time",
    responses={
        **_PENDING,
        409: {"model": ErrorBody, "description": "The request_id was used for another question."},
    },
)
def analyze(context: ContextParameter, _: Reader, question: HookQuestion) -> Response:
    """Answer within two seconds, or with 202 and a `status_url` to ask at.

    A `request_id` names one question, all of it: asked again it gets the same answer, with another symbol, timeframe,
    trigger time or `collect` it is a conflict. It is forgotten after REGIME_HOOK_REQUEST_HOURS. With `collect` the
    newest hour closed by the trigger time is collected first, by a run of the pipeline; the answer's `collected` is
    false where that did not come about in fifteen minutes.
    """
    kept = _document(context, question)
    asked = _Asked.of(kept)
    if asked.is_collected_first:
        check_collectable(context.ws, asked.market, asked.hour_ms)
    request_id = question.request_id or uuid.uuid4().hex
    if not context.ws.warehouse.hooks.ask(request_id, kept, context.options.hook_kept_for):
        return _known(context, request_id, kept)
    return _attempt(context, request_id, asked, 0.0)


@router.get(
    "/analyze/{request_id}",
    response_model=HookAnswer,
    responses=_PENDING,
    summary="The answer to a request that took longer",
)
def status(context: ContextParameter, _: Reader, request_id: Annotated[str, Path(pattern=_ID)]) -> Response:
    """Return the answer, or 202 while it is being made."""
    found = context.ws.warehouse.hooks.asked(request_id, context.options.hook_kept_for)
    if found is None:
        raise ApiError(404, "missing", f"There is no request {request_id}; one is forgotten after a while.")
    return _kept_answer(context, request_id, found)


def _sound(faults: list[str], parse: Callable[..., _T], *given: Any) -> _T | None:
    """What a text means; None where it means nothing, which is one more fault."""
    try:
        return parse(*given)
    except (UsageError, ApiError) as error:
        faults.append(str(error))
        return None


def _trigger_ms(question: HookQuestion, now: int) -> int | None:
    """The trigger time in epoch milliseconds, None where it is left out; raises for one that is none or to come."""
    text = question.trigger_time
    if text is None:
        return None
    if not text.strip():
        raise ApiError(
            422, "usage", "The trigger_time is empty. Leave it out for now, or write ISO-8601 with an offset."
        )
    trigger = moment_of(text, now)
    if trigger > now:
        raise ApiError(422, "usage", f"The trigger_time {text} lies in the future.")
    return trigger


def _document(context: Context, question: HookQuestion) -> dict[str, Any]:
    """What is kept of a question; `at_ms` is its moment, the rest must be the same whenever it is asked again."""
    now, faults = context.ws.clock(), list[str]()
    market = _sound(faults, Market, question.symbol, "1h")
    market = _sound(faults, (market or ANY_MARKET).on, question.timeframe)
    trigger = _sound(faults, _trigger_ms, question, now)
    if faults or market is None:
        raise ApiError(422, "usage", " ".join(faults), faults=faults)
    return {
        "symbol": market.symbol,
        "timeframe": market.timeframe,
        "trigger_time": trigger,
        "collect": question.collect,
        "at_ms": now if trigger is None else trigger,
    }


def _known(context: Context, request_id: str, kept: Mapping[str, Any]) -> Response:
    """A request that was asked before: its answer, unless it is another question."""
    found = context.ws.warehouse.hooks.asked(request_id, context.options.hook_kept_for)
    if found is None:  # it failed a moment ago and may be asked again
        return _later(request_id)
    differing = [name for name in _BOUND if found.question[name] != kept[name]]
    if differing:
        raise ApiError(
            409,
            "conflict",
            f"The request_id {request_id} was used for another question: {', '.join(differing)} differs. "
            "Give every question an id of its own.",
        )
    return _kept_answer(context, request_id, found)


def _kept_answer(context: Context, request_id: str, found: HookRequest) -> Response:
    """The answer of a request; where it waits for a collection, or its maker is gone, it is tried again."""
    if found.answer is not None:
        return json_answer(found.answer)
    asked = _Asked.of(found.question)
    if asked.is_collected_first or found.age_s > _MAKER_GONE_S:
        return _attempt(context, request_id, asked, found.age_s)
    return _later(request_id)


def _attempt(context: Context, request_id: str, asked: _Asked, age_s: float) -> Response:
    """Answer now, or later: what is to be collected first is wanted until it is there or has taken too long."""
    hour = asked.hour_ms
    is_there = not asked.is_collected_first or is_collected(context.ws, asked.market, hour)
    if not is_there and age_s < COLLECT_LIMIT_S:
        context.ws.warehouse.hooks.want(asked.market, hour)
        return _later(request_id, _COLLECT_RETRY_S)
    extra = {"collected": is_there} if asked.is_collected_first else {}
    work = _pool().submit(_answer, context, request_id, asked, extra)
    wait([work], context.options.hook_wait_s)
    return json_answer(work.result()) if work.done() else _later(request_id)


def _answer(context: Context, request_id: str, asked: _Asked, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Make the answer and keep it; what failed may be asked again."""
    hooks = context.ws.warehouse.hooks
    try:
        verdict = flat_verdict(context, asked.market, asked.trigger_ms)
    except BaseException:
        hooks.forget(request_id)
        raise
    answer = {"ok": True, "request_id": request_id, **verdict, **extra}
    hooks.answer(request_id, answer)
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
        **{name: document[name] for name in ("data_age_seconds", "data_age_s")},
        "source": source,
    }


def _later(request_id: str, retry_s: int = 1) -> Response:
    body = {"ok": True, "request_id": request_id, "status": "pending", "status_url": f"/api/hooks/analyze/{request_id}"}
    return json_answer(body, 202, {"Retry-After": str(retry_s)})


@lru_cache(1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_WORKERS, "hook")
