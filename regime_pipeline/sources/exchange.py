"""Candles of a live exchange: pages joined, closed bars only, and an honest account of confirmed gaps.

See `exchange_client` for one request, `retry` for retries.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

import numpy as np

from regime_pipeline.domain.errors import BadCandlesError, SourceError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.completeness import clip_spans
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.retry import RetryPolicy, retry
from regime_pipeline.sources.base import Fetched
from regime_pipeline.sources.exchange_client import ExchangeClient, Row

_Answer = TypeVar("_Answer")
LAG_MS: Final = 120_000
"""A bar that has just closed may not be there yet; only after two minutes is its absence taken for a gap."""
SETTLE_MS: Final = 20_000
"""How long after its close a bar is first asked for."""
_TICK_ROUNDING: Final = 1e-6


class ExchangeSource:
    """A venue that is asked over the network.

    Parameters
    ----------
    client : ExchangeClient
        The exchange.
    scale_of : callable
        `market -> int`: ticks per unit of quote currency.
    patience : RetryPolicy
        Tries and waits; `limit_s` holds for one fetch.
    lag_of : callable
        `market -> int`: milliseconds after its close during which an absent bar may only be late.
    """

    def __init__(
        self,
        client: ExchangeClient,
        scale_of: Callable[[Market], int],
        patience: RetryPolicy,
        lag_of: Callable[[Market], int] = lambda _: LAG_MS,
    ) -> None:
        self._client = client
        self._scale_of = scale_of
        self._patience = patience
        self._lag_of = lag_of

    @property
    def venue(self) -> str:
        """The exchange's name."""
        return self._client.name

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        """Return the closed candles that open in [start, end); errors as `CandleSource.fetch`.

        Notes
        -----
        Closed is what the exchange's own clock says. Pages are spans of time, so an empty one inside an outage is not
        its end. A bar given twice counts once where both say the same; where they differ the later answer counts.
        """
        deadline = self._patience.clock() + self._patience.limit_s
        now = self._ask(market, start_ms, end_ms, deadline, self._client.now_ms)
        step, scale = market.step_ms, self._scale_of(market)
        first = -(-start_ms // step) * step
        end = min(-(-end_ms // step) * step, now // step * step)
        rows: dict[int, Row] = {}
        page_ms = self._client.page_bars * step
        for page in range(first, end, page_ms):
            until = min(page + page_ms, end)
            found = self._ask(market, page, until, deadline, partial(self._client.page, market, page, until))
            rows |= {int(row[0]): row for row in found if page <= int(row[0]) < until}
        candles = self._candles(market, scale, rows)
        known = (self._oldest(market, now), _known_until(candles, end, now, self._lag_of(market)))
        return Fetched(candles, clip_spans((known,), start_ms, max(end, start_ms)))

    def newest_closed_ms(self, market: Market) -> int | None:
        """Close time of the newest bar that the exchange's clock closed at least `SETTLE_MS` ago, epoch ms UTC."""
        deadline = self._patience.clock() + self._patience.limit_s
        now = self._ask(market, 0, 0, deadline, self._client.now_ms)
        return (now - SETTLE_MS) // market.step_ms * market.step_ms

    def _ask(
        self, market: Market, start_ms: int, end_ms: int, deadline_s: float, ask: Callable[[], _Answer]
    ) -> _Answer:
        span = f" {to_iso(start_ms)} to {to_iso(end_ms)}" if end_ms else ""
        return retry(ask, self._patience, deadline_s, f"{self._client.name}, {market}{span}")

    def _oldest(self, market: Market, now_ms: int) -> int:
        """From when on the exchange knows its bars."""
        known = self._client.known_bars
        return 0 if known is None else (now_ms // market.step_ms - known + 1) * market.step_ms

    def _candles(self, market: Market, scale: int, rows: dict[int, Row]) -> Candles:
        """Rows in order as candles on the market's ticks; a price between two ticks is refused, never rounded away."""
        if not rows:
            return Candles.empty(market, scale)
        table = np.array([rows[opened] for opened in sorted(rows)], dtype=np.float64)
        ticks = table[:, 1:5] * scale
        off = np.abs(ticks - np.rint(ticks)) > _TICK_ROUNDING * np.maximum(np.abs(ticks), 1.0)
        if off.any():
            at = int(np.argmax(off.any(axis=1)))
            raise SourceError(
                f"{self._client.name}, {market} {to_iso(int(table[at, 0]))}: a price {table[at, 1:5].tolist()} is not "
                f"a multiple of 1/{scale}.",
                "Give the market a larger price_scale in markets.toml.",
            )
        times = np.array(sorted(rows), dtype=np.int64)
        try:
            return Candles.from_prices(market, scale, times, [table[:, column] for column in range(1, 5)], table[:, 5])
        except BadCandlesError as error:
            raise SourceError(f"{self._client.name} answered with a bad candle: {error.what}") from error


def _known_until(candles: Candles, end_ms: int, now_ms: int, lag_ms: int) -> int:
    """End of what is known: the end asked for, or the newest bar while the last one may only be late."""
    step = candles.market.step_ms
    is_there = len(candles) > 0 and int(candles.close_time_ms[-1]) == end_ms
    if is_there or now_ms - end_ms >= lag_ms:
        return end_ms
    return int(candles.close_time_ms[-1]) if len(candles) else end_ms - step
