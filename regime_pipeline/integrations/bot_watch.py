"""Keeps asking the HTTP API on behalf of a bot of another program, without ever holding up its loop.

Of the standard library alone, as `bot_decision`, which says what the answers mean.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from regime_pipeline.integrations.bot_decision import UNKNOWN, Answers, Decision, DecisionPolicy, decide

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
