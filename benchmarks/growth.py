"""What grows with the number of bars, and what does not: cost a bar from 10 thousand to a million, compilation, memory.

Run `python -m benchmarks.growth [--quick]`; it writes its section of `docs/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import os
import pickle
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.document import markdown_table, write_section
from regime_pipeline.domain.candle_regimes.classifier import classify
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.simulation.regimes import simulate
from regime_pipeline.policy import default_policy

SIZES = (10_000, 100_000, 1_000_000)
CHUNK = 100_000
TWO_WAYS = {
    "3D regimes": (
        "from regime_pipeline.domain.candle_regimes.classifier import classify\nclassify(candles, policy.candle_regime)"
    ),
    "features to verdicts": (
        "from regime_pipeline.domain.verdicts.engine import analyze\n"
        "from regime_pipeline.services.null_table import default_null_table\n"
        "analyze(candles, candles.open_time_ms[-300:], policy, default_null_table())"
    ),
}
SCRIPT = """
import pickle, time
from pathlib import Path
from regime_pipeline.policy import default_policy
candles, policy = pickle.loads(Path("{file}").read_bytes()), default_policy()
peak = lambda: int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
before = peak()
start = time.perf_counter()
{call}
print(time.perf_counter() - start, (peak() - before) / 1024)
"""
INTRODUCTION = """## Growth, compilation, memory

`python -m benchmarks.growth`: one thread, medians of {repeats} interleaved rounds. Compilation: the first call in a
fresh process, with an empty and with a filled numba cache (`NUMBA_CACHE_DIR`); the kernels are compiled
once per machine. Memory: growth of a fresh process's peak resident size over that of the candles alone.
{cores} cores, {machine}, Python {python}."""


def per_bar(repeats: int) -> dict[int, float]:
    """Median nanoseconds a bar by number of bars."""
    policy = default_policy().candle_regime
    markets = {size: simulate(Market("BENCH-USDT", "1m"), size, 1).candles for size in SIZES}
    taken: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(repeats + 1):
        for size, candles in markets.items():
            calls = max(1, CHUNK // size)
            start = time.perf_counter()
            for _ in range(calls):
                classify(candles, policy)
            taken[size].append((time.perf_counter() - start) / calls / size * 1e9)
    return {size: statistics.median(values[1:]) for size, values in taken.items()}


def fresh_process(call: str, bars: int, cache: str) -> tuple[float, float]:
    """Seconds and MiB of a call in a process of its own."""
    file = Path(cache) / f"{bars}.pickle"
    file.write_bytes(pickle.dumps(simulate(Market("BENCH-USDT", "1h"), bars, 1).candles))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(file=file, call=call)],
        env={**os.environ, "NUMBA_CACHE_DIR": cache}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    seconds, mib = done.stdout.split()
    return float(seconds), float(mib)


def compilation() -> list[list[str]]:
    """Cold and cached first calls of each way in."""
    rows = []
    for name, call in TWO_WAYS.items():
        with tempfile.TemporaryDirectory() as cache:
            cold, _ = fresh_process(call, 2_000, cache)
            cached, _ = fresh_process(call, 2_000, cache)
        rows.append([f"first call, {name}", f"{cached:.2f} s cached", f"{cold:.1f} s cold", "", ""])
    return rows


def memory() -> list[str]:
    """Peak memory of a million candles."""
    with tempfile.TemporaryDirectory() as cache:
        fresh_process(TWO_WAYS["3D regimes"], 2_000, cache)
        _, few = fresh_process(TWO_WAYS["3D regimes"], 2_000, cache)
        _, many = fresh_process(TWO_WAYS["3D regimes"], SIZES[-1], cache)
    mib = f"{many:.0f} MiB, {(many - few) * 2**20 / SIZES[-1]:.0f} bytes a bar"
    return ["peak memory, 1,000,000 candles", mib, f"{few:.0f} MiB for 2,000 (kernels)", "", ""]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round; the page is left alone")
    is_quick = parser.parse_args().quick
    repeats = 1 if is_quick else 9
    found = per_bar(repeats)
    first = found[SIZES[0]]
    rows = [
        [f"{size:,} candles", f"{ns:.0f} ns a bar", f"{SIZES[0]:,}: {first:.0f} ns", f"**{ns / first:.2f}x**", "flat"]
        for size, ns in found.items()
    ]
    table = markdown_table(["what", "engine", "compared with", "ratio", "goal"], [*rows, *compilation(), memory()])
    print(table)
    if not is_quick:
        introduction = INTRODUCTION.format(
            repeats=repeats, cores=os.cpu_count(), machine=platform.machine(), python=platform.python_version()
        )
        write_section("growth", f"{introduction}\n\n{table}")


if __name__ == "__main__":
    main()
