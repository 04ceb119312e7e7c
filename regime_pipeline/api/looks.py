"""Looks at the database that requests share: those that come in while one is under way wait for the next, together.

Each look begins after the requests that it answers, so none is told of a state from before it asked. What is done
with the answer belongs to the routes.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future, Task, get_running_loop, shield
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from fastapi.concurrency import run_in_threadpool

Asked = TypeVar("Asked", bound=Hashable)


class SharedLooks(Generic[Asked]):
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
