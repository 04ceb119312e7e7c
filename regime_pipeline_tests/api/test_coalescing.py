"""Tests of `api.looks`: requests share looks, and none is answered by one that began before it asked."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from regime_pipeline.api.regime_cache import RequestCoalescer

WAIT_S = 10


class Table:
    """Something that changes, looked at slowly: each look says what it saw when it began."""

    def __init__(self) -> None:
        self.value = 0
        self.looks: list[list[int]] = []
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)

    def are_still(self, values: list[int]) -> list[bool]:
        seen = self.value
        self.looks.append(values)
        self.begun.release()
        assert self.may_end.acquire(timeout=WAIT_S)
        return [seen == value for value in values]


async def begun(table: Table) -> None:
    assert await asyncio.to_thread(table.begun.acquire, timeout=WAIT_S)


def test_those_who_ask_meanwhile_share_the_next_look() -> None:
    table = Table()

    async def scene() -> list[bool]:
        shared = RequestCoalescer(table.are_still)
        first = asyncio.create_task(shared.ask(0))
        await begun(table)
        table.value = 1  # written while the first look is under way: whoever asks now must learn of it
        later = [asyncio.create_task(shared.ask(value)) for value in (0, 0, 1, 0)]
        await asyncio.sleep(0.05)
        table.may_end.release(2)
        return [await first, *(await asyncio.gather(*later))]

    assert asyncio.run(scene()) == [True, False, False, True, False]
    assert table.looks == [[0], [0, 1]]


def test_a_failed_look_fails_those_who_shared_it_and_nobody_else() -> None:
    faults: list[Exception] = [RuntimeError("away")]

    def look(asked: list[str]) -> list[bool]:
        if faults:
            raise faults.pop()
        return [True for _ in asked]

    async def scene() -> list[bool]:
        shared = RequestCoalescer(look)
        with pytest.raises(RuntimeError, match="away"):
            await shared.ask("a")
        return [await shared.ask("a"), *await asyncio.gather(shared.ask("a"), shared.ask("b"))]

    assert asyncio.run(scene()) == [True, True, True]


def test_a_question_that_fails_takes_no_answer_from_those_asked_with_it() -> None:
    def halves(values: list[int]) -> list[int]:
        if any(value % 2 for value in values):
            raise ValueError("odd")
        return [value // 2 for value in values]

    async def scene() -> list[int | BaseException]:
        shared = RequestCoalescer(halves)
        return await asyncio.gather(*map(shared.ask, (2, 4, 5, 6)), return_exceptions=True)

    first, second, odd, last = asyncio.run(scene())
    assert (first, second, last) == (1, 2, 3)
    assert isinstance(odd, ValueError)


def test_several_looks_may_be_under_way() -> None:
    table = Table()

    async def scene() -> list[bool]:
        shared = RequestCoalescer(table.are_still, at_once=2)
        first = asyncio.create_task(shared.ask(0))
        await begun(table)
        table.value = 1
        second = asyncio.create_task(shared.ask(1))
        await begun(table)
        table.may_end.release(2)
        return [await first, await second]

    assert asyncio.run(scene()) == [True, True]


def test_one_who_leaves_takes_no_answer_away() -> None:
    table = Table()

    async def scene() -> bool:
        shared = RequestCoalescer(table.are_still)
        impatient = asyncio.create_task(shared.ask(0))
        patient = asyncio.create_task(shared.ask(0))
        await begun(table)
        impatient.cancel()
        table.may_end.release(2)
        with pytest.raises(asyncio.CancelledError):
            await impatient
        return await patient

    assert asyncio.run(scene())
    assert table.looks == [[0]]


def test_every_event_loop_has_its_own() -> None:
    shared: RequestCoalescer[int, bool] = RequestCoalescer(lambda values: [value % 2 == 0 for value in values])

    def one(value: int) -> bool:
        async def scene() -> bool:
            return all([await shared.ask(value) == (value % 2 == 0) for _ in range(50)])

        return asyncio.run(scene())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, range(8)))
