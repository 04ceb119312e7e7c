"""As much of Hummingbot as the controllers touch, with the names, fields and signatures of its package 20260922 (2.18).

For where Hummingbot itself is not installed: it needs Python 3.12 and compiles for minutes.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Callable
from decimal import Decimal
from types import ModuleType
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

TradeType = enum.Enum("TradeType", ["BUY", "SELL", "RANGE"])
OrderType = enum.Enum("OrderType", ["MARKET", "LIMIT", "LIMIT_MAKER", "AMM_SWAP"])
PositionMode = enum.Enum("PositionMode", ["HEDGE", "ONEWAY"])
PriceType = enum.Enum("PriceType", ["MidPrice", "BestBid", "BestAsk"])


class MarketDict(dict[str, set[str]]):
    def add_or_update(self, key: str, *values: str) -> MarketDict:
        self.setdefault(key, set()).update(values)
        return self


class ConnectorPair(BaseModel):
    connector_name: str
    trading_pair: str


class TripleBarrierConfig(BaseModel):
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    time_limit: int | None = None
    open_order_type: OrderType = OrderType.LIMIT
    take_profit_order_type: OrderType = OrderType.MARKET
    model_config = ConfigDict(extra="forbid")


class GridExecutorConfig(BaseModel):
    """With the checks of its `validate_grid` that a wrong mapping would run into."""

    model_config = ConfigDict(extra="forbid")
    id: str | None = None
    type: Literal["grid_executor"] = "grid_executor"
    timestamp: float | None = None
    controller_id: str = "main"
    connector_name: str
    trading_pair: str
    start_price: Decimal = Field(gt=0)
    end_price: Decimal
    limit_price: Decimal = Field(ge=0)
    side: TradeType = TradeType.BUY
    total_amount_quote: Decimal = Field(gt=0)
    min_spread_between_orders: Decimal = Field(default=Decimal("0.0005"), gt=0)
    min_order_amount_quote: Decimal = Decimal(5)
    max_open_orders: int = Field(default=5, gt=0)
    max_orders_per_batch: int | None = None
    order_frequency: int = 0
    activation_bounds: Decimal | None = None
    safe_extra_spread: Decimal = Decimal("0.0001")
    triple_barrier_config: TripleBarrierConfig
    leverage: int = 20
    level_id: str | None = None
    deduct_base_fees: bool = False
    keep_position: bool = False
    coerce_tp_to_step: bool = False

    def model_post_init(self, _: Any) -> None:
        assert self.limit_price < self.start_price < self.end_price


class PositionExecutorConfig(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: str | None = None
    type: Literal["position_executor"] = "position_executor"
    timestamp: float | None = None
    controller_id: str = "main"
    trading_pair: str
    connector_name: str
    side: TradeType
    entry_price: Decimal | None = None
    amount: Decimal
    triple_barrier_config: TripleBarrierConfig = TripleBarrierConfig()
    leverage: int = 1
    activation_bounds: list[Decimal] | None = None
    level_id: str | None = None


class ExecutorAction(BaseModel):
    controller_id: str | None = "main"


class CreateExecutorAction(ExecutorAction):
    executor_config: GridExecutorConfig | PositionExecutorConfig


class StopExecutorAction(ExecutorAction):
    executor_id: str
    keep_position: bool | None = False


class ExecutorInfo(BaseModel):
    """The fields that controllers read."""

    id: str
    timestamp: float = 0
    config: GridExecutorConfig | PositionExecutorConfig
    is_active: bool = True
    is_trading: bool = False
    custom_info: dict[str, Any] = {}


class ControllerConfigBase(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True, validate_assignment=True, extra="forbid")
    id: str
    controller_name: str
    controller_type: str = "generic"
    total_amount_quote: Decimal = Decimal(100)
    manual_kill_switch: bool = False
    initial_positions: list[Any] = []


class ControllerBase:
    """The constructor, and what `control_task` calls in which order."""

    def __init__(
        self,
        config: ControllerConfigBase,
        market_data_provider: Any,
        actions_queue: asyncio.Queue[list[ExecutorAction]],
        update_interval: float = 1.0,
    ) -> None:
        self.config = config
        self.executors_info: list[ExecutorInfo] = []
        self.market_data_provider = market_data_provider
        self.actions_queue = actions_queue
        self.processed_data: dict[str, Any] = {}
        self.executors_update_event = asyncio.Event()

    @classmethod
    def logger(cls) -> logging.Logger:
        return logging.getLogger("hummingbot")

    async def control_task(self) -> None:
        if self.market_data_provider.ready and self.executors_update_event.is_set():
            await self.update_processed_data()
            actions = self.determine_executor_actions()
            if len(actions) > 0:
                await self.send_actions(actions)

    async def send_actions(self, executor_actions: list[ExecutorAction]) -> None:
        await self.actions_queue.put(executor_actions)
        self.executors_update_event.clear()

    async def update_processed_data(self) -> None:
        raise NotImplementedError

    def determine_executor_actions(self) -> list[ExecutorAction]:
        raise NotImplementedError


class MarketMakingControllerConfigBase(ControllerConfigBase):
    controller_type: str = "market_making"
    connector_name: str = "binance"
    trading_pair: str = "ETH-USDT"
    buy_spreads: list[float] = [0.01, 0.02]
    sell_spreads: list[float] = [0.01, 0.02]
    leverage: int = 1
    triple_barrier_config: ClassVar[TripleBarrierConfig] = TripleBarrierConfig(take_profit=Decimal("0.02"))


class MarketMakingControllerBase(ControllerBase):
    """Two levels a side at equal amounts, created where none is active, as the base does it."""

    def __init__(self, config: MarketMakingControllerConfigBase, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self.config: MarketMakingControllerConfigBase = config
        self.market_data_provider.initialize_rate_sources(
            [ConnectorPair(connector_name=config.connector_name, trading_pair=config.trading_pair)]
        )

    def determine_executor_actions(self) -> list[ExecutorAction]:
        return [*self.create_actions_proposal(), *self.stop_actions_proposal()]

    def create_actions_proposal(self) -> list[ExecutorAction]:
        active = {each.custom_info["level_id"] for each in self.executors_info if each.is_active}
        levels = [f"{side}_{level}" for side in ("buy", "sell") for level in (0, 1) if f"{side}_{level}" not in active]
        return [
            CreateExecutorAction(
                controller_id=self.config.id,
                executor_config=self.get_executor_config(level, *self.get_price_and_amount(level)),
            )
            for level in levels
        ]

    def stop_actions_proposal(self) -> list[ExecutorAction]:
        return self.executors_to_early_stop()

    def executors_to_early_stop(self) -> list[ExecutorAction]:
        return []

    async def update_processed_data(self) -> None:
        price = self.market_data_provider.get_price_by_type(
            self.config.connector_name, self.config.trading_pair, PriceType.MidPrice
        )
        self.processed_data = {"reference_price": Decimal(price), "spread_multiplier": Decimal(1)}

    def get_executor_config(self, level_id: str, price: Decimal, amount: Decimal) -> PositionExecutorConfig:
        raise NotImplementedError

    def get_price_and_amount(self, level_id: str) -> tuple[Decimal, Decimal]:
        side, level = level_id.split("_")
        spreads = self.config.buy_spreads if side == "buy" else self.config.sell_spreads
        spread = Decimal(str(spreads[int(level)])) * self.processed_data["spread_multiplier"]
        price = self.processed_data["reference_price"] * (1 + (spread if side == "sell" else -spread))
        return price, self.config.total_amount_quote / 4 / price

    def get_trade_type_from_level_id(self, level_id: str) -> TradeType:
        return TradeType.BUY if level_id.startswith("buy") else TradeType.SELL


_PLACES = {
    "hummingbot.core.data_type.common": (MarketDict, OrderType, PositionMode, PriceType, TradeType),
    "hummingbot.strategy_v2.controllers": (ControllerBase, ControllerConfigBase),
    "hummingbot.strategy_v2.controllers.market_making_controller_base": (
        MarketMakingControllerBase,
        MarketMakingControllerConfigBase,
    ),
    "hummingbot.strategy_v2.executors.data_types": (ConnectorPair,),
    "hummingbot.strategy_v2.executors.grid_executor.data_types": (GridExecutorConfig,),
    "hummingbot.strategy_v2.executors.position_executor.data_types": (PositionExecutorConfig, TripleBarrierConfig),
    "hummingbot.strategy_v2.models.executor_actions": (CreateExecutorAction, ExecutorAction, StopExecutorAction),
    "hummingbot.strategy_v2.models.executors_info": (ExecutorInfo,),
}


def install(setitem: Callable[[str, ModuleType], None]) -> None:
    """Put the modules where imports look for them, each through `setitem(name, module)`."""
    made: dict[str, ModuleType] = {}
    for place, members in _PLACES.items():
        parts = place.split(".")
        for depth in range(1, len(parts) + 1):
            name = ".".join(parts[:depth])
            made.setdefault(name, ModuleType(name))
        for member in members:
            setattr(made[place], member.__name__, member)
    for name, module in made.items():
        setitem(name, module)
