"""Writes overlapping rectangles of markets x hours again and again, as one of several processes.

Arguments: URL, run number, seed, rounds, markets. Prints how many rounds came through.
"""

from __future__ import annotations

import random
import sys

from regime_pipeline.domain.market_data.completeness import hour_statuses
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.storage.bulk.columns import CANDLE_REGIME
from regime_pipeline.storage.warehouse import HourCandles, Warehouse
from regime_pipeline_tests.storage.factories import hours, random_candles, random_rows

MARKETS = tuple(Market(f"R{number}-USDT", "1h") for number in range(8))
REACH = {"features": 10**9}


def main(url: str, run_id: int, seed: int, rounds: int) -> None:
    rng = random.Random(seed)
    with Warehouse(url) as warehouse:
        for number in range(rounds):
            chosen = rng.sample(MARKETS, 5)  # in another order each time
            window = hours(rng.randrange(4), 4)
            content = seed * rounds + number
            if number % 2:
                rows = [(market, window, random_rows(CANDLE_REGIME, market, window, content)) for market in chosen]
                warehouse.replace_ranges("candle_regime", rows, run_id)
                continue
            candles = [random_candles(market, window, content) for market in chosen]
            statuses = [hour_statuses(bars.market, window, bars, ()) for bars in candles]
            contents = [
                HourCandles(bars.market, window, bars, of, REACH) for bars, of in zip(candles, statuses, strict=True)
            ]
            warehouse.replace_candles_of(contents, run_id)
        print(rounds)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
