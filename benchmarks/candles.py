"""The 3D regime against its goals: beside what competent users write, in threads, and as a stream.

Run `python -m benchmarks.candles [--quick]`; it writes its section of `docs/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmarks.candle_peers import SETTLED, Bars, numba_regimes, pandas_regimes
from benchmarks.document import markdown_table, write_section
from benchmarks.rounds import interleaved
from regime_pipeline.domain.candle_regimes.classifier import classify
from regime_pipeline.domain.candle_regimes.states import REGIME_STATES
from regime_pipeline.domain.candle_regimes.streaming import CandleStream
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.simulation.regimes import simulate
from regime_pipeline.domain.verdicts.engine import analyze
from regime_pipeline.policy import default_policy
from regime_pipeline.services.null_table import default_null_table
from regime_pipeline_tests.reference.naive_classifier import naive_regimes

POLICY, NULLS = default_policy(), default_null_table()
SIZES, NAIVE_BARS, MARKETS = (10_000, 1_000_000), 1_000, 12
PEERS = {"TA-Lib + numpy + numba": (numba_regimes, 2.0), "TA-Lib + pandas": (pandas_regimes, 8.0)}
"""What a competent user writes, and how many times as fast we mean to be."""
NEAR = 1e-3
INTRODUCTION = """## 3D regimes

`python -m benchmarks.candles`: simulated 1h candles, medians of {repeats} interleaved rounds (10,000 candles: 20 calls
each). The peers (`benchmarks/candle_peers.py`) take TA-Lib's indicators and vector rules; one ranks volatility with a
compiled loop of numba, one with pandas' `rolling`. They compute labels and confidence, but know no holes, and what they
say depends on where the data start. Before timing: all labels equal from bar {settled} on, confidence to {near} (theirs
remembers the whole series); the row-by-row version of the tests says the same of {naive:,} candles to 1e-9. Threads:
{markets} markets of 100,000 candles (3D regimes) and of a year of hours (verdicts), one thread against two. {cores}
cores, {machine}, Python {python}."""


def bars_of(candles: Candles) -> Bars:
    """What a peer is given: its floats are made before the clock runs."""
    return Bars(*(column.astype(np.float64) for column in (candles.high, candles.low, candles.close)))


def check(sizes: tuple[int, ...]) -> None:
    """Everybody says the same."""
    candles = simulate(Market("BENCH-USDT", "1h"), NAIVE_BARS, 1).candles
    ours, naive = classify(candles, POLICY.candle_regime), naive_regimes(candles, POLICY.candle_regime)
    assert [REGIME_STATES[code].full_regime for code in ours.state] == naive["full_regime"].tolist()
    np.testing.assert_allclose(ours.confidence, naive["confidence"], atol=1e-9)
    for bars in sizes:
        candles = simulate(Market("BENCH-USDT", "1h"), bars, 1).candles
        ours = classify(candles, POLICY.candle_regime)
        for peer, _ in PEERS.values():
            theirs = peer(bars_of(candles), POLICY.candle_regime)
            np.testing.assert_array_equal(ours.state[SETTLED:], theirs.state[SETTLED:])
            np.testing.assert_allclose(ours.confidence[SETTLED:], theirs.confidence[SETTLED:], atol=NEAR)


def sized_arms(bars: int) -> dict[str, tuple[Callable[[], Any], float]]:
    """The engine and the peers on one market, and the factor to seconds of one call."""
    candles, policy = simulate(Market("BENCH-USDT", "1h"), bars, 1).candles, POLICY.candle_regime
    prices, calls = bars_of(candles), 20 if bars <= SIZES[0] else 1
    found: dict[str, tuple[Callable[[], Any], float]] = {
        f"engine {bars}": (lambda: [classify(candles, policy) for _ in range(calls)], 1 / calls)
    }
    for name, (peer, _) in PEERS.items():
        found[f"{name} {bars}"] = (lambda peer=peer: [peer(prices, policy) for _ in range(calls)], 1 / calls)  # type: ignore[misc]
    return found


def arms(sizes: tuple[int, ...]) -> dict[str, tuple[Callable[[], Any], float]]:
    """What is timed, and the factor to the unit that is reported."""
    few = simulate(Market("BENCH-USDT", "1h"), SIZES[0], 1).candles
    many = [simulate(Market("BENCH-USDT", "1h"), 100_000, seed).candles for seed in range(MARKETS)]
    years = [found[:9_600] for found in many]
    pools = {threads: ThreadPoolExecutor(threads) for threads in (1, 2)}

    def stream() -> None:
        one = CandleStream(POLICY.candle_regime)
        one.update(few[:NAIVE_BARS])
        for row in range(len(few) - 200, len(few)):
            one.update(few[row : row + 1])

    def verdicts(found: Any) -> Any:
        return analyze(found, found.open_time_ms[-8_760:], POLICY, NULLS)

    sized = {name: arm for bars in sizes for name, arm in sized_arms(bars).items()}
    return sized | {
        "stream": (stream, 1 / 200),
        "regimes 1": (lambda: list(pools[1].map(lambda c: classify(c, POLICY.candle_regime), many)), 1.0),
        "regimes 2": (lambda: list(pools[2].map(lambda c: classify(c, POLICY.candle_regime), many)), 1.0),
        "verdicts 1": (lambda: list(pools[1].map(verdicts, years)), 1.0),
        "verdicts 2": (lambda: list(pools[2].map(verdicts, years)), 1.0),
    }


def measure(repeats: int, sizes: tuple[int, ...]) -> dict[str, float]:
    """Median seconds of each arm, interleaved."""
    found = arms(sizes)
    taken = interleaved(repeats, {name: call for name, (call, _) in found.items()})
    return {name: value * found[name][1] for name, value in taken.items()}


def report(medians: dict[str, float], sizes: tuple[int, ...]) -> str:
    """The table of one run."""
    lines = []
    for bars in sizes:
        ours = medians[f"engine {bars}"]
        engine = f"{ours * 1e3:.2f} ms ({ours / bars * 1e9:.0f} ns a bar)"
        for name, (_, goal) in PEERS.items():
            theirs = medians[f"{name} {bars}"]
            lines.append(
                [
                    f"{bars:,} candles",
                    engine,
                    f"{name} {theirs * 1e3:.2f} ms",
                    f"**{theirs / ours:.1f}x**",
                    f">= {goal:.0f}x",
                ]
            )
    lines.append(["stream, one candle", f"{medians['stream'] * 1e3:.2f} ms", "", "", ""])
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
    sizes = SIZES[:1] if is_quick else SIZES
    check(sizes)
    table = report(measure(repeats, sizes), sizes)
    introduction = INTRODUCTION.format(
        repeats=repeats, naive=NAIVE_BARS, markets=MARKETS, settled=SETTLED, near=NEAR,
        cores=os.cpu_count(), machine=platform.machine(), python=platform.python_version(),
    )  # fmt: skip
    print(table)
    if not is_quick:
        write_section("candles", f"{introduction}\n\n{table}")


if __name__ == "__main__":
    main()
