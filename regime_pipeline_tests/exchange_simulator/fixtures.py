"""A local exchange for tests, with the real client against it and patience that does not wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.domain.simulation.market import MarketSimulation
from regime_pipeline.retry import RetryPolicy
from regime_pipeline.sources.exchange import ExchangeSource
from regime_pipeline.sources.exchange_client import CcxtClient
from regime_pipeline_tests.exchange_simulator.clock import Clock
from regime_pipeline_tests.exchange_simulator.exchange import Exchange
from regime_pipeline_tests.exchange_simulator.faults import Fault, Faults, Kind
from regime_pipeline_tests.exchange_simulator.server import running, simulated

SEED = 7
SCALE = 100
NOW = to_ms("2024-05-08T12:30:15Z")
ETH = Market("ETH-USDT", "1h")
FORMS = ("binance", "kucoin")


@contextmanager
def exchange(now_ms: int = NOW, seed: int = 0) -> Iterator[tuple[Exchange, str]]:
    """Run an exchange of two simulated symbols whose clock stands; yield it and its address."""
    one = Exchange(simulated(["ETH-USDT", "BTC-USDT"], SEED, SCALE), Clock(now_ms), Faults(seed))
    with running(one) as url:
        yield one, url


def client(form: str, url: str, timeout_s: float = 20.0) -> CcxtClient:
    """The real client, without its pauses."""
    made = CcxtClient(form, url, timeout_s)
    made._exchange.enableRateLimit = False
    return made


def patience() -> tuple[RetryPolicy, list[float]]:
    """Retries whose pauses take no time, and the pauses."""
    slept: list[float] = []
    return RetryPolicy(slept.append, lambda: 0.5, lambda: sum(slept), 1e6), slept


def source(form: str, url: str, timeout_s: float = 20.0) -> ExchangeSource:
    """The source `exchange` on the local exchange."""
    return ExchangeSource(client(form, url, timeout_s), lambda _: SCALE, patience()[0])


def truth(market: Market, start_ms: int, end_ms: int) -> Candles:
    """What the exchange trades."""
    return MarketSimulation(SEED, market.symbol, SCALE).bars(market.timeframe, start_ms, end_ms)


def fault(kind: Kind, **values: object) -> Fault:
    """One fault, once unless `times` says otherwise."""
    return Fault.model_validate({"kind": kind, "times": 1, **values})


def hours_ago(hours: int) -> int:
    """Full hour so long before `NOW`."""
    return NOW // HOUR_MS * HOUR_MS - hours * HOUR_MS
