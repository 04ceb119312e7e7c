"""Tests of the files in `docs/hummingbot`: the controllers and the routine, from a range through a trend and back.

With Hummingbot's own classes where it is installed, else with classes of its signatures (`hummingbot_stubs`).
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import re
import sys
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from regime_pipeline.api.auth import create_key
from regime_pipeline.cli.serve import api_served
from regime_pipeline.services.grids import update_grid
from regime_pipeline_tests.conftest import REPOSITORY
from regime_pipeline_tests.integration.test_operators_day import CALM, GRID, MARKET, MOVE, Day, day
from regime_pipeline_tests.integrations import hummingbot_stubs
from regime_pipeline_tests.integrations.copied_files import FILES, FOLDER, whole
from regime_pipeline_tests.integrations.test_bot_decision import NOW, answers

__all__ = ["day"]
BEGIN = CALM - 30
"""An hour of the range, some before the first alarm."""
PAGE = (REPOSITORY / "docs" / "hummingbot.md").read_text("utf-8")
(CONFIG,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)
IS_INSTALLED = importlib.util.find_spec("hummingbot") is not None


@pytest.fixture
def hummingbot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hummingbot's modules, its own or in their place."""
    if not IS_INSTALLED:
        hummingbot_stubs.install(lambda name, module: monkeypatch.setitem(sys.modules, name, module))


def load(place: str) -> ModuleType:
    """A copied file as Condor loads those of agents: it is in no package, and not in `sys.modules`."""
    spec = importlib.util.spec_from_file_location("copied", FOLDER / place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_copied_file_is_up_to_date_and_needs_nothing_of_ours(path: Path) -> None:
    text = path.read_text("utf-8")

    assert text == whole(text), "run python -m regime_pipeline_tests.integrations.copied_files"
    assert not re.search(r"^\s*(from|import) regime_pipeline", text, re.M)
    assert f"](hummingbot/{path.relative_to(FOLDER)})" in PAGE


class Provider:
    """As much of Hummingbot's market data provider as the controllers ask."""

    ready = True

    def __init__(self) -> None:
        self.now, self.price = NOW, Decimal(100)
        self.pairs: list[Any] = []

    def time(self) -> float:
        return self.now

    def initialize_rate_sources(self, connector_pairs: list[Any]) -> None:
        self.pairs += connector_pairs

    def get_price_by_type(self, connector_name: str, trading_pair: str, price_type: Any) -> Decimal:
        assert price_type.name == "MidPrice"
        return self.price


class Bot:
    """A controller in a strategy that carries out what it asks for."""

    def __init__(self, controller_class: type[Any], config: Any) -> None:
        self.provider = Provider()
        self.queue: asyncio.Queue[list[Any]] = asyncio.Queue()
        self.controller = controller_class(config, self.provider, self.queue)
        self.stops: list[Any] = []

    async def tick(self) -> None:
        """Two ticks, the second with the answer to the question of the first."""
        for _ in range(2):
            self.controller.executors_update_event.set()
            await self.controller.control_task()
            await self.controller.watch.settle()
            while not self.queue.empty():
                for action in self.queue.get_nowait():
                    self.carry_out(action)

    def carry_out(self, action: Any) -> None:
        known = self.controller.executors_info
        if hasattr(action, "executor_id"):
            self.stops.append(action)
            next(each for each in known if each.id == action.executor_id).is_active = False
            return
        config = action.executor_config
        assert action.controller_id == self.controller.config.id
        known.append(
            hummingbot_stubs.ExecutorInfo.model_construct(
                id=f"e{len(known)}",
                config=config,
                is_active=True,
                is_trading=False,
                custom_info={"level_id": config.level_id},
            )
        )

    @property
    def running(self) -> list[Any]:
        return [each.config for each in self.controller.executors_info if each.is_active]


@pytest.mark.usefixtures("hummingbot")
def test_the_pages_configuration_is_the_controllers() -> None:
    module = load("controllers/generic/regime_grid.py")

    config = module.RegimeGridConfig(**yaml.safe_load(CONFIG))

    assert (config.trading_pair, config.weak_spread_factor, config.max_age_minutes) == ("ETH-USDT", Decimal("1.5"), 120)
    assert config.update_markets(hummingbot_stubs.MarketDict()) == {"binance": {"ETH-USDT"}}


@pytest.mark.usefixtures("hummingbot")
def test_market_making_widens_and_takes_back_what_is_not_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    module = load("controllers/market_making/regime_market_making.py")
    said = {"now": answers()}
    monkeypatch.setattr(module.RegimeApi, "answers", lambda *_: module.Answers(**vars(said["now"])))
    bot = Bot(module.RegimeMarketMaking, module.RegimeMarketMakingConfig(id="mm", poll_seconds=0))

    async def story() -> None:
        await bot.tick()
        assert sorted(float(each.entry_price) for each in bot.running) == [98, 99, 101, 102]
        bot.controller.executors_info[0].is_trading = True

        said["now"] = answers(verdict="TREND")
        await bot.tick()
        assert len(bot.running) == 1, "what is filled goes on to its barriers"
        assert {stop.keep_position for stop in bot.stops} == {True}
        await bot.tick()
        assert len(bot.running) == 1

        said["now"] = answers(verdict="RANGE_WEAK", grid_version=5)
        bot.controller.executors_info.clear()
        await bot.tick()
        assert sorted(float(each.entry_price) for each in bot.running) == [97, 98.5, 101.5, 103]
        assert bot.controller.to_format_status()[0].startswith("Active: RANGE_WEAK")

    asyncio.run(story())


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.usefixtures("hummingbot")
def test_from_a_range_through_a_trend_and_back(
    day: Day,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The page's configuration against the real API: the chain runs hour by hour, the bot asks after each."""
    ws = day.at(BEGIN).ws
    update_grid(ws, MARKET.symbol, GRID | {"enabled": True}, expected_version=0, who="ada", why="it ranges")
    module = load("controllers/generic/regime_grid.py")
    routine = load("routines/regime_check.py")
    monkeypatch.setattr(routine.time, "time", lambda: ws.clock() / 1000)
    caplog.set_level(logging.INFO, "hummingbot")
    key = create_key(ws.warehouse.access, "hummingbot", "write")

    async def reach(bot: Bot, hour: int, is_active: bool, step: int = 1) -> int:
        while bot.controller.processed_data.get("is_active") is not is_active:
            hour += step
            assert hour < 700
            row = day.at(hour).row()
            bot.provider.now, bot.provider.price = ws.clock() / 1000, Decimal(str(row["close"]))
            await bot.tick()
        return hour

    async def story(url: str) -> None:
        given = {
            **yaml.safe_load(CONFIG),
            "trading_pair": MARKET.symbol,
            "api_url": url,
            "api_key": key,
            "poll_seconds": 0,
        }
        bot = Bot(module.RegimeGrid, module.RegimeGridConfig(**given))
        asked = routine.Config(api_url=url, trading_pairs=MARKET.symbol)

        begun = await reach(bot, BEGIN, True)
        (running,) = bot.running
        assert bot.controller.processed_data["decision"].spread_factor == 1, "RANGE_OK: the spreads as configured"
        lower, upper, levels = Decimal(str(GRID["lower"])), Decimal(str(GRID["upper"])), int(GRID["levels"])
        top = upper - (upper - lower) / levels
        assert (running.level_id, running.start_price, running.end_price) == ("v1", lower, top)
        assert (running.total_amount_quote, running.max_open_orders) == (1000, levels)
        assert (await routine.run(asked)).startswith("OK: 1 of 1 active\nALFA-USDT 1h: Active: RANGE")

        paused = await reach(bot, begun, False)
        assert paused > begun
        assert re.match(
            r"Paused: (TREND|TRANSITION) since .*, confidence \d+% \(.+\)\. The restart gates decide",
            caplog_reason(caplog),
        )
        assert (bot.running, [stop.keep_position for stop in bot.stops]) == ([], [True])
        assert not any(each.active for each in bot.controller.config.grid_ranges)
        stop = day.row()
        assert (stop["grid"], stop["stopped_by"]) == ("stopped", "hummingbot")
        assert "TREND" in stop["stop_why"] or "TRANSITION" in stop["stop_why"]
        assert (await routine.run(asked)).startswith("ALERT: 0 of 1 active")

        resumed = await reach(bot, paused, True, step=3)
        assert resumed > CALM + MOVE
        probation = ws.warehouse.grids.history(MARKET.symbol)[-1]
        assert (probation.origin, probation.who) == ("RESTART", "hummingbot")
        (shown,) = bot.controller.config.grid_ranges
        assert (shown.id, shown.active) == (f"v{probation.version}", True)
        assert (shown.start_price, shown.end_price, shown.levels) == (
            probation.lower,
            probation.upper,
            probation.levels,
        )
        bot.provider.price = (probation.lower + probation.upper) / 2  # nothing is placed while the price is outside
        await bot.tick()
        (running,) = bot.running
        assert running.start_price == probation.lower
        assert running.end_price < probation.upper

        bot.provider.now += 3 * 3_600
        await bot.tick()
        assert bot.running == []
        assert "minutes old, more than 120" in bot.controller.to_format_status()[0]

    with api_served(ws, "127.0.0.1", 0) as url:
        asyncio.run(story(url))


def caplog_reason(caplog: pytest.LogCaptureFixture) -> str:
    """Why the first pause after something was active came."""
    lines = [record.getMessage().partition("1h. ")[2] for record in caplog.records]
    first = next(row for row, line in enumerate(lines) if line.startswith("Active"))
    return next(line for line in lines[first:] if line.startswith("Paused"))
