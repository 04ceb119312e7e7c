"""The flat list of candle regimes as JSON text: rendered once, cached while tables are unchanged, sliced per request.

Every request checks whether the tables have changed, so a cached answer is never stale.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future, Task, get_running_loop, shield
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock
from typing import Any, Final, Generic, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import orjson
from fastapi.concurrency import run_in_threadpool
from numpy.typing import NDArray

from regime_pipeline.domain.candle_regimes.states import COLORS, REGIME_STATES
from regime_pipeline.domain.known_at import bar_known_at
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.services.queries.candle_regimes import RegimeSeries, source_of
from regime_pipeline.storage.bulk.regime_reads import ReadVersion

Asked = TypeVar("Asked", bound=Hashable)


class RequestCoalescer(Generic[Asked]):
    """One look at a time in each event loop, each at everything that was asked meanwhile.

    Parameters
    ----------
    look : callable
        Answers one question; may block.
    """

    def __init__(self, look: Callable[[Asked], bool]) -> None:
        self._look = look
        self._pending: WeakKeyDictionary[AbstractEventLoop, dict[Asked, Future[bool]]] = WeakKeyDictionary()
        self._tasks: WeakKeyDictionary[AbstractEventLoop, Task[None]] = WeakKeyDictionary()

    async def ask(self, question: Asked) -> bool:
        """Return the answer of a look that begins now or later; what the look raises is raised here."""
        loop = get_running_loop()
        if loop not in self._pending:
            self._pending[loop] = {}
            self._tasks[loop] = loop.create_task(self._work(loop))
        answer = self._pending[loop].setdefault(question, loop.create_future())
        return await shield(answer)

    async def _work(self, loop: AbstractEventLoop) -> None:
        while waiting := self._pending[loop]:
            self._pending[loop] = {}
            answers = await run_in_threadpool(self._answers, list(waiting))
            for future, answer in zip(waiting.values(), answers, strict=True):
                if isinstance(answer, bool):
                    future.set_result(answer)
                else:
                    future.set_exception(answer)
                    future.exception()  # whoever asked may be gone
        del self._pending[loop], self._tasks[loop]

    def _answers(self, questions: list[Asked]) -> list[bool | Exception]:
        return [self._answer(question) for question in questions]

    def _answer(self, question: Asked) -> bool | Exception:
        try:
            return self._look(question)
        except Exception as error:
            return error


CACHE_BYTES: Final = 64 << 20
MOST_SPANS: Final = 8
"""Of one market: each is looked through at every request, and those that writes have made stale go with the others."""
_FRAGMENTS: Final = tuple(
    (
        f',"regime":"{s.simplified_regime}","full_regime":"{s.full_regime}","trend_state":"{s.trend_state}",'
        f'"volatility_state":"{s.volatility_state}","momentum_state":"{s.momentum_state}",'
        f'"color":"{COLORS[s.simplified_regime]}","confidence":'
    )
    for s in REGIME_STATES
)


@dataclass(frozen=True, slots=True)
class RegimeQuestion:
    """The newest `limit` bars of a market that open in [start, end), epoch milliseconds UTC."""

    market: Market
    start_ms: int
    end_ms: int
    limit: int


class Answer(NamedTuple):
    """A JSON list, a version that no other list has, and where its rows come from."""

    body: bytes
    version: str
    source: str


@dataclass(frozen=True, eq=False)
class RegimeRows:
    """Rendered rows of every candle of a market that opens in [known_from_ms, end_ms).

    Parameters
    ----------
    known_from_ms, end_ms : int
        Epoch milliseconds UTC.
    open_time_ms : ndarray of int64, shape (n,)
        Opens, ascending.
    text : bytes
        A JSON object and a comma for each.
    edges : ndarray of int64, shape (n + 1,)
        Where each begins and the last one ends.
    is_stored : ndarray of bool, shape (n,)
        Which come from the table.
    mark : ReadVersion
        Of the read they come from.
    version : str
        Hash of the text.
    """

    known_from_ms: int
    end_ms: int
    open_time_ms: Int64
    text: bytes
    edges: Int64
    is_stored: NDArray[np.bool_]
    mark: ReadVersion
    version: str

    def covers(self, question: RegimeQuestion) -> bool:
        """Tell whether the answer to a question of the same market is among these rows."""
        if question.end_ms > self.end_ms:
            return False
        first, last = self._span(question)
        return question.start_ms >= self.known_from_ms or last - first == question.limit

    def answer(self, question: RegimeQuestion) -> Answer:
        """Return the answer to a question that is covered; its text is copied once."""
        first, last = self._span(question)
        start, end = int(self.edges[first]), int(self.edges[last])
        inside = memoryview(self.text)[start : max(end - 1, start)]
        source = source_of(self.is_stored[first:last])
        return Answer(b"".join((b"[", inside, b"]")), f"{self.version}-{start:x}-{end:x}", source)

    def _span(self, question: RegimeQuestion) -> tuple[int, int]:
        first, last = np.searchsorted(self.open_time_ms, (question.start_ms, question.end_ms)).tolist()
        return max(first, last - question.limit), last


def render(series: RegimeSeries, question: RegimeQuestion) -> RegimeRows:
    """Render the answer to a question; confidences keep float32's shortest digits."""
    regimes = series.regimes
    opened, known = regimes.open_time_ms, bar_known_at(series.market, regimes.open_time_ms)
    columns = (_texts(opened // 1000), _texts(known // 1000), _texts(regimes.confidence.astype(np.float32)))
    rows = [
        f'{{"time":{second},"known_at":{known_at}{_FRAGMENTS[state]}{confidence}}},'
        for second, known_at, confidence, state in zip(*columns, regimes.state.tolist(), strict=True)
    ]
    edges = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(map(len, rows), np.int64, len(rows)), out=edges[1:])
    times, text = regimes.open_time_ms, "".join(rows).encode()
    known_from = int(times[0]) if len(times) == question.limit else question.start_ms
    version = blake2b(text, digest_size=12).hexdigest()
    return RegimeRows(known_from, question.end_ms, times, text, edges, series.is_stored, series.mark, version)


def _texts(numbers: NDArray[Any]) -> list[str]:
    """Numbers as JSON texts, all at once."""
    return orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].decode().split(",") if len(numbers) else []


class RowsCache:
    """Rendered rows of a few spans of each market; the least recently used go first.

    Parameters
    ----------
    max_bytes : int
        What all texts together may hold.
    """

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._held: OrderedDict[tuple[Market, int, int], RegimeRows] = OrderedDict()
        self._bytes = 0

    def find(self, question: RegimeQuestion) -> RegimeRows | None:
        """Return rows that cover a question, from before or after the tables changed."""
        with self._lock:
            for key, rows in reversed(self._held.items()):
                if key[0] == question.market and rows.covers(question):
                    self._held.move_to_end(key)
                    return rows
        return None

    def put(self, market: Market, rows: RegimeRows) -> None:
        """Keep rows in place of those of the same span."""
        key = (market, rows.known_from_ms, rows.end_ms)
        with self._lock:
            if key in self._held:
                self._drop(key)
            self._held[key] = rows
            self._bytes += len(rows.text)
            for old in [held for held in self._held if held[0] == market][:-MOST_SPANS]:
                self._drop(old)
            while self._bytes > self._max_bytes:
                self._drop(next(iter(self._held)))

    def _drop(self, key: tuple[Market, int, int]) -> None:
        self._bytes -= len(self._held.pop(key).text)
