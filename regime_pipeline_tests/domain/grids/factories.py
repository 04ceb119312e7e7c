"""Grids for the tests: one sound configuration, strategies for many, and candles of their symbol."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import strategies as st

from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.grids.versions import History, new_version
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.policy import default_policy

POLICY = default_policy()
MARKET = Market("TEST-USDT", "1h")
START = datetime(2026, 1, 1, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)
FIELDS: dict[str, Any] = {
    "symbol": "TEST-USDT",
    "enabled": True,
    "tick": "0.01",
    "lower": "90",
    "upper": "110",
    "levels": 10,
    "spacing": "arithmetic",
    "limit_lower": "85",
    "limit_upper": "115",
    "min_notional": "5",
    "allocation_quote": "1000",
    "maker_fee_bps": "10",
    "taker_fee_bps": "10",
}
KEPT: dict[str, Any] = {"version": 1, "supersedes": None, "valid_from": START, "reason": "first", "who": "tests"}


def grid(**update: Any) -> GridConfig:
    return GridConfig(**(FIELDS | KEPT | update))


def history_of(*updates: dict[str, Any], every: timedelta = timedelta(hours=1)) -> History:
    """A history whose versions follow one another at equal distances, the first at START."""
    history: History = ()
    for number, update in enumerate(updates):
        values = (FIELDS if not history else {}) | update
        when = START + number * every
        history = new_version(history, values, expected_version=number, who="tests", when=when, why=f"change {number}")
    return history


WORDS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=30).filter(
    lambda text: bool(text.strip()) and text.isprintable()
)


@st.composite
def sound_fields(draw: st.DrawFn) -> dict[str, Any]:
    """Every field but those of the history; sound whatever is drawn, on ticks from 1e-8 to 5."""
    tick = draw(st.sampled_from(["0.00000001", "0.0005", "0.01", "0.05", "1", "5"]))
    lower = draw(st.integers(10_000, 10_000_000))
    levels = draw(st.integers(2, 20))
    width = lower * levels * draw(st.integers(50, 200)) // 10_000 + levels
    notional = draw(st.decimals("0.1", "20", places=2))
    edges = {"lower": lower, "upper": lower + width}
    limits = {
        "limit_lower": draw(st.none() | st.integers(1, lower - 1)),
        "limit_upper": draw(st.none() | st.integers(lower + width + 1, 2 * (lower + width))),
    }
    prices = {name: None if ticks is None else ticks * Decimal(tick) for name, ticks in (edges | limits).items()}
    return {
        "symbol": draw(st.sampled_from(["TEST-USDT", "BTC-USDT", "SHIB-USDC"])),
        "enabled": draw(st.booleans()),
        "tick": Decimal(tick),
        **prices,
        "levels": levels,
        "spacing": draw(st.sampled_from(["arithmetic", "geometric"])),
        "min_notional": notional,
        "allocation_quote": levels * notional + draw(st.decimals("0", "10000", places=4)),
        "maker_fee_bps": draw(st.decimals("0", "9", places=2)),
        "taker_fee_bps": draw(st.decimals("0", "100", places=2)),
    }


SOUND_FIELDS = sound_fields()


@st.composite
def sound_histories(draw: st.DrawFn) -> History:
    """Histories of one to four versions."""
    first = draw(SOUND_FIELDS)
    history: History = ()
    moment = START
    for number in range(draw(st.integers(1, 4))):
        moment += timedelta(milliseconds=draw(st.integers(1, 10**9)))
        update = first if not number else {"enabled": draw(st.booleans()), "taker_fee_bps": draw(st.integers(0, 100))}
        history = new_version(history, update, expected_version=number, who=draw(WORDS), when=moment, why=draw(WORDS))
    return history


def bars(prices: Sequence[Sequence[int]], scale: int = 100) -> Candles:
    """Candles of successive hours from START on with the given open, high, low and close in ticks."""
    columns = np.ascontiguousarray(np.array(prices, dtype=np.int64).reshape(-1, 4).T)
    times = START_MS + HOUR_MS * np.arange(columns.shape[1], dtype=np.int64)
    return Candles(MARKET, scale, times, *columns, np.ones(columns.shape[1]))
