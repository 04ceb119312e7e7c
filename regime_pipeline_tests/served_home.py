"""A database with two simulated markets, their chain and a policy that does not fit, for tests of every face."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.policy import Policy, default_policy
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline_tests.factories import START, hours_from_start, run_stages, simulated_workspace

ETH, BTC = Market("ETH-USDT", "1h"), Market("BTC-USDT", "15m")
HOURS = 420
WINDOW = hours_from_start(0, HOURS)
END = WINDOW.end_ms
CLOCK = END + 90_000


@contextmanager
def served_workspace(database_url: str, folder: Path) -> Iterator[Workspace]:
    """Open a workspace whose chain has run for both markets over `WINDOW`, ninety seconds ago by a slow clock."""
    asked = count()
    with simulated_workspace(database_url, folder, [ETH, BTC], clock=lambda: CLOCK + next(asked)) as ws:
        for market in (ETH, BTC):
            run_stages(ws, market, [WINDOW])
        yield ws


def with_other_policy(ws: Workspace) -> Workspace:
    """The same tables, seen by someone with other thresholds: nothing that is stored holds."""
    return replace(ws, policy=other_policy())


def other_policy() -> Policy:
    policy = default_policy()
    regime = policy.candle_regime.model_copy(update={"adx_trend_from": 60.0})
    verdict = policy.verdict.model_copy(update={"transition_above": 71.0})
    return policy.model_copy(update={"candle_regime": regime, "verdict": verdict})


def hour(number: int) -> int:
    """Start of an hour, counted from the first."""
    return START + number * HOUR_MS
