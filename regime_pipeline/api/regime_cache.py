"""Candle regimes that were read, cached while tables are unchanged, sliced per request.

Every request checks whether the tables have changed, so a cached answer is never stale. See `regime_rows` for how they
are rendered.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future, Task, current_task, get_running_loop, shield
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Final, Generic, TypeVar
from weakref import WeakKeyDictionary

from fastapi.concurrency import run_in_threadpool

from regime_pipeline.api.regime_rows import MOST_ROW_BYTES, RegimeRows
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.services.queries.candle_regimes import RegimeQuestion

Asked = TypeVar("Asked", bound=Hashable)
Found = TypeVar("Found")


class RequestCoalescer(Generic[Asked, Found]):
    """Few looks at a time in each event loop, each at everything that was asked meanwhile.

    Parameters
    ----------
    look : callable
        Answers several different questions, in order; may block.
    at_once : int
        How many looks there are at most.
    """

    def __init__(self, look: Callable[[list[Asked]], list[Found]], at_once: int = 1) -> None:
        self._look = look
        self._at_once = at_once
        self._pending: WeakKeyDictionary[AbstractEventLoop, dict[Asked, Future[Found]]] = WeakKeyDictionary()
        self._tasks: WeakKeyDictionary[AbstractEventLoop, set[Task[None] | None]] = WeakKeyDictionary()

    async def ask(self, question: Asked) -> Found:
        """Return the answer of a look that begins now or later; what the look raises is raised here."""
        loop = get_running_loop()
        answer = self._pending.setdefault(loop, {}).setdefault(question, loop.create_future())
        if len(tasks := self._tasks.setdefault(loop, set())) < self._at_once:
            tasks.add(loop.create_task(self._work(loop)))
        return await shield(answer)

    async def _work(self, loop: AbstractEventLoop) -> None:
        while waiting := self._pending[loop]:
            self._pending[loop] = {}
            answers = await run_in_threadpool(self._answers, list(waiting))
            for future, answer in zip(waiting.values(), answers, strict=True):
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                    future.exception()  # whoever asked may be gone
                else:
                    future.set_result(answer)
        self._tasks[loop].discard(current_task())

    def _answers(self, questions: list[Asked]) -> list[Found | Exception]:
        """Look at all at once; where that fails at each alone, so that nobody suffers for another's question."""
        try:
            return [*self._look(questions)]
        except Exception as error:
            return [error] if len(questions) == 1 else [self._answers([each])[0] for each in questions]


CACHE_BYTES: Final = 64 << 20
MOST_SPANS: Final = 8
"""Of one market: each is looked through at every request, and those that writes have made stale go with the others."""


class RowsCache:
    """Rows of a few spans of each market; the least recently used go first.

    Parameters
    ----------
    max_bytes : int
        What all of them may hold once they are rendered.
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

    def put(self, rows: RegimeRows) -> None:
        """Keep rows in place of those of the same span."""
        key = (rows.market, rows.known_from_ms, rows.end_ms)
        with self._lock:
            if key in self._held:
                self._drop(key)
            self._held[key] = rows
            self._bytes += len(rows) * MOST_ROW_BYTES
            for old in [held for held in self._held if held[0] == rows.market][:-MOST_SPANS]:
                self._drop(old)
            while self._bytes > self._max_bytes:
                self._drop(next(iter(self._held)))

    def _drop(self, key: tuple[Market, int, int]) -> None:
        self._bytes -= len(self._held.pop(key)) * MOST_ROW_BYTES
