"""A Hummingbot controller: market making whose spreads widen, and whose orders pause, by regime_pipeline's verdict.

Copy it to `controllers/market_making/regime_market_making.py` of Hummingbot; it needs nothing else of regime_pipeline
there. Written for Hummingbot 2.18 (package 20260922). See docs/hummingbot.md of regime_pipeline.
"""

from decimal import Decimal
from typing import List

from hummingbot.strategy_v2.controllers.market_making_controller_base import (
    MarketMakingControllerBase,
    MarketMakingControllerConfigBase,
)
from hummingbot.strategy_v2.executors.position_executor.data_types import PositionExecutorConfig
from hummingbot.strategy_v2.models.executor_actions import ExecutorAction, StopExecutorAction
from pydantic import Field

# regime_pipeline.integrations: begin

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

ALARMS = ("TREND", "TRANSITION")
"""Verdicts after which only the restart gates, or whoever overrides them, start orders again."""
NO_VERDICT = "INSUFFICIENT_DATA"


@dataclass(frozen=True)
class DecisionPolicy:
    """What a bot's owner decides.

    Parameters
    ----------
    max_age_seconds : float
        Age of the newest verdict beyond which nothing is placed, whether the data or the API is late. A verdict is up
        to an hour old before the next one is due.
    weak_spread_factor : Decimal
        What spreads are multiplied by under RANGE_WEAK, at least 1.
    """

    max_age_seconds: float = 7_200.0
    weak_spread_factor: Decimal = Decimal("1.5")


@dataclass(frozen=True)
class Answers:
    """What the API said last, each part as its route gives it.

    Parameters
    ----------
    row : mapping, optional
        The market's row of `/api/overview`; None where the market is not stored.
    grid : mapping, optional
        `grid` of `/api/grids/{symbol}`; None where none is configured.
    gates : mapping, optional
        `current` of `/api/gates/{symbol}`; None while no stop is in force.
    reason : str
        Why the hour has its verdict, in one sentence; may be empty.
    """

    row: Mapping[str, Any] | None
    grid: Mapping[str, Any] | None = None
    gates: Mapping[str, Any] | None = None
    reason: str = ""


@dataclass(frozen=True)
class GridRange:
    """Where a grid's orders may stand; prices and amount in quote currency."""

    id: str
    start_price: Decimal
    end_price: Decimal
    limit_price: Decimal
    total_amount_quote: Decimal
    levels: int
    active: bool


@dataclass(frozen=True)
class Decision:
    """What to do until the next one.

    Parameters
    ----------
    is_active : bool
        New orders may be placed.
    reason : str
        Why, in a sentence for the log.
    spread_factor : Decimal
        What spreads are multiplied by.
    ranges : tuple of GridRange
        The configured grid, `active` where orders may be placed; empty where none is configured.
    ask : str
        What to ask of the API: "stop", so that the restart gates begin to count; "restart", to take the grid that they
        permit; empty for nothing.
    held_version : int, optional
        Version of the grid that an alarm paused: it is not started again, only a later one.
    """

    is_active: bool
    reason: str
    spread_factor: Decimal = Decimal(1)
    ranges: tuple[GridRange, ...] = ()
    ask: str = ""
    held_version: int | None = None


UNKNOWN = Decision(False, "Paused: the API has not answered yet.")


def decide(
    answers: Answers | None, now: float, was: Decision = UNKNOWN, policy: DecisionPolicy | None = None, error: str = ""
) -> Decision:
    """Return what to do now.

    Parameters
    ----------
    answers : Answers, optional
        The newest that were had, however old; None before the first.
    now : float
        Unix seconds of the caller's clock, which the age of the verdict is measured by.
    was : Decision
        The decision before, which carries what an alarm has paused.
    policy : DecisionPolicy, optional
        The shipped one if None.
    error : str
        Why the API did not answer this time; empty where it did. What it said before holds until it is too old.
    """
    rules = policy or DecisionPolicy()
    if answers is None:
        return Decision(False, f"Paused: {error or 'the API has not answered yet'}.", held_version=was.held_version)
    row = answers.row
    if row is None or row["known_at"] is None:
        return Decision(False, "Paused: the API has no verdict of this market.", held_version=was.held_version)
    held = _held(row, was)
    ask, why = _pause(answers, row, held, now, rules, error)
    is_active = not why
    factor = rules.weak_spread_factor if row["verdict"] == "RANGE_WEAK" else Decimal(1)
    reason = f"Paused: {why}" if why else f"Active: {_verdict(answers, row)}, spreads x {factor}."
    return Decision(is_active, reason, factor, _ranges(answers.grid, is_active), ask, held)


def _held(row: Mapping[str, Any], was: Decision) -> int | None:
    """The version that an alarm has paused, until a later one is enabled."""
    version = row.get("grid_version")
    if row["grid"] == "enabled" and row["verdict"] in ALARMS:
        return version if was.held_version is None else max(was.held_version, version or 0)
    return was.held_version if was.held_version is not None and (version or 0) <= was.held_version else None


def _pause(
    answers: Answers, row: Mapping[str, Any], held: int | None, now: float, rules: DecisionPolicy, error: str
) -> tuple[str, str]:
    """What to ask of the API, and why nothing is placed; both empty where something may be."""
    age = now - datetime.fromisoformat(row["known_at"]).timestamp()
    if age > rules.max_age_seconds:
        late = f"; {error}" if error else ""
        return (
            "",
            f"the newest verdict is {age / 60:.0f} minutes old, more than {rules.max_age_seconds / 60:.0f}{late}.",
        )
    if row["grid"] == "stopped":
        return _under_a_stop(answers.gates, row, now)
    if row["grid"] != "enabled":
        return "", f"no grid of {row['symbol']} is enabled at the API; `regime grid set` enables one."
    if row["verdict"] in ALARMS:
        return "stop", f"{_verdict(answers, row)}. The restart gates decide when to go on."
    if held is not None:
        return "stop", f"an alarm paused version {held} of the grid; the restart gates decide when to go on."
    if row["verdict"] == NO_VERDICT:
        return "", f"{_verdict(answers, row)}."
    if row["action"] == "STOP_PLACING" and not row["advice_stale"]:
        return "", f"the advice on the grid is STOP_PLACING; the price is {row['grid_position']} its bounds."
    return "", ""


def _under_a_stop(gates: Mapping[str, Any] | None, row: Mapping[str, Any], now: float) -> tuple[str, str]:
    until = row["permitted_until"]
    if until is not None and datetime.fromisoformat(until).timestamp() > now:
        return "restart", f"the restart gates permit a new grid until {until}."
    sentence = gates["sentence"] if gates else f"stopped {row['stopped_at']}; {row['gate_state']}."
    return "", sentence[:1].lower() + sentence[1:]


def _verdict(answers: Answers, row: Mapping[str, Any]) -> str:
    share = "" if row["confidence"] is None else f", confidence {row['confidence']:.0%}"
    reason = f" ({answers.reason.rstrip('.')})" if answers.reason else ""
    return f"{row['verdict']} since {row['since']}{share}{reason}"


def _ranges(grid: Mapping[str, Any] | None, is_active: bool) -> tuple[GridRange, ...]:
    if grid is None:
        return ()
    lower = Decimal(str(grid["lower"]))
    limit = grid.get("limit_lower")
    return (
        GridRange(
            id=f"v{grid['version']}",
            start_price=lower,
            end_price=Decimal(str(grid["upper"])),
            limit_price=Decimal(0) if limit is None else Decimal(str(limit)),
            total_amount_quote=Decimal(str(grid["allocation_quote"])),
            levels=int(grid["levels"]),
            active=is_active and bool(grid["enabled"]),
        ),
    )


import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen


TIMEOUT_SECONDS = 10.0


class ApiError(Exception):
    """The API refused or did not answer; says what and where."""


@dataclass(frozen=True)
class RegimeApi:
    """The routes that a bot needs; every call waits for the network, so call it in a thread.

    Parameters
    ----------
    url : str
        Where `regime serve` or `regime up` serves it, for example http://127.0.0.1:8000.
    key : str
        Sent as `X-API-Key`; asking for a stop or a restart needs one with the scope `write`.
    """

    url: str
    key: str = ""

    def answers(self, symbol: str, timeframe: str) -> Answers:
        """Return what is known of a market and its grid now; raises `ApiError`."""
        rows = self._call("GET", "/api/overview")["items"]
        row = next((each for each in rows if (each["symbol"], each["timeframe"]) == (symbol, timeframe)), None)
        if row is None or row["grid"] == "none":
            return Answers(row)
        market = f"{quote(symbol)}?timeframe={timeframe}"
        grid = self._call("GET", f"/api/grids/{market}")["grid"]
        gates = self._call("GET", f"/api/gates/{market}")["current"] if row["grid"] == "stopped" else None
        latest = self._call("GET", f"/api/verdicts/{quote(symbol)}/{timeframe}/latest")
        deciding = (each["sentence"] for each in latest["factors"] if each["outcome"] == "decided")
        return Answers(row, grid, gates, next(deciding, ""))

    def ask(self, what: str, symbol: str, timeframe: str, why: str) -> None:
        """Ask for a "stop" or a "restart"; raises `ApiError`."""
        place = f"/api/gates/{quote(symbol)}/{what}" + (f"?timeframe={timeframe}" if what == "restart" else "")
        self._call("POST", place, {"why": why})

    def _call(self, method: str, place: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = {"Content-Type": "application/json", **({"X-API-Key": self.key} if self.key else {})}
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url.rstrip("/") + place, data, headers, method=method)  # noqa: S310
        try:
            with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
                return json.loads(answer.read())
        except HTTPError as error:
            raise ApiError(f"{method} {place} was answered {error.code}: {_said(error)}") from error
        except (URLError, OSError, ValueError) as error:
            raise ApiError(f"{self.url} does not answer: {getattr(error, 'reason', error)}") from error


def _said(error: HTTPError) -> str:
    """The API's own sentence."""
    try:
        return str(json.loads(error.read())["error"])
    except (OSError, ValueError, KeyError, TypeError):
        return error.reason


@dataclass
class Watch:
    """The newest decision on one market, and the question that is under way.

    Parameters
    ----------
    api : RegimeApi
        Whom to ask.
    symbol, timeframe : str
        The market.
    log : callable
        Gets a sentence whenever the decision changes, and whenever the API refuses.
    policy : DecisionPolicy
        What the owner decides.
    poll_seconds : float
        Time between two questions.
    may_ask : bool
        Record stops and take permitted restarts at the API, which needs a key that may write. Otherwise somebody else
        does, and until then the pause lasts.
    """

    api: RegimeApi
    symbol: str
    timeframe: str
    log: Callable[[str], None]
    policy: DecisionPolicy = field(default_factory=DecisionPolicy)
    poll_seconds: float = 60.0
    may_ask: bool = False
    decision: Decision = UNKNOWN
    _answers: Answers | None = None
    _error: str = ""
    _asked_at: float | None = None
    _question: asyncio.Task[None] | None = None

    def look(self, now: float) -> Decision:
        """Return the decision at Unix time `now`, from what is known; start the next question when it is due.

        Call it from a running event loop, as often as wanted: it returns at once.
        """
        is_due = self._asked_at is None or now - self._asked_at >= self.poll_seconds
        if is_due and (self._question is None or self._question.done()):
            self._asked_at = now
            self._question = asyncio.get_running_loop().create_task(self._ask(now))
        return self._judge(now)

    async def settle(self) -> None:
        """Wait until the question that is under way is answered."""
        if self._question is not None:
            await self._question

    async def _ask(self, now: float) -> None:
        try:
            self._answers = await asyncio.to_thread(self.api.answers, self.symbol, self.timeframe)
            self._error = ""
        except ApiError as error:
            self._refused(str(error))
        decision = self._judge(now)
        if decision.ask and self.may_ask and not self._error:
            await self._tell(decision)

    async def _tell(self, decision: Decision) -> None:
        """Ask for the stop or the restart, and look again at once: the answer is another by then."""
        try:
            why = decision.reason.removeprefix("Paused: ")
            await asyncio.to_thread(self.api.ask, decision.ask, self.symbol, self.timeframe, why)
        except ApiError as error:
            self._refused(str(error))
        else:
            self._asked_at = None

    def _refused(self, error: str) -> None:
        if error != self._error:
            self.log(error)
        self._error = error

    def _judge(self, now: float) -> Decision:
        found = decide(self._answers, now, self.decision, self.policy, self._error)
        if _kind(found) != _kind(self.decision):
            self.log(f"{self.symbol} {self.timeframe}. {found.reason}")
        self.decision = found
        return found


def _kind(decision: Decision) -> tuple[object, ...]:
    """What is worth a line in the log; the minutes of an age are not."""
    return decision.is_active, decision.spread_factor, decision.ranges, decision.ask, decision.held_version

# regime_pipeline.integrations: end


class RegimeMarketMakingConfig(MarketMakingControllerConfigBase):
    """Spreads and amounts as in every market making controller; besides, whom to ask and what its answers do."""

    controller_name: str = "regime_market_making"
    api_url: str = Field(
        default="http://127.0.0.1:8000",
        json_schema_extra={"prompt": "Address of regime_pipeline's API: ", "prompt_on_new": True},
    )
    api_key: str = Field(
        default="",
        json_schema_extra={"prompt": "Its key; with the scope write to record stops: ", "prompt_on_new": True},
    )
    timeframe: str = "1h"
    may_ask: bool = Field(default=True, json_schema_extra={"is_updatable": True})
    poll_seconds: float = 60
    max_age_minutes: float = Field(default=120, json_schema_extra={"is_updatable": True})
    weak_spread_factor: Decimal = Field(default=Decimal("1.5"), ge=1, json_schema_extra={"is_updatable": True})


class RegimeMarketMaking(MarketMakingControllerBase):
    """Quotes around the mid price while the decision is active; a pause takes back orders that nobody has filled."""

    def __init__(self, config: RegimeMarketMakingConfig, *args, **kwargs):
        super().__init__(config, *args, **kwargs)
        self.config = config
        self.watch = Watch(
            RegimeApi(config.api_url, config.api_key),
            config.trading_pair,
            config.timeframe,
            log=self.logger().info,
            poll_seconds=config.poll_seconds,
            may_ask=config.may_ask and bool(config.api_key),
        )

    async def update_processed_data(self):
        """Widen the spreads as decided; the question to the API goes on beside the loop."""
        await super().update_processed_data()
        self.watch.policy = DecisionPolicy(self.config.max_age_minutes * 60, self.config.weak_spread_factor)
        decision = self.watch.look(self.market_data_provider.time())
        self.processed_data["spread_multiplier"] *= decision.spread_factor
        self.processed_data.update(decision=decision, is_active=decision.is_active, reason=decision.reason)

    def create_actions_proposal(self) -> List[ExecutorAction]:
        """New orders, unless paused."""
        return super().create_actions_proposal() if self.processed_data["is_active"] else []

    def executors_to_early_stop(self) -> List[ExecutorAction]:
        """While paused, every order that has not been filled."""
        if self.processed_data["is_active"]:
            return super().executors_to_early_stop()
        return [
            StopExecutorAction(controller_id=self.config.id, executor_id=executor.id, keep_position=True)
            for executor in self.executors_info
            if executor.is_active and not executor.is_trading
        ]

    def get_executor_config(self, level_id: str, price: Decimal, amount: Decimal) -> PositionExecutorConfig:
        """One order of a level, with the barriers of the configuration."""
        return PositionExecutorConfig(
            timestamp=self.market_data_provider.time(),
            level_id=level_id,
            connector_name=self.config.connector_name,
            trading_pair=self.config.trading_pair,
            entry_price=price,
            amount=amount,
            triple_barrier_config=self.config.triple_barrier_config,
            leverage=self.config.leverage,
            side=self.get_trade_type_from_level_id(level_id),
        )

    def to_format_status(self) -> List[str]:
        """Why orders are placed or not."""
        return [self.processed_data.get("reason", "The API has not been asked yet.")]
