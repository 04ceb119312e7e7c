"""What every route works with: the workspace, the options, the response cache, and the caller.

Created once when the API starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Final

from fastapi import Depends, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyHeader

from regime_pipeline.api.auth import KnownKeys, Scope, find_key, permits
from regime_pipeline.api.errors import ApiError
from regime_pipeline.api.formats import Format
from regime_pipeline.api.regime_cache import RequestCoalescer, RowsCache
from regime_pipeline.api.regime_rows import Answer as RegimeAnswer
from regime_pipeline.api.regime_rows import regime_rows
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.queries.candle_regimes import RegimeQuestion, regime_series_of
from regime_pipeline.storage.bulk.regime_reads import ReadVersion

_READS_AT_ONCE: Final = 2
"""One is rendered while PostgreSQL works at the next; more would only wait for each other and the interpreter."""
_HEADER: Final = APIKeyHeader(name="X-API-Key", auto_error=False, description="From `regime keys create`.")


@dataclass(frozen=True, slots=True)
class ApiOptions:
    """How the API is served.

    Parameters
    ----------
    is_key_required : bool
        Reading needs a key too; writing always does.
    rate_per_minute : int
        Requests allowed per key, or per address without one.
    max_body_bytes : int
        Largest body.
    max_file_bytes : int
        Largest body that is a file to import.
    hook_wait_s : float
        How long a webhook waits for its answer before it is asked to come back later.
    hook_kept_for : timedelta
        How long a webhook's request id stands for its question.
    allowed_hosts : tuple of str
        Names in the Host header that are answered without a key, besides localhost and literal addresses.
    cors_origins : tuple of str
        Origins (`https://host:port`) whose web pages may use the API; no page of another server by default.
    """

    is_key_required: bool = False
    rate_per_minute: int = 6_000
    max_body_bytes: int = 65_536
    max_file_bytes: int = 16 << 20
    hook_wait_s: float = 1.8
    hook_kept_for: timedelta = timedelta(days=1)
    allowed_hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Context:
    """The parts that routes share."""

    ws: Workspace
    options: ApiOptions
    known: KnownKeys = field(default_factory=KnownKeys)
    rows: RowsCache = field(default_factory=RowsCache)

    @cached_property
    def looks(self) -> RequestCoalescer[tuple[Market, ReadVersion], bool]:
        """Tells whether regimes that were read with a mark still hold."""
        return RequestCoalescer(self.ws.warehouse.are_regimes_as_marked)

    @cached_property
    def reads(self) -> RequestCoalescer[tuple[RegimeQuestion, Format], RegimeAnswer]:
        """Answers questions about few regimes from the tables."""
        return RequestCoalescer(self.read, _READS_AT_ONCE)

    def read(self, asked: Sequence[tuple[RegimeQuestion, Format]]) -> list[RegimeAnswer]:
        """Read what answers questions about regimes, keep it, and render it."""
        questions = [question for question, _ in asked]
        answers = []
        for (question, form), series in zip(asked, regime_series_of(self.ws, questions), strict=True):
            rows = regime_rows(series, question)
            self.rows.put(rows)
            answers.append(rows.answer(question, form))
        return answers


async def context_of(request: Request) -> Context:
    """Return the context of the running API.

    What does not wait is `async` here: FastAPI would start a thread for each plain function of each request.
    """
    made: Context = request.app.state.context
    return made


ContextParameter = Annotated[Context, Depends(context_of)]


async def may_read(context: ContextParameter, key: Annotated[str | None, Security(_HEADER)] = None) -> str:
    """Let a reader in; return the key's name, empty for an anonymous one."""
    if key is None and not context.options.is_key_required:
        return ""
    return await run_in_threadpool(_let_in, context, key, "read")


async def may_write(context: ContextParameter, key: Annotated[str | None, Security(_HEADER)] = None) -> str:
    """Let a writer in; return the key's name."""
    return await run_in_threadpool(_let_in, context, key, "write")


def _let_in(context: Context, key: str | None, scope: Scope) -> str:
    if not key:
        raise ApiError(401, "key_needed", "A key is needed. Send it as X-API-Key; `regime keys create` makes one.")
    found = find_key(context.ws.warehouse.access, key)
    if found is None:
        raise ApiError(401, "key_unknown", "The key is not in force.")
    context.known.remember(key, found.key_id)
    if not permits(found, scope):
        raise ApiError(403, "scope", f"The key '{found.name}' may not {scope}.")
    return found.name


Reader = Annotated[str, Depends(may_read)]
Writer = Annotated[str, Depends(may_write)]
