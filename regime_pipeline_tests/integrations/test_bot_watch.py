"""Tests of `integrations.bot_watch`: asks beside the loop, says each change once, and bears an API that is away."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest

from regime_pipeline.api.auth import create_key
from regime_pipeline.cli.serve import api_served
from regime_pipeline.integrations.bot_decision import Answers
from regime_pipeline.integrations.bot_watch import ApiError, RegimeApi, Watch
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline_tests.integrations.test_bot_decision import NOW, answers


class Desk(RegimeApi):
    """An API that says what a test wants, after it was let."""

    def __init__(self, says: Answers) -> None:
        super().__init__("http://desk")
        object.__setattr__(self, "says", says)
        object.__setattr__(self, "asked", [])
        object.__setattr__(self, "open", threading.Event())
        self.open.set()

    says: Any
    asked: Any
    open: Any

    def answers(self, symbol: str, timeframe: str) -> Answers:
        assert self.open.wait(30)
        if self.says is None:
            raise ApiError("http://desk does not answer: refused")
        return self.says

    def ask(self, what: str, symbol: str, timeframe: str, why: str) -> None:
        self.asked.append((what, why))


def watch(desk: Desk, **options: Any) -> tuple[Watch, list[str]]:
    said: list[str] = []
    return Watch(desk, "ETH-USDT", "1h", log=said.append, **options), said


def test_a_look_returns_at_once_however_long_the_answer_takes() -> None:
    async def story() -> None:
        desk = Desk(answers())
        desk.open.clear()
        one, said = watch(desk)

        for second in range(120):
            assert not one.look(NOW + second).is_active
            await asyncio.sleep(0)
        desk.open.set()
        await one.settle()

        assert one.look(NOW + 121).is_active
        assert [line.partition(",")[0] for line in said] == ["ETH-USDT 1h. Active: RANGE_OK since 2026-09-17T05:00:00Z"]

    asyncio.run(story())


def test_it_asks_again_when_the_time_has_come_and_not_before() -> None:
    async def story() -> None:
        desk = Desk(answers())
        one, _ = watch(desk, poll_seconds=60)
        one.look(NOW)
        await one.settle()
        object.__setattr__(desk, "says", answers(verdict="TREND"))

        one.look(NOW + 59)
        await one.settle()
        assert one.decision.is_active
        one.look(NOW + 60)
        await one.settle()

        assert not one.look(NOW + 61).is_active

    asyncio.run(story())


@pytest.mark.parametrize("may_ask", [True, False])
def test_a_stop_is_asked_for_by_those_who_may(may_ask: bool) -> None:
    async def story() -> None:
        desk = Desk(answers(verdict="TREND"))
        one, said = watch(desk, may_ask=may_ask)

        one.look(NOW)
        await one.settle()

        assert [what for what, _ in desk.asked] == (["stop"] if may_ask else [])
        assert all("TREND since" in why for _, why in desk.asked)
        assert len(said) == 1

    asyncio.run(story())


def test_an_api_that_is_away_is_said_once_and_borne_until_its_word_is_old() -> None:
    async def story() -> None:
        desk = Desk(answers())
        one, said = watch(desk)
        one.look(NOW)
        await one.settle()
        object.__setattr__(desk, "says", None)

        states = []
        for minute in range(1, 130):
            one.look(NOW + 60 * minute)
            await one.settle()
            states.append(one.decision.is_active)

        assert states == [True] * 115 + [False] * 14, "five minutes after the hour; 120 are allowed"
        assert [line.partition(":")[0] for line in said] == ["ETH-USDT 1h. Active", "http", "ETH-USDT 1h. Paused"]

    asyncio.run(story())


@pytest.mark.postgres
def test_the_real_api_is_read_and_its_refusals_are_sentences(served: Workspace) -> None:
    key = create_key(served.warehouse.access, "bot", "read")
    with api_served(served, "127.0.0.1", 0) as url:
        api = RegimeApi(url, key)
        found = api.answers("ETH-USDT", "1h")
        nothing = api.answers("NONE-USDT", "1h")
        with pytest.raises(
            ApiError, match=r"POST /api/gates/ETH-USDT/stop was answered 403: The key 'bot' may not write"
        ):
            api.ask("stop", "ETH-USDT", "1h", "test")

    assert found.row is not None
    assert (found.row["verdict"], found.grid) == ("TREND", None)
    assert nothing == Answers(None)
    with pytest.raises(ApiError, match="does not answer"):
        replace(api, url="http://127.0.0.1:9").answers("ETH-USDT", "1h")
