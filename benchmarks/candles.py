"""The 3D regime against its goals: 10,000 candles beside the row-by-row pandas version, threads, and the stream.

Run `python -m benchmarks.candles [--quick]`; it writes its section of `docs/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmarks.document import markdown_table, write_section
from regime_pipeline.domain.candle_regimes.classifier import classify
from regime_pipeline.domain.candle_regimes.states import REGIME_STATES
from regime_pipeline.domain.candle_regimes.streaming import CandleStream
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.simulation.regimes import simulate
from regime_pipeline.domain.verdicts.engine import analyze
from regime_pipeline.policy import default_policy
from regime_pipeline.services.null_table import default_null_table
from regime_pipeline_tests.reference.naive_classifier import naive_regimes

POLICY, NULLS = default_policy(), default_null_table()
BARS, NAIVE_BARS, MARKETS = 10_000, 1_000, 12
INTRODUCTION = """## 3D regimes

`python -m benchmarks.candles`: {bars:,} simulated 1h candles, medians of {repeats} rounds (20 calls each) interleaved
with the row-by-row pandas version (`reference/` of the tests: indicators by pandas, rules by `iterrows`;
same labels, confidence to 1e-9), which classifies {naive:,} candles per round and is scaled. Threads: {markets} markets
of 100,000 candles (3D regimes) and of a year of hours (verdicts), one thread against two. {cores} cores, {machine},
Python {python}."""


def seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def check() -> None:
    """Both say the same."""
    candles = simulate(Market("BENCH-USDT", "1h"), NAIVE_BARS, 1).candles
    ours, naive = classify(candles, POLICY.candle_regime), naive_regimes(candles, POLICY.candle_regime)
    assert [REGIME_STATES[code].full_regime for code in ours.state] == naive["full_regime"].tolist()
    np.testing.assert_allclose(ours.confidence, naive["confidence"], atol=1e-9)


def arms() -> dict[str, tuple[Callable[[], Any], float]]:
    """What is timed, and the factor to the unit that is reported."""
    market = Market("BENCH-USDT", "1h")
    candles, few = simulate(market, BARS, 1).candles, simulate(market, NAIVE_BARS, 1).candles
    many = [simulate(market, 100_000, seed).candles for seed in range(MARKETS)]
    years = [found[:9_600] for found in many]
    pools = {threads: ThreadPoolExecutor(threads) for threads in (1, 2)}

    def stream() -> None:
        one = CandleStream(POLICY.candle_regime)
        one.update(few)
        for row in range(BARS - 200, BARS):
            one.update(candles[row : row + 1])

    def verdicts(found: Any) -> Any:
        return analyze(found, found.open_time_ms[-8_760:], POLICY, NULLS)

    return {
        "engine": (lambda: [classify(candles, POLICY.candle_regime) for _ in range(20)], 1 / 20),
        "naive": (lambda: naive_regimes(few, POLICY.candle_regime), BARS / NAIVE_BARS),
        "stream": (stream, 1 / 200),
        "regimes 1": (lambda: list(pools[1].map(lambda c: classify(c, POLICY.candle_regime), many)), 1.0),
        "regimes 2": (lambda: list(pools[2].map(lambda c: classify(c, POLICY.candle_regime), many)), 1.0),
        "verdicts 1": (lambda: list(pools[1].map(verdicts, years)), 1.0),
        "verdicts 2": (lambda: list(pools[2].map(verdicts, years)), 1.0),
    }


def measure(repeats: int) -> dict[str, float]:
    """Median seconds of each arm, interleaved."""
    found = arms()
    taken: dict[str, list[float]] = {name: [] for name in found}
    for round_number in range(repeats + 1):
        for name, (call, scale) in found.items():
            value = seconds(call) * scale
            if round_number:
                taken[name].append(value)
    return {name: statistics.median(values) for name, values in taken.items()}


def report(medians: dict[str, float]) -> str:
    """The table of one run."""
    ratio = medians["naive"] / medians["engine"]
    engine = f"{medians['engine'] * 1e3:.2f} ms ({medians['engine'] / BARS * 1e9:.0f} ns a bar)"
    lines = [
        ["10,000 candles", engine, f"naive {medians['naive']:.2f} s", f"**{ratio:,.0f}x**", ">= 2,500x"],
        ["stream, one candle", f"{medians['stream'] * 1e3:.2f} ms", "", "", ""],
    ]  # fmt: skip
    for name in ("regimes", "verdicts"):
        one, two = medians[f"{name} 1"], medians[f"{name} 2"]
        lines.append(
            [f"{name}, 2 threads", f"{two:.2f} s", f"1 thread {one:.2f} s", f"**{one / two:.2f}x**", ">= 1.6x"]
        )
    return markdown_table(["what", "engine", "alternative", "ratio", "goal"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.candles", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds; the page is left alone")
    is_quick = parser.parse_args().quick
    repeats = 2 if is_quick else 7
    check()
    table = report(measure(repeats))
    introduction = INTRODUCTION.format(
        bars=BARS, repeats=repeats, naive=NAIVE_BARS, markets=MARKETS,
        cores=os.cpu_count(), machine=platform.machine(), python=platform.python_version(),
    )  # fmt: skip
    print(table)
    if not is_quick:
        write_section("candles", f"{introduction}\n\n{table}")


if __name__ == "__main__":
    main()
